// oneTBB's parallel_for over the chunks.
// SPDX-License-Identifier: MIT
#pragma once

#include <memory>
#include <string>

#include "harness/strategies/strategy.hpp"

namespace noisefloor {

std::string refuse_tbb(const StrategyOptions& options);
/// The range of chunks is halved down to single ones (simple_partitioner, grain 1): the chunk size asked for is
/// the one that runs. The default auto_partitioner would choose it anew. Idle threads steal halves.
std::unique_ptr<Executor> make_tbb(const Workload& workload, const StrategyOptions& options);

}  // namespace noisefloor
