// Sums of squares in sixteen lanes, and one uniform number per stream.
// SPDX-License-Identifier: MIT
#include "kernels/power.hpp"

namespace noisefloor {
namespace {

struct PowerUnit {};

}  // namespace

template <class At>
void PowerSum::accumulate(std::size_t count, At at) noexcept {
  static_assert(kSumBlock % kSumLanes == 0);
  for (std::size_t i = 0; i < count;) {
    const std::size_t in_block = static_cast<std::size_t>(count_ % kSumBlock);
    const std::size_t room = kSumBlock - in_block;
    const std::size_t end = i + (room < count - i ? room : count - i);
    count_ += end - i;
    for (std::size_t lane = in_block % kSumLanes; lane != 0 && i < end; lane = (lane + 1) % kSumLanes, ++i) {
      const double x = at(i);
      lanes_[lane] += x * x;
    }
    double lanes[kSumLanes];  // a local copy: the compiler keeps it in registers
    for (std::size_t l = 0; l < kSumLanes; ++l) lanes[l] = lanes_[l];
    for (; i + kSumLanes <= end; i += kSumLanes) {
      for (std::size_t l = 0; l < kSumLanes; ++l) {
        const double x = at(i + l);
        lanes[l] += x * x;
      }
    }
    for (std::size_t l = 0; l < kSumLanes; ++l) lanes_[l] = lanes[l];
    for (std::size_t lane = 0; i < end; ++lane, ++i) {
      const double x = at(i);
      lanes_[lane] += x * x;
    }
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
  accumulate(count, [samples](std::size_t i) { return static_cast<double>(samples[i]); });
}
void PowerSum::add(const std::int32_t* samples, std::size_t count) noexcept {
  accumulate(count, [samples](std::size_t i) { return static_cast<double>(samples[i]); });
}
void PowerSum::add(const float* samples, std::size_t count) noexcept {
  accumulate(count, [samples](std::size_t i) { return static_cast<double>(samples[i]); });
}
void PowerSum::add(const double* samples, std::size_t count) noexcept {
  accumulate(count, [samples](std::size_t i) { return samples[i]; });
}

void PowerSum::add_difference(const std::int16_t* a, const std::int16_t* b, std::size_t count) noexcept {
  accumulate(count, [a, b](std::size_t i) { return static_cast<double>(a[i] - b[i]); });
}
void PowerSum::add_difference(const std::int32_t* a, const std::int32_t* b, std::size_t count) noexcept {
  accumulate(count, [a, b](std::size_t i) { return static_cast<double>(a[i]) - static_cast<double>(b[i]); });
}
void PowerSum::add_difference(const float* a, const float* b, std::size_t count) noexcept {
  accumulate(count, [a, b](std::size_t i) { return static_cast<double>(a[i]) - static_cast<double>(b[i]); });
}
void PowerSum::add_difference(const double* a, const double* b, std::size_t count) noexcept {
  accumulate(count, [a, b](std::size_t i) { return a[i] - b[i]; });
}

double uniform_of(NoiseKey key) noexcept {
  constexpr std::uint64_t kUnusedBlock = std::uint64_t{1} << 59;  // samples end at block 2^52
  const auto words = Noise<PowerUnit>::seed(key, kUnusedBlock, 0);
  const std::uint64_t bits = (std::uint64_t{words.b} << 32 | words.a) >> 11;
  return static_cast<double>(bits) * 0x1p-53;
}

}  // namespace noisefloor
