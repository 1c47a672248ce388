// Parts of a collection: which of N processes handles a file.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace noisefloor {

/// Part `number` of `count`. By itself it is all of a collection.
struct Shard {
  std::uint32_t number = 1;  ///< from 1
  std::uint32_t count = 1;   ///< not below `number`
  std::optional<std::int64_t> array_first =
      std::nullopt;  ///< of the job array that numbered it: the array's smallest number

  /// Whether the input belongs to it whose first copy has this stream: its bits mixed (MurmurHash3's 64-bit finalizer),
  /// modulo `count`, is number - 1.
  [[nodiscard]] bool holds(std::uint64_t stream) const noexcept;
  /// "3/8"
  [[nodiscard]] std::string text() const;
};

/// "K/N", or "auto/N": the number from the variables of a Slurm job array (SLURM_ARRAY_TASK_ID, counted from
/// SLURM_ARRAY_TASK_MIN in steps of SLURM_ARRAY_TASK_STEP). An array of fewer than N members runs some again:
/// `first_recorded` then tells where the whole array began. Throws UsageError.
[[nodiscard]] Shard shard_of(std::string_view text,
                             const std::function<std::optional<std::int64_t>(std::uint32_t count)>& first_recorded);

}  // namespace noisefloor
