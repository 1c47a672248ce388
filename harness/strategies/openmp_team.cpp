// What the OpenMP strategies share: a team of exactly as many threads as workers.
// SPDX-License-Identifier: MIT
#include "harness/strategies/openmp_team.hpp"

#include <fmt/format.h>
#include <omp.h>

#include "harness/base/error.hpp"
#include "harness/strategies/openmp.hpp"

namespace noisefloor {

std::string refuse_other_openmp(std::string_view strategy, const StrategyOptions& options) {
  if (!options.runtime.empty() && options.runtime != openmp_runtime()) {
    return fmt::format(
        "{} runs on {} in this process, not on {}: LD_PRELOAD chooses another runtime when the process starts",
        strategy, openmp_runtime(), options.runtime);
  }
  if (const std::string_view policy = openmp_wait_policy();
      !options.wait_policy.empty() && policy != options.wait_policy) {
    return fmt::format(
        "OMP_WAIT_POLICY is {} in this process, not {}: OpenMP reads it once, so set it before the process starts",
        policy.empty() ? "not set" : policy, options.wait_policy);
  }
  return {};
}

OpenMpExecutor::OpenMpExecutor(std::string_view strategy, const Workload& workload, const StrategyOptions& options)
    : InProcessExecutor(workload, options), strategy_(strategy) {
  int granted = 0;
#pragma omp parallel num_threads(options_.workers) default(none) shared(granted)
  {
#pragma omp single
    granted = omp_get_num_threads();
    tie(static_cast<std::size_t>(omp_get_thread_num()));
  }
  failure_.rethrow();
  check_team(granted);
}

OpenMpExecutor::~OpenMpExecutor() {
  if (binding_.is_none()) return;
#pragma omp parallel num_threads(options_.workers) default(none)
  binding_.untie();
}

void OpenMpExecutor::check_team(int granted) const {
  if (granted == options_.workers) return;
  throw Error(
      fmt::format("{}: {} threads were granted for {} workers: unset OMP_THREAD_LIMIT, OMP_DYNAMIC and "
                  "OMP_MAX_ACTIVE_LEVELS, do not run it inside a parallel region, or give fewer workers",
                  strategy_, granted, options_.workers));
}

void OpenMpTaskExecutor::run(const OnChunk& on_chunk) {
  int granted = 0;
#pragma omp parallel num_threads(options_.workers) default(none) shared(granted, on_chunk)
  {
#pragma omp single
    {
      granted = omp_get_num_threads();
      if (granted == options_.workers) make_tasks(on_chunk);
    }
  }
  failure_.rethrow();
  check_team(granted);
}

}  // namespace noisefloor
