// OpenMP's parallel loop over the chunks, with its schedules.
// SPDX-License-Identifier: MIT
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "harness/strategies/strategy.hpp"

namespace noisefloor {

std::string refuse_openmp(const StrategyOptions& options);
/// The team is started here, so that run() finds it warm. The thread that calls run() is worker 0.
/// make and run() throw Error where OpenMP grants fewer threads than workers.
///
/// The loop runs over chunks of chunk_size tasks, one call of Workload::run() each: schedule(static, 1),
/// (dynamic, 1) and (guided, 1) over chunks hand out the tasks that (…, chunk_size) over tasks would, only
/// that guided's larger pieces are whole chunks; schedule(auto) is the runtime's choice. Without a schedule it is
/// static.
std::unique_ptr<Executor> make_openmp(const Workload& workload, const StrategyOptions& options);

/// Which runtime answers in this process: "libgomp", or "libomp" (LLVM's, also when it was preloaded into
/// a program built with g++).
std::string_view openmp_runtime();

/// "active" or "passive" where OMP_WAIT_POLICY says so, which OpenMP reads when the process starts; else "".
std::string_view openmp_wait_policy();

}  // namespace noisefloor
