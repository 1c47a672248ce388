// Sums of squares in sixteen lanes, and one uniform number per stream.
// SPDX-License-Identifier: MIT
#include "kernels/power.hpp"

namespace noisefloor {
namespace {

struct PowerUnit {};

constexpr std::size_t kSumLanes = PowerSum::kSumLanes;

/// Adds the squares of `groups` times sixteen samples, or of their differences, to `sums`. Inlined into one function
/// per instruction set: IEEE arithmetic in a given order has one result, however many lanes a register holds.
template <bool kDifference, class T>
[[gnu::always_inline]] inline void add_groups(const T* a, const T* b, std::size_t groups, double* sums) noexcept {
  double lanes[kSumLanes];  // a local copy: the compiler keeps it in registers
  for (std::size_t l = 0; l < kSumLanes; ++l) lanes[l] = sums[l];
  for (std::size_t i = 0; i < groups * kSumLanes; i += kSumLanes) {
    for (std::size_t l = 0; l < kSumLanes; ++l) {
      double x = static_cast<double>(a[i + l]);
      if constexpr (kDifference) x -= static_cast<double>(b[i + l]);
      lanes[l] += x * x;
    }
  }
  for (std::size_t l = 0; l < kSumLanes; ++l) sums[l] = lanes[l];
}

template <bool kDifference, class T>
void add_groups_anywhere(const T* a, const T* b, std::size_t groups, double* sums) noexcept {
  add_groups<kDifference>(a, b, groups, sums);
}

#if defined(__x86_64__)
template <bool kDifference, class T>
[[gnu::target("avx2")]] void add_groups_avx2(const T* a, const T* b, std::size_t groups, double* sums) noexcept {
  add_groups<kDifference>(a, b, groups, sums);
}

template <bool kDifference, class T>
void add_groups_here(const T* a, const T* b, std::size_t groups, double* sums) noexcept {
  static const bool has_avx2 = __builtin_cpu_supports("avx2") != 0;
  has_avx2 ? add_groups_avx2<kDifference>(a, b, groups, sums) : add_groups_anywhere<kDifference>(a, b, groups, sums);
}
#else
template <bool kDifference, class T>
void add_groups_here(const T* a, const T* b, std::size_t groups, double* sums) noexcept {
  add_groups_anywhere<kDifference>(a, b, groups, sums);
}
#endif

}  // namespace

template <bool kDifference, class T>
void PowerSum::accumulate(const T* a, const T* b, std::size_t count) noexcept {
  static_assert(kSumBlock % kSumLanes == 0);
  const auto add_one = [&](std::size_t lane, std::size_t i) {
    double x = static_cast<double>(a[i]);
    if constexpr (kDifference) x -= static_cast<double>(b[i]);
    lanes_[lane] += x * x;
  };
  for (std::size_t i = 0; i < count;) {
    const std::size_t in_block = static_cast<std::size_t>(count_ % kSumBlock);
    const std::size_t room = kSumBlock - in_block;
    const std::size_t end = i + (room < count - i ? room : count - i);
    count_ += end - i;
    for (std::size_t lane = in_block % kSumLanes; lane % kSumLanes != 0 && i < end; ++lane, ++i) add_one(lane, i);
    const std::size_t groups = (end - i) / kSumLanes;
    if (groups > 0) {
      if constexpr (kDifference) {
        add_groups_here<true>(a + i, b + i, groups, lanes_);
      } else {
        add_groups_here<false>(a + i, a + i, groups, lanes_);
      }
    }
    i += groups * kSumLanes;
    for (std::size_t lane = 0; i < end; ++lane, ++i) add_one(lane, i);
    if (count_ % kSumBlock == 0) {
      total_ += lane_sum();
      for (double& lane : lanes_) lane = 0;
    }
  }
}

double PowerSum::lane_sum() const noexcept {
  double sums[kSumLanes];
  for (std::size_t l = 0; l < kSumLanes; ++l) sums[l] = lanes_[l];
  for (std::size_t half = kSumLanes / 2; half > 0; half /= 2) {
    for (std::size_t l = 0; l < half; ++l) sums[l] += sums[l + half];
  }
  return sums[0];
}

void PowerSum::add(const std::int16_t* samples, std::size_t count) noexcept {
  accumulate<false>(samples, samples, count);
}
void PowerSum::add(const std::int32_t* samples, std::size_t count) noexcept {
  accumulate<false>(samples, samples, count);
}
void PowerSum::add(const float* samples, std::size_t count) noexcept { accumulate<false>(samples, samples, count); }
void PowerSum::add(const double* samples, std::size_t count) noexcept { accumulate<false>(samples, samples, count); }

void PowerSum::add_difference(const std::int16_t* a, const std::int16_t* b, std::size_t count) noexcept {
  accumulate<true>(a, b, count);
}
void PowerSum::add_difference(const std::int32_t* a, const std::int32_t* b, std::size_t count) noexcept {
  accumulate<true>(a, b, count);
}
void PowerSum::add_difference(const float* a, const float* b, std::size_t count) noexcept {
  accumulate<true>(a, b, count);
}
void PowerSum::add_difference(const double* a, const double* b, std::size_t count) noexcept {
  accumulate<true>(a, b, count);
}

double uniform_of(NoiseKey key) noexcept {
  constexpr std::uint64_t kUnusedBlock = std::uint64_t{1} << 59;  // samples end at block 2^52
  const auto words = Noise<PowerUnit>::seed(key, kUnusedBlock, 0);
  const std::uint64_t bits = (std::uint64_t{words.b} << 32 | words.a) >> 11;
  return static_cast<double>(bits) * 0x1p-53;
}

}  // namespace noisefloor
