// What the OpenMP strategies share: a team of exactly as many threads as workers.
// SPDX-License-Identifier: MIT
#include "harness/strategies/openmp_team.hpp"

#include <fmt/format.h>
#include <omp.h>

#include "harness/base/error.hpp"

namespace noisefloor {

void start_openmp_team(std::string_view strategy, int workers) {
  int granted = 0;
#pragma omp parallel num_threads(workers) default(none) shared(granted)
  {
#pragma omp single
    granted = omp_get_num_threads();
  }
  check_openmp_team(strategy, granted, workers);
}

void check_openmp_team(std::string_view strategy, int granted, int workers) {
  if (granted == workers) return;
  throw Error(
      fmt::format("{}: {} threads were granted for {} workers: unset OMP_THREAD_LIMIT, OMP_DYNAMIC and "
                  "OMP_MAX_ACTIVE_LEVELS, do not run it inside a parallel region, or give fewer workers",
                  strategy, granted, workers));
}

}  // namespace noisefloor
