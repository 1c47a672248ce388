// Tasks so small that what is timed is how they are handed out: numbers multiplied by ten.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <memory>

#include "harness/workloads/table.hpp"

namespace noisefloor {

/// Input and output together may take this much memory.
inline constexpr std::uint64_t kLargestMultiplyBytes = std::uint64_t{2} << 30;

/// Task t multiplies items [t·task_size, (t+1)·task_size) of one array of 64-bit integers by ten, into an
/// array of its own. With a task_size of 1 a task is one item: a load, a multiplication, a store.
/// options.kernel, format, output_mode and seed do not matter. Throws UsageError for a task_size of 0 and
/// for arrays beyond kLargestMultiplyBytes.
std::unique_ptr<Workload> make_multiply(const WorkloadOptions& options);

}  // namespace noisefloor
