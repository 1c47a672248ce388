// What the strategies on oneTBB share: an arena of exactly as many threads as workers.
// SPDX-License-Identifier: MIT
#include "harness/strategies/tbb_team.hpp"

#include <oneapi/tbb/parallel_for.h>

#include <thread>

namespace noisefloor {

TbbExecutor::TbbExecutor(const Workload& workload, const StrategyOptions& options)
    : InProcessExecutor(workload, options),
      limit_(tbb::global_control::max_allowed_parallelism, workers_.size()),
      arena_(options.workers, 1),
      ties_(*this) {
  if (!binding_.is_none()) ties_.observe(true);
  arena_.execute([this] {
    tbb::parallel_for(
        std::size_t{0}, workers_.size(), [](std::size_t) {}, tbb::simple_partitioner());
  });
}

TbbExecutor::~TbbExecutor() {
  arena_.terminate();
  while (ties_.inside() > 0) std::this_thread::yield();  // out of work, they leave, and are let go
  ties_.observe(false);
}

}  // namespace noisefloor
