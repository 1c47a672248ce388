// Tasks that compute for a chosen time and touch no memory.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <memory>

#include "harness/workloads/table.hpp"

namespace noisefloor {

/// All results together may take this much memory.
inline constexpr std::uint64_t kLargestSpinBytes = std::uint64_t{1} << 30;

/// Task t is spin(a hash of t, options.task_size); options.kernel, format, output_mode and seed do not
/// matter. Throws UsageError for a task_size of 0, and for more tasks than kLargestSpinBytes hold results.
std::unique_ptr<Workload> make_spin(const WorkloadOptions& options);

}  // namespace noisefloor
