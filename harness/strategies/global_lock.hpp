// Threads of which one at a time transforms: the shape of an interpreter's global lock.
// SPDX-License-Identifier: MIT
#pragma once

#include <memory>
#include <string>

#include "harness/strategies/strategy.hpp"

namespace noisefloor {

std::string refuse_global_lock(const StrategyOptions& options);
/// The pool of std_thread. A worker holds one fair lock while it transforms a piece, and no lock while it extracts,
/// loads, opens or finishes. The workload has stages.
std::unique_ptr<Executor> make_global_lock(const Workload& workload, const StrategyOptions& options);

}  // namespace noisefloor
