// A pool of forked processes.
// SPDX-License-Identifier: MIT
#include "harness/strategies/fork_pool.hpp"

#include "harness/strategies/process_pool.hpp"
#include "harness/strategies/process_workers.hpp"

namespace noisefloor {
namespace {

constexpr std::string_view kName = "fork_pool";

}  // namespace

std::string refuse_fork_pool(const StrategyOptions& options) {
  return refuse_processes(kName, options, {.pool = true});
}

std::unique_ptr<Executor> make_fork_pool(const Workload& workload, const StrategyOptions& options) {
  return make_process_pool(kName, workload, options, options.pool == Pool::cold ? Lifetime::run : Lifetime::pool);
}

}  // namespace noisefloor
