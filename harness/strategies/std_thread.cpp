// A pool of std::jthread that shares one atomic cursor over the chunks.
// SPDX-License-Identifier: MIT
#include "harness/strategies/std_thread.hpp"

#include <fmt/format.h>

#include <stop_token>
#include <system_error>
#include <thread>

#include "harness/base/error.hpp"
#include "harness/strategies/chunks.hpp"

namespace noisefloor {
namespace {

class ThreadPool final : public InProcessExecutor {
 public:
  ThreadPool(std::string_view name, const Workload& workload, const StrategyOptions& options)
      : InProcessExecutor(workload, options), tied_(binding_, 0) {
    threads_.reserve(workers_.size() - 1);
    try {
      for (std::size_t worker = 1; worker < workers_.size(); ++worker) {
        threads_.emplace_back([this, worker](const std::stop_token& quit) { wait_for_runs(quit, worker); });
      }
    } catch (const std::system_error& error) {
      throw Error(fmt::format("{}: thread {} of {} cannot be started ({}): give fewer workers", name,
                              threads_.size() + 1, workers_.size() - 1, error.what()));
    }
  }

  void run(const OnChunk& on_chunk) override {
    cursor_.store(0, std::memory_order_relaxed);
    if (options_.window != 0) turns_.start(chunks().count(), options_.window);
    {
      const std::lock_guard lock(mutex_);
      on_chunk_ = &on_chunk;
      ++generation_;
    }
    if (!threads_.empty()) run_started_.notify_all();
    work(0, on_chunk);
    {
      // No chunk is left. Threads that have not woken up by now find the run closed and are not waited for.
      std::unique_lock lock(mutex_);
      on_chunk_ = nullptr;
      run_left_.wait(lock, [this] { return active_ == 0; });
    }
    failure_.rethrow();
  }

 private:
  void wait_for_runs(const std::stop_token& quit, std::size_t worker) {
    tie(worker);
    std::uint64_t seen = 0;
    std::unique_lock lock(mutex_);
    while (run_started_.wait(lock, quit, [&] { return generation_ != seen; })) {
      seen = generation_;
      const OnChunk* const on_chunk = on_chunk_;
      if (on_chunk == nullptr) continue;
      ++active_;
      lock.unlock();
      work(worker, *on_chunk);
      lock.lock();
      if (--active_ == 0) run_left_.notify_one();
    }
  }

  void work(std::size_t worker, const OnChunk& on_chunk) noexcept {
    const Chunks all = chunks();
    if (options_.window != 0) {
      while (const auto chunk = turns_.take([this] { return cancelled(); })) {
        run_chunk(worker, all[*chunk], on_chunk);
        turns_.finish(*chunk);
      }
      return;
    }
    const std::uint64_t count = all.count();
    while (!cancelled()) {
      // Relaxed: chunks are independent, and what they wrote is published by the mutex when the run ends.
      const std::uint64_t chunk = cursor_.fetch_add(1, std::memory_order_relaxed);
      if (chunk >= count) return;
      run_chunk(worker, all[chunk], on_chunk);
    }
  }

  const Tied tied_;  // the caller
  alignas(kLineBytes) std::atomic<std::uint64_t> cursor_{0};
  alignas(kLineBytes) Turns turns_;
  std::mutex mutex_;  // guards the next three
  const OnChunk* on_chunk_ = nullptr;
  std::uint64_t generation_ = 0;
  std::size_t active_ = 0;
  std::condition_variable_any run_started_;
  std::condition_variable run_left_;
  std::vector<std::jthread> threads_;  // last: they are stopped and joined before the rest goes
};

}  // namespace

std::string refuse_std_thread(const StrategyOptions& options) {
  return refuse_but_dynamic("std_thread", options, {.bind = true});
}

std::unique_ptr<Executor> make_std_thread(const Workload& workload, const StrategyOptions& options) {
  return make_thread_pool("std_thread", workload, options);
}

std::unique_ptr<Executor> make_thread_pool(std::string_view name, const Workload& workload,
                                           const StrategyOptions& options) {
  return std::make_unique<ThreadPool>(name, workload, options);
}

}  // namespace noisefloor
