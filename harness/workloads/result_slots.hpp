// One number per task in memory that forked workers share, poisoned where no task has written.
// SPDX-License-Identifier: MIT
#pragma once

#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "harness/base/error.hpp"
#include "harness/base/shared_mapping.hpp"
#include "harness/workloads/workload.hpp"

namespace noisefloor {

/// Slots lie 8 bytes apart, so neighbouring tasks of different workers share cache lines: it is what collecting small
/// results costs, equal for all strategies, and one store per task.
class ResultSlots {
 public:
  /// All poisoned. Throws Error if the memory cannot be had.
  explicit ResultSlots(std::uint32_t tasks)
      : memory_(std::size_t{tasks} * sizeof(std::uint64_t)), slots_(memory_.as<std::uint64_t>()) {
    poison();
  }

  [[nodiscard]] std::uint32_t size() const noexcept { return static_cast<std::uint32_t>(slots_.size()); }
  /// Written by the task of that number alone.
  [[nodiscard]] std::uint64_t& operator[](std::uint32_t task) const noexcept { return slots_[task]; }

  void poison() noexcept { std::fill(slots_.begin(), slots_.end(), kPoison); }

  /// Sum of hashes seeded by task number. Throws Error, naming `workload`, for a task that wrote nothing.
  [[nodiscard]] std::uint64_t digest(TaskRange range, std::string_view workload) const {
    std::uint64_t sum = 0;
    for (std::uint32_t task = range.first; task < range.last; ++task) {
      const std::uint64_t result = slots_[task];
      if (result == kPoison) {
        throw Error(fmt::format("{}: task {} left no result: it did not run", workload, task));
      }
      sum += XXH3_64bits_withSeed(&result, sizeof result, task);
    }
    return sum;
  }

 private:
  // No task is expected to end here (one chain in 2^64 would).
  static constexpr std::uint64_t kPoison = ~std::uint64_t{0};

  SharedMapping memory_;
  std::span<std::uint64_t> slots_;
};

}  // namespace noisefloor
