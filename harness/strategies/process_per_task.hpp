// The strategy process_per_task: a fork for each chunk.
// SPDX-License-Identifier: MIT
#pragma once

#include <memory>
#include <string>

#include "harness/strategies/strategy.hpp"

namespace noisefloor {

std::string refuse_process_per_task(const StrategyOptions& options);
std::unique_ptr<Executor> make_process_per_task(const Workload& workload, const StrategyOptions& options);

}  // namespace noisefloor
