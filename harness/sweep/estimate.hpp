// What a plan will take, before anything is launched: time, disk, memory.
// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "harness/base/limits.hpp"
#include "harness/sweep/launcher.hpp"
#include "harness/sweep/plan.hpp"
#include "harness/sweep/progress.hpp"

namespace noisefloor {

/// Of a launch of which nothing is known: five repetitions of 5 ms and start-up, taken twice.
inline constexpr std::chrono::milliseconds kUnknownLaunch{100};

/// How long tasks take, by kind (workload, kernel, sample format) and size.
class Rates {
 public:
  /// What calibration found in an earlier run on this machine.
  void learn(const Plan& earlier);
  /// Launches one small task of every kind in `plan` that nothing is known of, for `patience` in all. What cannot be
  /// launched stays unknown. Throws Error with status interrupted where that was asked for.
  void measure(const Plan& plan, Launcher& launcher, const Clock& clock, std::chrono::nanoseconds patience);

  /// One task of the cell alone, in ns, from the nearest size that is known; empty where its kind is not.
  [[nodiscard]] std::optional<double> task_ns(const Cell& cell) const;

 private:
  std::map<std::string, std::map<std::uint64_t, double>> known_;  // by kind and task size
};

struct Estimate {
  std::chrono::nanoseconds time{};  ///< calibration included
  std::uint64_t known_cells = 0;    ///< whose time is that of an earlier run
  std::uint64_t rated_cells = 0;   ///< whose time follows from rates; the others' launches are taken for kUnknownLaunch
  std::uint64_t disk_bytes = 0;    ///< test signals that the cells read, and the output of the largest one
  std::uint64_t memory_bytes = 0;  ///< of the largest launch
};

/// The newest plan with calibrations that was made on machine `machine_id`, in the run folders below
/// `parent`. Plans that cannot be read are passed over.
std::optional<PlanFile> newest_plan(const std::string& parent, std::string_view machine_id, Pitfalls pitfalls = {});

/// `earlier`: a calibrated plan of the same machine, or nullptr. `cpus`: that workers share.
Estimate estimate(const Plan& plan, const Plan* earlier, const Rates& rates = {}, int cpus = available_workers());

}  // namespace noisefloor
