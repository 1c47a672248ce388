// What MPI's ranks can honour as workers: noisefloor-mpi runs the tasks.
// SPDX-License-Identifier: MIT
#pragma once

#include <string>

#include "harness/strategies/strategy.hpp"

namespace noisefloor {

/// Chunks as ranks ask for them, bounded by a window if there is one; names cross, samples do not.
std::string refuse_mpi(const StrategyOptions& options);

}  // namespace noisefloor
