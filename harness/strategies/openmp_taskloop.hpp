// OpenMP's taskloop over the chunks.
// SPDX-License-Identifier: MIT
#pragma once

#include <memory>
#include <string>

#include "harness/strategies/strategy.hpp"

namespace noisefloor {

std::string refuse_openmp_taskloop(const StrategyOptions& options);
/// The loop runs over chunks with a grainsize of 1, so an OpenMP task is one chunk: what grainsize(chunk_size)
/// over tasks asks for, where OpenMP may take up to twice as many. How the tasks are made is the runtime's
/// affair: libomp splits the loop in halves, libgomp makes them in a row.
/// make and run() throw Error where OpenMP grants fewer threads than workers.
std::unique_ptr<Executor> make_openmp_taskloop(const Workload& workload, const StrategyOptions& options);

}  // namespace noisefloor
