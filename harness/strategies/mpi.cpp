// Refusals of the MPI strategy.
// SPDX-License-Identifier: MIT
#include "harness/strategies/mpi.hpp"

#include "harness/strategies/chunks.hpp"

namespace noisefloor {

std::string refuse_mpi(const StrategyOptions& options) { return refuse_but_dynamic("mpi", options); }

}  // namespace noisefloor
