// std::async for every chunk.
// SPDX-License-Identifier: MIT
#include "harness/strategies/async.hpp"

#include <future>
#include <string_view>
#include <utility>

#include "harness/strategies/start_per_chunk.hpp"

namespace noisefloor {
namespace {

struct Async {
  using Handle = std::future<void>;
  static constexpr std::string_view kName = "async";

  template <class F>
  static Handle start(F&& f) {
    return std::async(std::launch::async, std::forward<F>(f));
  }
  // The future's end is what joins the thread.
  static void finish(Handle& future) noexcept { future = {}; }
};

}  // namespace

std::string refuse_async(const StrategyOptions& options) {
  return refuse_but_dynamic("async", options, {.bind = true});
}

std::unique_ptr<Executor> make_async(const Workload& workload, const StrategyOptions& options) {
  return std::make_unique<StartPerChunk<Async>>(workload, options);
}

}  // namespace noisefloor
