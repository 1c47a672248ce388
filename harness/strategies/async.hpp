// std::async for every chunk.
// SPDX-License-Identifier: MIT
#pragma once

#include <memory>
#include <string>

#include "harness/strategies/strategy.hpp"

namespace noisefloor {

std::string refuse_async(const StrategyOptions& options);
/// std::launch::async for each chunk, at most `workers` in flight; the thread that calls run() only starts them
/// and waits. libstdc++ has no pool behind it: each call makes a thread and a future. A window is honoured.
/// run() throws Error if a thread cannot be started.
std::unique_ptr<Executor> make_async(const Workload& workload, const StrategyOptions& options);

}  // namespace noisefloor
