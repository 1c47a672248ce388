// The table of workloads, and what each needs to be made.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "harness/workloads/work.hpp"
#include "harness/workloads/workload.hpp"
#include "kernels/kernel.hpp"

namespace noisefloor {

/// Standard deviation of the benchmarks' noise, relative to full scale: about 98 int16 steps.
inline constexpr double kBenchmarkAmplitude = 0.003;

struct WorkloadOptions {
  std::uint32_t tasks = 1;          ///< >= 0
  std::uint64_t task_size = 1;      ///< >= 1; in the workload's task_size_unit
  const Kernel* kernel = nullptr;   ///< never null where uses_kernel; else ignored
  std::string format = "int16";     ///< int16 | int32 | float32 | float64: sample format of the buffers or test signals
  std::string output_mode = "new";  ///< etl and copy: new | replace | in_place
  std::uint64_t seed = 1;           ///< of the noise
  UserWork work = {};               ///< what the user brings, where the workload is theirs
};

struct WorkloadRow {
  std::string_view name;
  std::string_view help;
  std::string_view unavailable;
  std::string_view task_size_unit;  ///< "samples", "steps", "ns", …
  bool uses_kernel;                 ///< kernel and format matter
  bool uses_files;                  ///< output_mode and format matter
  /// Throws UsageError for options that the workload cannot honour, Error where signals cannot be made.
  std::unique_ptr<Workload> (*make)(const WorkloadOptions&);
  /// Of a user's work, found out before it is planned; throws as `make`. Null: the workload is the suite's own.
  WorkFacts (*describe)(const WorkloadOptions&) = nullptr;
  std::string_view needs = {};  ///< axes of the user's work without which it is none, blank-separated,
  std::string_view takes = {};  ///< and those that it can do without
};

std::span<const WorkloadRow> workloads() noexcept;
/// Throws UsageError for an unknown name (the nearest is suggested).
const WorkloadRow& select_workload(std::string_view name);

/// The kernel called `name`. "auto" is $NOISEFLOOR_KERNEL where that is set, else the widest that can run
/// here. Throws UsageError for an unknown name, MissingError for one that this CPU cannot run.
const Kernel& select_kernel(std::string_view name);
/// The name of the kernel whose bytes `name` gives (Kernel::bytes_of), also where `name` cannot run here; an unknown
/// name is returned as it is. "auto" is what select_kernel() makes of it, which may throw.
std::string_view kernel_defining(std::string_view name);

}  // namespace noisefloor
