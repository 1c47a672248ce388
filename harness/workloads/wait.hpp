// Tasks that are blocked and need no CPU, as if they waited for a disk or a peer.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <memory>

#include "harness/workloads/table.hpp"

namespace noisefloor {

/// The longest wait of one task, ns: an hour.
inline constexpr std::uint64_t kLongestWaitNs = 3'600'000'000'000U;

/// Each task sleeps for task_size ns, then writes a number that tells which task it was. It never sleeps
/// shorter; how much longer is the kernel's affair (timer slack, 50 µs by default, and waking up), so task_ns
/// says what a task really takes. More workers than CPUs pay here, and only here.
/// options.kernel, format, output_mode and seed do not matter. Throws UsageError for a task_size of 0 or beyond
/// kLongestWaitNs.
std::unique_ptr<Workload> make_wait(const WorkloadOptions& options);

}  // namespace noisefloor
