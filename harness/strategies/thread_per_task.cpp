// A new std::thread for every chunk: threads without a pool.
// SPDX-License-Identifier: MIT
#include "harness/strategies/thread_per_task.hpp"

#include <string_view>
#include <thread>
#include <utility>

#include "harness/strategies/start_per_chunk.hpp"

namespace noisefloor {
namespace {

struct NewThread {
  using Handle = std::thread;
  static constexpr std::string_view kName = "thread_per_task";

  template <class F>
  static Handle start(F&& f) {
    return std::thread(std::forward<F>(f));
  }
  static void finish(Handle& thread) noexcept {
    if (thread.joinable()) thread.join();
  }
};

}  // namespace

std::string refuse_thread_per_task(const StrategyOptions& options) {
  return refuse_but_dynamic("thread_per_task", options, {.bind = true});
}

std::unique_ptr<Executor> make_thread_per_task(const Workload& workload, const StrategyOptions& options) {
  return std::make_unique<StartPerChunk<NewThread>>(workload, options);
}

}  // namespace noisefloor
