// What the OpenMP strategies share: a team of exactly as many threads as workers.
// SPDX-License-Identifier: MIT
#pragma once

#include <string_view>

#include "harness/strategies/strategy.hpp"

namespace noisefloor {

/// Starts the team, so that the first run finds it warm. Throws Error if OpenMP grants fewer threads than
/// `workers`; `strategy` is for the message.
void start_openmp_team(std::string_view strategy, int workers);

/// Throws Error if `granted` is not `workers`: each worker's buffers are those of its thread number.
void check_openmp_team(std::string_view strategy, int granted, int workers);

}  // namespace noisefloor
