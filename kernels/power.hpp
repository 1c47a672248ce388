// How loud samples are: sums of squares that come out the same however the samples are cut into pieces, on every CPU.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/noise.hpp"

namespace noisefloor {

/// Sum of the squares of a signal's samples, taken in pieces of any length, in double.
///
/// The order of the additions is part of the definition. Sample i, counted from the first piece's first sample, is
/// squared and added to lane i % 16. After every 4096 samples, and at the end, the lanes are added in pairs
/// (l and l + 8, then l + 4, l + 2, l + 1) and their sum to the total. Nothing is fused. So the sum depends on the
/// samples alone; for int16 it is exact up to 2^53.
///
/// For one thread. Unit: that of the samples, squared; above 2^1024 it is infinite, NaN makes it NaN.
class PowerSum {
 public:
  static constexpr std::size_t kSumLanes = 16;
  static constexpr std::size_t kSumBlock = 4096;

  void add(const std::int16_t* samples, std::size_t count) noexcept;
  void add(const std::int32_t* samples, std::size_t count) noexcept;
  void add(const float* samples, std::size_t count) noexcept;
  void add(const double* samples, std::size_t count) noexcept;

  /// Adds the squares of a[k] - b[k], taken in double.
  void add_difference(const std::int16_t* a, const std::int16_t* b, std::size_t count) noexcept;
  void add_difference(const std::int32_t* a, const std::int32_t* b, std::size_t count) noexcept;
  void add_difference(const float* a, const float* b, std::size_t count) noexcept;
  void add_difference(const double* a, const double* b, std::size_t count) noexcept;

  [[nodiscard]] double sum() const noexcept { return total_ + lane_sum(); }
  [[nodiscard]] std::uint64_t count() const noexcept { return count_; }

 private:
  template <bool kDifference, class T>
  void accumulate(const T* a, const T* b, std::size_t count) noexcept;
  [[nodiscard]] double lane_sum() const noexcept;

  double lanes_[kSumLanes] = {};
  double total_ = 0;
  std::uint64_t count_ = 0;
};

/// A number in [0, 1), a multiple of 2^-53, for choices that are made once per stream. It is the first 53 bits of a
/// Philox block whose counter no sample's noise uses (word 1 is 2^31; noise keeps it below 2^24): independent of the
/// noise, and a pure function of the key.
[[nodiscard]] double uniform_of(NoiseKey key) noexcept;

}  // namespace noisefloor
