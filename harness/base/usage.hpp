// What a process has used and waited for: CPU time, faults, switches, run delay, and its peak memory; and what the CPUs
// did meanwhile.
// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
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
  std::uint64_t run_delay_ns = 0;  ///< ready to run and waiting for a CPU, summed over threads: those that live, and
                                   ///< those that told it when they ended (tell_end_of_thread()); 0 where
                                   ///< run_delay_unavailable()
  std::int64_t untold_cpu_ns = 0;  ///< at least: CPU time of threads and processes that ended and told no run delay
  std::uint64_t untold_unsure_ns = 0;  ///< by so much it may be more, since threads ran on while they were asked

  [[nodiscard]] std::uint64_t cpu_ns() const noexcept { return user_cpu_ns + system_cpu_ns; }

  Usage& operator+=(const Usage& other) noexcept;
  friend Usage operator-(const Usage& after, const Usage& before) noexcept;
  friend Usage operator+(Usage a, const Usage& b) noexcept { return a += b; }
};
static_assert(std::is_trivially_copyable_v<Usage>);

Usage process_usage();

/// Why this kernel tells no run delay; empty if it does.
const std::string& run_delay_unavailable();

/// A wait of less than this, of a thread or process that ended, is not counted: to ask for it costs 0.1 ms and more,
/// most of it for a folder in /proc that nobody needs again.
inline constexpr std::chrono::milliseconds kLeastWaitAtEnd{1};

/// To be called last by a thread that is to end before process_usage() is called again, with the time just before it
/// was made. Asks the kernel for its run delay, unless so little of its life was not CPU time that it need not.
void tell_end_of_thread(std::chrono::steady_clock::time_point made) noexcept;

/// To be called with what a child process of this one used that is no worker of a strategy, once it is reaped:
/// process_usage() counts it as this process's own. Forgotten in a forked process. Thread-safe.
void tell_end_of_child(const Usage& usage) noexcept;

/// The run delay of process `pid`, which may be dead and not reaped yet, and has one thread; 0 where it is not told.
std::uint64_t run_delay_of_process(int pid) noexcept;

/// What some CPUs did since they were started, summed over them, as /proc/stat has it: in ticks of tick_ns().
/// Differences of two readings count. Crosses process borders as bytes.
struct CpuTimes {
  std::uint64_t available_ns = 0;  ///< number of CPUs × the steady clock
  std::uint64_t idle_ns = 0;       ///< without work, or waiting for a disk
  std::uint64_t stolen_ns = 0;     ///< taken by the hypervisor while they had work
  std::uint32_t cpus = 0;          ///< 0: not known

  CpuTimes& operator+=(const CpuTimes& other) noexcept;
  friend CpuTimes operator+(CpuTimes a, const CpuTimes& b) noexcept { return a += b; }
  friend CpuTimes operator-(const CpuTimes& after, const CpuTimes& before) noexcept;
};
static_assert(std::is_trivially_copyable_v<CpuTimes>);

/// Of the CPUs with these numbers, on this machine, now. `cpus` is 0 in it where /proc/stat does not tell of each.
CpuTimes cpu_times(std::span<const int> cpus);
/// The same from the text of /proc/stat.
CpuTimes cpu_times(std::span<const int> cpus, std::string_view stat, std::uint64_t steady_ns);

/// The least time that /proc/stat can tell.
std::uint64_t tick_ns() noexcept;

/// Lowers this process's peak resident size to its present one (/proc/self/clear_refs); false where the
/// system refuses, and the peak is then that of the whole process.
bool reset_peak_rss();

/// Peak resident size of this process in bytes (VmHWM); empty where /proc does not tell.
std::optional<std::uint64_t> peak_rss_bytes();

/// The start of a file in /proc, at most 8 KiB unless told otherwise; empty if it cannot be read.
std::string read_proc(const char* path, std::size_t most_bytes = 8192);

/// The number-th (from 0) blank-separated number after `label` in the text of such a file; empty where there is none.
std::optional<std::uint64_t> number_after(std::string_view text, std::string_view label, int number);

}  // namespace noisefloor
