// A pool of forked processes.
// SPDX-License-Identifier: MIT
#include "harness/strategies/fork_pool.hpp"

#include "harness/strategies/process_pool.hpp"
#include "harness/strategies/process_workers.hpp"
#include "harness/strategies/ship_samples.hpp"

namespace noisefloor {
namespace {

constexpr std::string_view kName = "fork_pool";

}  // namespace

std::string refuse_fork_pool(const StrategyOptions& options) {
  if (options.ship != Ship::samples && options.transport != Transport::none) {
    return "fork_pool sends samples only with ship samples: leave transport out, or give ship samples";
  }
  return refuse_processes(kName, options, {.ship = true, .pool = true});
}

std::unique_ptr<Executor> make_fork_pool(const Workload& workload, const StrategyOptions& options) {
  if (options.ship == Ship::samples) return make_sample_shipper(kName, workload, options);
  return make_process_pool(kName, workload, options, options.pool == Pool::cold ? Lifetime::run : Lifetime::pool);
}

}  // namespace noisefloor
