// What the system tells of a repetition: CPU time, memory, faults, switches, steal, pressure.
// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "harness/base/usage.hpp"  // IWYU pragma: export

namespace noisefloor {

/// Time stolen by the hypervisor from all CPUs since boot, in clock ticks; empty where unknown.
std::optional<std::uint64_t> steal_ticks();

/// Time since boot in which some task of this machine waited for a CPU, averaged over the CPUs that had work (PSI,
/// "some" of /proc/pressure/cpu); empty where the kernel keeps none.
std::optional<std::uint64_t> cpu_pressure_ns();

/// What the CPUs that this process was given did while it looked on. Means over that time; empty where unknown.
struct MachineUse {
  double seconds = 0;                   ///< that it looked: less than asked for if a signal came
  int cpus = 0;                         ///< given_cpus()
  std::optional<double> others_cpus{};  ///< CPUs that others used: 0 … cpus, to 10 ms of CPU time
  std::optional<double> stolen_cpus{};  ///< CPUs that the hypervisor took
  std::optional<double> pressure{};  ///< share of the time in which some task of the machine waited for a CPU: 0 … 1
  std::optional<double> load{};      ///< the load average of the last minute, as the kernel has it
};

/// Looks on for so long, asleep. Own threads may run meanwhile: they are not counted among the others, but in the
/// pressure.
MachineUse look(std::chrono::milliseconds time);

}  // namespace noisefloor
