// Strategies that start something for each chunk and keep no pool: at most `workers` chunks at a time.
// SPDX-License-Identifier: MIT
#pragma once

#include <fmt/format.h>

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <system_error>
#include <utility>
#include <vector>

#include "harness/base/error.hpp"
#include "harness/base/usage.hpp"
#include "harness/strategies/chunks.hpp"

namespace noisefloor {

/// The thread that calls run() starts chunks, in order, and runs no task itself: it waits until one of
/// `workers` places is free, and starts the next chunk there. Way has
///   using Handle              default-made: nothing was started
///   kName                     of the strategy, for messages
///   start(f) -> Handle        runs f() elsewhere; throws std::system_error if that cannot be
///   finish(Handle&) noexcept  waits until f() has returned; nothing to wait for is fine
template <class Way>
class StartPerChunk final : public InProcessExecutor {
 public:
  StartPerChunk(const Workload& workload, const StrategyOptions& options)
      : InProcessExecutor(workload, options), started_(workers_.size()) {
    free_.reserve(workers_.size());
  }

  void run(const OnChunk& on_chunk) override {
    const Chunks all = chunks();
    const std::uint64_t count = all.count();
    free_.clear();
    for (std::size_t place = workers_.size(); place > 0; --place) free_.push_back(place - 1);
    if (options_.window != 0) turns_.start(count, options_.window);
    try {
      for (std::uint64_t chunk = 0; chunk < count; ++chunk) {
        const std::size_t place = wait_for_place();
        // Chunks are started in order, so turn `chunk` is what take() gives: it is asked for the wait.
        if (options_.window != 0) static_cast<void>(turns_.take([this] { return cancelled(); }));
        if (cancelled()) break;
        Way::finish(started_[place]);  // its chunk is done; this is what is left of it
        const auto made = std::chrono::steady_clock::now();
        started_[place] = start([this, chunk, place, &all, &on_chunk, made] {
          tie(place);
          if (!cancelled()) run_chunk(place, all[chunk], on_chunk);
          if (options_.window != 0) turns_.finish(chunk);
          leave(place);
          tell_end_of_thread(made);
        });
      }
    } catch (...) {
      failure_.capture();
    }
    for (auto& handle : started_) Way::finish(handle);
    failure_.rethrow();
  }

 private:
  std::size_t wait_for_place() {
    std::unique_lock lock(mutex_);
    left_.wait(lock, [this] { return !free_.empty(); });
    const std::size_t place = free_.back();
    free_.pop_back();
    return place;
  }
  void leave(std::size_t place) noexcept {
    const std::lock_guard lock(mutex_);
    free_.push_back(place);  // reserved
    left_.notify_one();      // under the lock: whoever it wakes may end the run
  }
  template <class F>
  typename Way::Handle start(F&& f) {
    try {
      return Way::start(std::forward<F>(f));
    } catch (const std::system_error& error) {
      throw Error(fmt::format("{}: no thread can be started for another of {} workers ({}): give fewer workers",
                              Way::kName, workers_.size(), error.what()));
    }
  }

  std::vector<typename Way::Handle> started_;  // by place, which is the worker's number
  alignas(kLineBytes) Turns turns_;
  std::mutex mutex_;
  std::condition_variable left_;
  std::vector<std::size_t> free_;
};

}  // namespace noisefloor
