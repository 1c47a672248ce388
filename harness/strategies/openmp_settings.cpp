// Asks OpenMP's runtime.
// SPDX-License-Identifier: MIT
#include "harness/strategies/openmp_settings.hpp"

#include <omp.h>

#include <array>
#include <cstddef>

#include "harness/base/limits.hpp"

namespace noisefloor {

std::vector<std::pair<std::string, std::string>> openmp_settings() {
  constexpr std::array kSchedules = {"unknown", "static", "dynamic", "guided", "auto"};
  constexpr std::array kBindings = {"false", "true", "primary", "close", "spread"};
  const auto name = [](const auto& names, unsigned value) {
    return std::string(value < names.size() ? names[value] : "unknown");
  };
  omp_sched_t schedule = omp_sched_static;
  int chunk = 0;
  omp_get_schedule(&schedule, &chunk);
  constexpr unsigned kMonotonic = 0x80000000U;  // omp_sched_monotonic: which order, not which schedule
  std::vector<std::pair<std::string, std::string>> settings = {
      {"specification", std::to_string(_OPENMP)},
      {"max_threads", std::to_string(omp_get_max_threads())},
      {"thread_limit", std::to_string(omp_get_thread_limit())},
      {"schedule", name(kSchedules, static_cast<unsigned>(schedule) & ~kMonotonic)},
      {"dynamic", omp_get_dynamic() != 0 ? "true" : "false"},
      {"proc_bind", name(kBindings, static_cast<unsigned>(omp_get_proc_bind()))},
      {"places", std::to_string(omp_get_num_places())},
      {"max_active_levels", std::to_string(omp_get_max_active_levels())}};
  use_given_cpus();  // LLVM's runtime binds whoever asks first, if it is told to bind threads
  return settings;
}

}  // namespace noisefloor
