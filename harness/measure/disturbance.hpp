// Disturbance: the CPU time that a launch wanted and did not get because of others.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "harness/base/usage.hpp"

namespace noisefloor {

/// What was read of one timed repetition. All times in ns.
struct DisturbanceReading {
  std::uint64_t wall_ns = 0;
  Usage usage;  ///< of the launch, all its processes
  /// Time in which some task of this machine, whoever's, waited for a CPU, averaged over CPUs that had work; empty
  /// where the kernel keeps no pressure stall information.
  std::optional<std::uint64_t> pressure_ns;
};

/// What was read from before the first timed repetition to after the last one, and what lies between them.
struct TimedPart {
  CpuTimes cpus;                 ///< of the CPUs that the launch may use; cpus.cpus is 0 where it is not known
  std::uint64_t own_cpu_ns = 0;  ///< of the launch, all its processes
};

/// The values of one row.
struct Disturbance {
  std::optional<std::uint64_t> run_delay_ns, others_cpu_ns, disturbed_ns;
  std::string note;  ///< why one of them is missing or incomplete
};

/// One for each repetition. The arithmetic, with n CPUs:
///
/// A repetition wanted no more than its run delay, and could have had no more than n × wall − CPU time: of its own
/// threads that waited for each other, the first bound knows nothing, the second all once they fill the CPUs. Where
/// threads ended that told no run delay, n × pressure stands in for it, which counts the waits of others, too.
///
/// others = n × time − idle − stolen − own CPU time over the whole timed part: /proc/stat tells whole ticks, and a
/// repetition may be shorter than one. disturbed is never more in sum than others less √n ticks, which may be an
/// error of rounding; it is shared among the repetitions by what each wanted. What others used beyond it is shared by
/// wall time. What the hypervisor took of the CPUs while the launch and others ran is shared by their CPU time, and
/// among repetitions by wall time, and is part of disturbed.
///
/// `unavailable`: why there is no run delay on this kernel; empty if there is.
std::vector<Disturbance> disturbances(std::span<const DisturbanceReading> repetitions, const TimedPart& part,
                                      const std::string& unavailable);

}  // namespace noisefloor
