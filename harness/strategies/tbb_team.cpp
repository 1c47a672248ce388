// What the strategies on oneTBB share: an arena of exactly as many threads as workers.
// SPDX-License-Identifier: MIT
#include "harness/strategies/tbb_team.hpp"

#include <oneapi/tbb/parallel_for.h>

namespace noisefloor {

TbbExecutor::TbbExecutor(const Workload& workload, const StrategyOptions& options)
    : InProcessExecutor(workload, options),
      limit_(tbb::global_control::max_allowed_parallelism, workers_.size()),
      arena_(options.workers, 1) {
  arena_.execute([this] {
    tbb::parallel_for(
        std::size_t{0}, workers_.size(), [](std::size_t) {}, tbb::simple_partitioner());
  });
}

}  // namespace noisefloor
