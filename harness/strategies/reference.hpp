// What reference programs can honour: strategies that other programs run.
// SPDX-License-Identifier: MIT
#pragma once

#include <string>

#include "harness/strategies/strategy.hpp"

namespace noisefloor {

/// One worker, task after task: no chunks, no pool.
std::string refuse_reference_alone(const StrategyOptions& options);
/// As many workers as asked for, in a pool that is cold (made inside the clock, the default) or warm.
std::string refuse_reference_pool(const StrategyOptions& options);
/// As many workers as asked for, started for each chunk.
std::string refuse_reference_processes(const StrategyOptions& options);

}  // namespace noisefloor
