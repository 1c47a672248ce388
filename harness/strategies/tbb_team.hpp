// What the strategies on oneTBB share: an arena of exactly as many threads as workers.
// SPDX-License-Identifier: MIT
#pragma once

#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/task_arena.h>
#include <oneapi/tbb/task_scheduler_observer.h>

#include <atomic>
#include <cstddef>

#include "harness/strategies/chunks.hpp"

namespace noisefloor {

/// oneTBB's threads belong to the process and are made when they are first needed: they are asked for here, and
/// the warm-up repetitions find out which of them come. The limit is needed beside the arena because oneTBB starts no
/// more threads than CPUs unasked; it never promises them either, so fewer may work, and none may wait for another.
class TbbExecutor : public InProcessExecutor {
 public:
  TbbExecutor(const Workload& workload, const StrategyOptions& options);
  ~TbbExecutor() override;

 protected:
  /// From within the arena: runs a chunk as the worker whose place this thread has; nothing once cancelled.
  void step(TaskRange range, const OnChunk& on_chunk) noexcept {
    if (!cancelled())
      run_chunk(static_cast<std::size_t>(tbb::this_task_arena::current_thread_index()), range, on_chunk);
  }

  /// Ties threads while they are in the arena: oneTBB sends them elsewhere when it has nothing for them here.
  class Ties final : public tbb::task_scheduler_observer {
   public:
    explicit Ties(TbbExecutor& executor) : task_scheduler_observer(executor.arena_), executor_(executor) {}
    void on_scheduler_entry(bool /*is_worker*/) override {
      inside_.fetch_add(1, std::memory_order_relaxed);
      executor_.tie(static_cast<std::size_t>(tbb::this_task_arena::current_thread_index()));
    }
    void on_scheduler_exit(bool /*is_worker*/) override {
      executor_.binding_.untie();
      inside_.fetch_sub(1, std::memory_order_release);
    }
    /// Threads that are tied.
    [[nodiscard]] int inside() const noexcept { return inside_.load(std::memory_order_acquire); }

   private:
    std::atomic<int> inside_{0};
    TbbExecutor& executor_;
  };

  tbb::global_control limit_;
  tbb::task_arena arena_;  // the thread that calls run() has a place of its own in it
  Ties ties_;
};

}  // namespace noisefloor
