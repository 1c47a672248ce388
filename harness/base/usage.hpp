// What a process has used: CPU time, faults, switches, and its peak memory.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

namespace noisefloor {

/// Totals of this process and its threads since it started; differences are what counts. Crosses process borders as
/// bytes.
struct Usage {
  std::uint64_t user_cpu_ns = 0;
  std::uint64_t system_cpu_ns = 0;
  std::uint64_t minor_faults = 0;
  std::uint64_t major_faults = 0;
  std::uint64_t voluntary_switches = 0;
  std::uint64_t involuntary_switches = 0;

  Usage& operator+=(const Usage& other) noexcept;
  friend Usage operator-(const Usage& after, const Usage& before) noexcept;
  friend Usage operator+(Usage a, const Usage& b) noexcept { return a += b; }
};
static_assert(std::is_trivially_copyable_v<Usage>);

Usage process_usage();

/// Lowers this process's peak resident size to its present one (/proc/self/clear_refs); false where the
/// system refuses, and the peak is then that of the whole process.
bool reset_peak_rss();

/// Peak resident size of this process in bytes (VmHWM); empty where /proc does not tell.
std::optional<std::uint64_t> peak_rss_bytes();

/// The start of a file in /proc, at most 8 KiB; empty if it cannot be read.
std::string read_proc(const char* path);

/// The number-th (from 0) blank-separated number after `label` in the text of such a file; empty where there is none.
std::optional<std::uint64_t> number_after(std::string_view text, std::string_view label, int number);

}  // namespace noisefloor
