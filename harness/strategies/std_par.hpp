// The standard library's parallel algorithm over the chunks.
// SPDX-License-Identifier: MIT
#pragma once

#include <memory>
#include <string>

#include "harness/strategies/strategy.hpp"

namespace noisefloor {

std::string refuse_std_par(const StrategyOptions& options);
/// std::for_each(std::execution::par) over a list of chunks that is made here. libstdc++ runs it on oneTBB, which
/// decides how many chunks a thread takes at a time; C++ has no word on threads, oneTBB's limit is what makes
/// them `workers`.
std::unique_ptr<Executor> make_std_par(const Workload& workload, const StrategyOptions& options);

}  // namespace noisefloor
