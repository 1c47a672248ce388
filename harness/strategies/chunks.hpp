// What the strategies that run tasks in this process share: chunks, per-worker state, turns and failures.
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <atomic>
#include <bit>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <mutex>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "harness/strategies/binding.hpp"
#include "harness/strategies/strategy.hpp"
#include "harness/workloads/workload.hpp"

namespace noisefloor {

/// What one worker writes often lies this far from what another writes: two cache lines of 64 bytes,
/// because x86 fetches them in pairs.
inline constexpr std::size_t kLineBytes = 128;

/// Memory that shares no cache line with other allocations.
template <class T>
struct LineAllocator {
  using value_type = T;

  LineAllocator() = default;
  template <class U>
  explicit LineAllocator(const LineAllocator<U>& other) noexcept {
    static_cast<void>(other);
  }
  T* allocate(std::size_t n) {
    const std::size_t lines = (n * sizeof(T) + kLineBytes - 1) / kLineBytes;
    return static_cast<T*>(::operator new (lines* kLineBytes, std::align_val_t{kLineBytes}));
  }
  void deallocate(T* memory, std::size_t n) noexcept {
    static_cast<void>(n);
    ::operator delete (memory, std::align_val_t{kLineBytes});
  }
  friend bool operator==(const LineAllocator&, const LineAllocator&) = default;
};

/// Tasks 0 … tasks-1 cut into consecutive chunks; the last may be shorter.
class Chunks {
 public:
  Chunks(std::uint32_t tasks, std::uint32_t chunk_size) noexcept : tasks_(tasks), chunk_size_(chunk_size) {}

  [[nodiscard]] std::uint64_t count() const noexcept { return (std::uint64_t{tasks_} + chunk_size_ - 1) / chunk_size_; }
  [[nodiscard]] TaskRange operator[](std::uint64_t chunk) const noexcept {
    const std::uint64_t first = chunk * chunk_size_;
    const std::uint64_t last = std::min<std::uint64_t>(first + chunk_size_, tasks_);
    return {static_cast<std::uint32_t>(first), static_cast<std::uint32_t>(last)};
  }

 private:
  std::uint32_t tasks_, chunk_size_;
};

/// The buffers of one worker, kept from chunk to chunk so that a chunk allocates nothing.
class alignas(kLineBytes) Worker {
 public:
  /// Room for chunks of `chunk_size` tasks (never more than `tasks`). Throws std::bad_alloc.
  void reserve(std::uint16_t index, std::uint32_t chunk_size, std::uint32_t tasks) {
    index_ = index;
    results_.resize(std::min(chunk_size, tasks));
    returned_.reserve(kReturnedBytes);
  }

  /// Runs the tasks of `range` and reports them. Throws what Workload::run() throws: std::bad_alloc.
  void run(const Workload& workload, TaskRange range, const OnChunk& on_chunk) {
    const std::span<TaskResult> results = std::span(results_).first(range.size());
    returned_.clear();
    workload.run(range, results, returned_);
    for (TaskResult& result : results) result.worker = index_;
    on_chunk(results, returned_);
  }

 private:
  static constexpr std::size_t kReturnedBytes = 4096;  // a page: most messages fit, neighbours keep their distance

  std::vector<TaskResult, LineAllocator<TaskResult>> results_;
  std::vector<std::byte> returned_;
  std::uint16_t index_ = 0;
};

/// The first exception that ended a run; the others are dropped. Thread-safe but for rethrow().
class Failure {
 public:
  /// To be called in a catch block.
  void capture() noexcept {
    const std::lock_guard lock(mutex_);
    if (first_ == nullptr) first_ = std::current_exception();
    happened_.store(true, std::memory_order_relaxed);
  }
  [[nodiscard]] bool happened() const noexcept { return happened_.load(std::memory_order_relaxed); }
  /// When all workers have stopped: throws the exception, if there is one, and forgets it.
  void rethrow() {
    happened_.store(false, std::memory_order_relaxed);
    if (const std::exception_ptr first = std::exchange(first_, nullptr)) std::rethrow_exception(first);
  }

 private:
  std::mutex mutex_;
  std::exception_ptr first_;
  alignas(kLineBytes) std::atomic<bool> happened_{false};
};

/// Hands chunks out in order, none further than `window` beyond the oldest unfinished one. Thread-safe.
/// A worker that waits here is woken by whoever finishes the oldest chunk, so finish() must follow every
/// chunk taken, failed or not; cancelled() is asked again whenever the oldest chunk moves, and ends the wait.
class Turns {
 public:
  void start(std::uint64_t chunks, std::uint32_t window) {
    next_ = oldest_ = 0;
    chunks_ = chunks;
    window_ = window;
    // Unfinished chunks span at most window + 1; a power of two, so that slot() need not divide.
    const std::uint64_t span = std::min<std::uint64_t>(chunks, std::uint64_t{window} + 1);
    finished_.assign(static_cast<std::size_t>(std::bit_ceil(span)), false);
  }

  /// The next chunk, when it may be taken; none when all are taken or `cancelled()`.
  template <class Cancelled>
  std::optional<std::uint64_t> take(const Cancelled& cancelled) {
    std::unique_lock lock(mutex_);
    moved_.wait(lock, [&] { return next_ == chunks_ || next_ - oldest_ <= window_ || cancelled(); });
    if (next_ == chunks_ || cancelled()) return std::nullopt;
    return next_++;
  }

  void finish(std::uint64_t chunk) {
    {
      const std::lock_guard lock(mutex_);
      finished_[slot(chunk)] = true;
      if (chunk != oldest_) return;
      while (oldest_ < next_ && finished_[slot(oldest_)]) finished_[slot(oldest_++)] = false;
    }
    moved_.notify_all();
  }

 private:
  [[nodiscard]] std::size_t slot(std::uint64_t chunk) const {
    return static_cast<std::size_t>(chunk) & (finished_.size() - 1);
  }

  std::mutex mutex_;
  std::condition_variable moved_;
  std::uint64_t next_ = 0, oldest_ = 0, chunks_ = 0;
  std::uint32_t window_ = 0;
  std::vector<bool> finished_;
};

/// An executor whose workers are threads of this process: it alone digests what they all wrote.
class InProcessExecutor : public Executor {
 public:
  InProcessExecutor(const Workload& workload, const StrategyOptions& options)
      : workload_(workload),
        options_(options),
        binding_(options.workers, options.bind),
        workers_(static_cast<std::size_t>(options.workers)) {
    for (std::size_t i = 0; i < workers_.size(); ++i) {
      workers_[i].reserve(static_cast<std::uint16_t>(i), options.chunk_size, workload.task_count());
    }
  }

  [[nodiscard]] std::uint64_t digest() const override { return workload_.digest({0, workload_.task_count()}); }

 protected:
  [[nodiscard]] bool stopped() const noexcept {
    return options_.stop != nullptr && options_.stop->load(std::memory_order_relaxed);
  }
  /// No worker takes a further chunk.
  [[nodiscard]] bool cancelled() const noexcept { return stopped() || failure_.happened(); }
  [[nodiscard]] Chunks chunks() const noexcept { return {workload_.task_count(), options_.chunk_size}; }

  /// Runs one chunk; an exception is kept for rethrow() after all workers stopped.
  void run_chunk(std::size_t worker, TaskRange range, const OnChunk& on_chunk) noexcept {
    try {
      workers_[worker].run(workload_, range, on_chunk);
    } catch (...) {
      failure_.capture();
    }
  }

  /// Ties the calling thread to a worker's CPU; if it cannot be, the next run fails.
  void tie(std::size_t worker) noexcept {
    try {
      binding_.tie(worker);
    } catch (...) {
      failure_.capture();
    }
  }

  const Workload& workload_;
  const StrategyOptions options_;
  const Binding binding_;
  std::vector<Worker> workers_;
  Failure failure_;
};

/// Which of the factors that most strategies have no use for a strategy takes.
struct Takes {
  bool ship = false;  ///< and transport
  bool pool = false;
  bool bind = false;
  bool openmp = false;  ///< runtime and wait_policy
  bool task_timeout = false;
};

/// Why `strategy` cannot honour these options, apart from schedule and window; empty if it can.
std::string refuse_factors(std::string_view strategy, const StrategyOptions& options, const Takes& takes = {});
/// The same for a strategy that hands chunks out in order as workers ask for them: schedule dynamic or none.
std::string refuse_but_dynamic(std::string_view strategy, const StrategyOptions& options, const Takes& takes = {});
/// The same for one whose order is its runtime's affair: no schedule, no window.
std::string refuse_own_order(std::string_view strategy, const StrategyOptions& options, const Takes& takes = {});

}  // namespace noisefloor
