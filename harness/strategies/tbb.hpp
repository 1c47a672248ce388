// oneTBB's parallel_for over the chunks.
// SPDX-License-Identifier: MIT
#pragma once

#include <memory>
#include <string>

#include "harness/strategies/strategy.hpp"

namespace noisefloor {

std::string refuse_tbb(const StrategyOptions& options);
/// Without a schedule, or with `simple`, the range of chunks is halved down to single ones (simple_partitioner, grain
/// 1), and idle threads steal halves. `auto` halves as far as it finds thieves, `static` into one part per worker; both
/// then run the chunks of a part one after the other, so that a chunk stays what it is elsewhere.
std::unique_ptr<Executor> make_tbb(const Workload& workload, const StrategyOptions& options);

}  // namespace noisefloor
