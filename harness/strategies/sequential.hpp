// One task after the other: what every other strategy is compared with.
// SPDX-License-Identifier: MIT
#pragma once

#include <memory>
#include <string>

#include "harness/strategies/strategy.hpp"

namespace noisefloor {

std::string refuse_sequential(const StrategyOptions& options);
/// The thread that makes it calls run() and does all the work, chunk by chunk; a window is honoured by nature.
std::unique_ptr<Executor> make_sequential(const Workload& workload, const StrategyOptions& options);

}  // namespace noisefloor
