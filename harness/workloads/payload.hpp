// Tasks that return many bytes: what it costs to bring results back.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "harness/workloads/table.hpp"

namespace noisefloor {

/// The most that one task may return: 1 GiB. A chunk's results are one buffer per worker.
inline constexpr std::uint64_t kLargestPayloadBytes = std::uint64_t{1} << 30;

/// Each task returns task_size bytes, those of fill_payload(), and records their hash in memory that workers
/// share; digest() is made of these hashes, so it says what the tasks made, and not what arrived. In stages: extract
/// reads nothing, transform makes the bytes, load keeps what arrived, finish hashes it.
/// options.kernel, format, output_mode and seed do not matter. Throws UsageError for a task_size of 0 or beyond
/// kLargestPayloadBytes.
std::unique_ptr<Workload> make_payload(const WorkloadOptions& options);

/// What task `task` returns from byte `first` on, a multiple of 8: 64-bit words in the machine's byte order, each the
/// last one plus an odd constant, from a start that depends on the task. Costs one store per word.
void fill_payload(std::uint32_t task, std::span<std::byte> bytes, std::uint64_t first = 0) noexcept;

}  // namespace noisefloor
