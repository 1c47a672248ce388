// Noise added to a signal in memory: the ETL's transform without its files.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "harness/workloads/table.hpp"

namespace noisefloor {

/// The stream of the in-memory signal is stream_of(kNoiseStreamName).
inline constexpr std::string_view kNoiseStreamName = "noise";
/// Input and output together may take this much memory.
inline constexpr std::uint64_t kLargestNoiseBytes = std::uint64_t{2} << 30;

/// Task t adds noise to samples [t·task_size, (t+1)·task_size) of one signal, a tone. Input and output
/// are held in full, because then every task owns its slice of the output and memcpy of the same bytes
/// is the ceiling; hence the limit on their size. To hold the working set constant while tasks shrink,
/// keep tasks × task_size constant.
/// Throws UsageError for an unknown format, a task_size of 0 and signals beyond
/// kLargestNoiseBytes, MissingError for a kernel that cannot run here.
std::unique_ptr<Workload> make_noise(const WorkloadOptions& options);

}  // namespace noisefloor
