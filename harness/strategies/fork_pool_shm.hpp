// The strategy fork_pool_shm: processes that take chunks from a cursor in shared memory.
// SPDX-License-Identifier: MIT
#pragma once

#include <memory>
#include <string>

#include "harness/strategies/strategy.hpp"

namespace noisefloor {

std::string refuse_fork_pool_shm(const StrategyOptions& options);
std::unique_ptr<Executor> make_fork_pool_shm(const Workload& workload, const StrategyOptions& options);

}  // namespace noisefloor
