// The definition of the noise as plain loops over the lanes: what scalar and omp_simd compile, with
// different flags. For kernel units only.
// SPDX-License-Identifier: MIT
#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>

#include "kernels/contract.hpp"
#include "kernels/kernel.hpp"

namespace noisefloor {

/// `Unit` is a type of the unit's anonymous namespace: every function here is then local to it.
template <class Unit>
struct LaneLoops {
  using N = Noise<Unit>;
  using Lane = typename N::Lane;

  /// sfc32 of all lanes, and the last group drawn: reach·direction in sample order is sigma·z.
  struct Group {
    std::uint32_t a[kLanes], b[kLanes], c[kLanes], counter;
    float reach[kGroupSamples], direction[kGroupSamples];

    void seed(NoiseKey key, std::uint64_t block) noexcept {
      for (std::uint32_t l = 0; l < kLanes; ++l) {
        const Lane lane = N::seed(key, block, l);
        a[l] = lane.a;
        b[l] = lane.b;
        c[l] = lane.c;
      }
      counter = 1;
    }

    void skip() noexcept {
      for (std::uint32_t l = 0; l < kLanes; ++l) {
        Lane lane{a[l], b[l], c[l], counter};
        lane.next();
        lane.next();
        keep(lane, l);
      }
      counter += 2;
    }

    void draw(float sigma) noexcept {
#pragma omp simd
      for (std::uint32_t l = 0; l < kLanes; ++l) {
        Lane lane{a[l], b[l], c[l], counter};
        const std::uint32_t x = lane.next();
        const std::uint32_t y = lane.next();
        keep(lane, l);
        const typename N::Pair pair = N::box_muller(x, y);
        const float scaled = pair.radius * sigma;
        const std::size_t even = std::size_t{2} * l;
        reach[even] = scaled;
        reach[even + 1] = scaled;
        direction[even] = pair.cosine;
        direction[even + 1] = pair.sine;
      }
      counter += 2;
    }

    void keep(const Lane& lane, std::uint32_t l) noexcept {
      a[l] = lane.a;
      b[l] = lane.b;
      c[l] = lane.c;
    }
  };

  /// Samples of a group that are the caller's.
  struct Range {
    std::uint32_t first, last;
  };

  /// out = in + round(noise / step)·step, saturated; the group's sigma is in steps. Returns how many saturated.
  /// `Real` holds what `round` gives, and every sum that does not saturate, exactly.
  template <class Real, class T, class Round>
  static std::size_t add_integers(const T* in, T* out, const Group& group, int step, Range range,
                                  Round round) noexcept {
    constexpr Real kLow = static_cast<Real>(std::numeric_limits<T>::min());
    constexpr Real kHigh = static_cast<Real>(std::numeric_limits<T>::max());
    int saturated = 0;
#pragma omp simd reduction(+ : saturated)
    for (std::uint32_t k = range.first; k < range.last; ++k) {
      const Real sum = static_cast<Real>(in[k]) + round(group.reach[k], group.direction[k]) * static_cast<Real>(step);
      saturated += static_cast<int>(sum < kLow) + static_cast<int>(sum > kHigh);
      out[k] = static_cast<T>(static_cast<std::int32_t>(sum < kLow ? kLow : sum > kHigh ? kHigh : sum));
    }
    return static_cast<std::size_t>(saturated);
  }

  static std::size_t add(const std::int16_t* in, std::int16_t* out, const Group& group, int step, Range range,
                         float per_step) noexcept {
    if (per_step * kLargestNormal >= 0x1p22F) {  // kRounder reaches no further
      return add_integers<double>(in, out, group, step, range, [](float reach, float direction) {
        return __builtin_rint(static_cast<double>(reach) * static_cast<double>(direction));
      });
    }
    return add_integers<float>(in, out, group, step, range, [](float reach, float direction) {
      return N::fma(reach, direction, kRounder) - kRounder;
    });
  }
  static std::size_t add(const std::int32_t* in, std::int32_t* out, const Group& group, int step, Range range,
                         float) noexcept {
    return add_integers<double>(in, out, group, step, range, [](float reach, float direction) {
      return static_cast<double>(__builtin_rintf(reach * direction));
    });
  }
  template <class T>
  static std::size_t add_floats(const T* in, T* out, const Group& group, Range range) noexcept {
#pragma omp simd
    for (std::uint32_t k = range.first; k < range.last; ++k) {
      out[k] = in[k] + static_cast<T>(group.reach[k] * group.direction[k]);
    }
    return 0;
  }
  static std::size_t add(const float* in, float* out, const Group& group, int, Range range, float) noexcept {
    return add_floats(in, out, group, range);
  }
  static std::size_t add(const double* in, double* out, const Group& group, int, Range range, float) noexcept {
    return add_floats(in, out, group, range);
  }

  template <class T>
  static std::size_t run(const T* in, T* out, std::size_t n, float sigma, int step, NoiseKey key,
                         std::uint64_t first) noexcept {
    assert((contract_holds<Unit>(in, out, n, sigma, step)));
    if (sigma == 0.0F) {
      std::memmove(out, in, n * sizeof(T));
      return 0;
    }
    const float per_step = sigma / static_cast<float>(step);
    Group group;
    std::size_t saturated = 0;
    std::uint64_t position = first;
    bool seeded = false;
    while (n > 0) {
      const std::size_t offset = static_cast<std::size_t>(position % kBlockSamples);
      if (!seeded || offset == 0) {
        group.seed(key, position / kBlockSamples);
        for (std::size_t k = kGroupSamples; k <= offset; k += kGroupSamples) group.skip();
        seeded = true;
      }
      group.draw(per_step);
      const std::size_t skip = offset % kGroupSamples;
      const std::size_t count = kGroupSamples - skip < n ? kGroupSamples - skip : n;
      if (count == kGroupSamples) {
        saturated += add(in, out, group, step, Range{0, kGroupSamples}, per_step);
      } else {
        T padded[kGroupSamples] = {};
        std::memcpy(padded + skip, in, count * sizeof(T));
        const auto begin = static_cast<std::uint32_t>(skip);
        saturated +=
            add(padded, padded, group, step, Range{begin, begin + static_cast<std::uint32_t>(count)}, per_step);
        std::memcpy(out, padded + skip, count * sizeof(T));
      }
      in += count;
      out += count;
      position += count;
      n -= count;
    }
    return saturated;
  }

  static std::size_t i16(const std::int16_t* in, std::int16_t* out, std::size_t n, float sigma, int step, NoiseKey key,
                         std::uint64_t first) noexcept {
    return run(in, out, n, sigma, step, key, first);
  }
  static std::size_t i32(const std::int32_t* in, std::int32_t* out, std::size_t n, float sigma, int step, NoiseKey key,
                         std::uint64_t first) noexcept {
    return run(in, out, n, sigma, step, key, first);
  }
  static void f32(const float* in, float* out, std::size_t n, float sigma, NoiseKey key, std::uint64_t first) noexcept {
    run(in, out, n, sigma, 1, key, first);
  }
  static void f64(const double* in, double* out, std::size_t n, float sigma, NoiseKey key,
                  std::uint64_t first) noexcept {
    run(in, out, n, sigma, 1, key, first);
  }

  static constexpr KernelCode kCode{i16, i32, f32, f64};
};

}  // namespace noisefloor
