// What a plan will take, before anything is launched: time, disk, memory.
// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "harness/sweep/plan.hpp"

namespace noisefloor {

/// Of a launch that no earlier run tells about: five repetitions of 5 ms and start-up, taken twice.
inline constexpr std::chrono::milliseconds kUnknownLaunch{100};

struct Estimate {
  std::chrono::nanoseconds time{};  ///< calibration included
  std::uint64_t known_cells = 0;    ///< whose time is that of an earlier run; the others are taken for kUnknownLaunch
  std::uint64_t disk_bytes = 0;     ///< test signals that the cells read, and the output of the largest one
  std::uint64_t memory_bytes = 0;   ///< of the largest launch
};

/// The newest plan with calibrations that was made on machine `machine_id`, in the run folders below
/// `parent`. Plans that cannot be read are passed over.
std::optional<PlanFile> newest_plan(const std::string& parent, std::string_view machine_id, Pitfalls pitfalls = {});

/// `earlier`: a calibrated plan of the same machine, or nullptr.
Estimate estimate(const Plan& plan, const Plan* earlier);

/// "1.5 GB", "20 MB", "0 MB".
std::string format_size(std::uint64_t bytes);

}  // namespace noisefloor
