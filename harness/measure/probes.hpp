// What the system tells of a repetition: CPU time, memory, faults, switches, steal.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <optional>

namespace noisefloor {

/// Totals of this process and its threads since it started; differences are what counts.
struct Usage {
  std::uint64_t user_cpu_ns = 0;
  std::uint64_t system_cpu_ns = 0;
  std::uint64_t minor_faults = 0;
  std::uint64_t major_faults = 0;
  std::uint64_t voluntary_switches = 0;
  std::uint64_t involuntary_switches = 0;

  friend Usage operator-(const Usage& after, const Usage& before);
};

Usage process_usage();

/// Lowers this process's peak resident size to its present one (/proc/self/clear_refs); false where the
/// system refuses, and the peak is then that of the whole process.
bool reset_peak_rss();

/// Peak resident size of this process in bytes (VmHWM); empty where /proc does not tell.
std::optional<std::uint64_t> peak_rss_bytes();

/// Time stolen by the hypervisor from all CPUs since boot, in clock ticks; empty where unknown.
std::optional<std::uint64_t> steal_ticks();

}  // namespace noisefloor
