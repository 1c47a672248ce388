// The strategy fork_pool: processes that are sent chunks through socket pairs.
// SPDX-License-Identifier: MIT
#pragma once

#include <memory>
#include <string>

#include "harness/strategies/strategy.hpp"

namespace noisefloor {

std::string refuse_fork_pool(const StrategyOptions& options);
std::unique_ptr<Executor> make_fork_pool(const Workload& workload, const StrategyOptions& options);

}  // namespace noisefloor
