// A process for each chunk: forked, run, waited for.
// SPDX-License-Identifier: MIT
#include "harness/strategies/process_per_task.hpp"

#include "harness/strategies/process_pool.hpp"
#include "harness/strategies/process_workers.hpp"

namespace noisefloor {
namespace {

constexpr std::string_view kName = "process_per_task";

}  // namespace

std::string refuse_process_per_task(const StrategyOptions& options) { return refuse_processes(kName, options, {}); }

std::unique_ptr<Executor> make_process_per_task(const Workload& workload, const StrategyOptions& options) {
  return make_process_pool(kName, workload, options, Lifetime::chunk);
}

}  // namespace noisefloor
