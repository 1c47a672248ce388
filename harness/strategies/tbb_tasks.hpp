// A task of oneTBB's task_group for every chunk.
// SPDX-License-Identifier: MIT
#pragma once

#include <memory>
#include <string>

#include "harness/strategies/strategy.hpp"

namespace noisefloor {

std::string refuse_tbb_tasks(const StrategyOptions& options);
/// The thread that calls run() makes all tasks, one by one, and then runs what the others have not taken, the
/// newest first. oneTBB does not bound how many wait, so memory grows with the chunks: about 128 bytes each.
std::unique_ptr<Executor> make_tbb_tasks(const Workload& workload, const StrategyOptions& options);

}  // namespace noisefloor
