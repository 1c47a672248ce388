// Tasks that compute for a chosen time and touch no memory.
// SPDX-License-Identifier: MIT
#pragma once

#include <memory>

#include "harness/workloads/table.hpp"

namespace noisefloor {

/// Task t is spin(a hash of t, options.task_size); options.kernel, format, output_mode and seed do not
/// matter. Throws UsageError for a task_size of 0.
std::unique_ptr<Workload> make_spin(const WorkloadOptions& options);

}  // namespace noisefloor
