// OpenMP's tasks, one per chunk, made one by one.
// SPDX-License-Identifier: MIT
#pragma once

#include <memory>
#include <string>

#include "harness/strategies/strategy.hpp"

namespace noisefloor {

std::string refuse_openmp_tasks(const StrategyOptions& options);
/// One thread of the team makes a task for each chunk while the others run them, then joins in; the runtimes
/// bound how many wait (libgomp 64 per thread, libomp 256), the maker runs those beyond at once.
/// make and run() throw Error where OpenMP grants fewer threads than workers.
std::unique_ptr<Executor> make_openmp_tasks(const Workload& workload, const StrategyOptions& options);

}  // namespace noisefloor
