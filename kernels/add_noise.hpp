// One vector body for all instruction sets, generic over the xsimd architecture. For kernel units only.
// SPDX-License-Identifier: MIT
//
// It computes kernels/noise.hpp, 32 samples a step: the 16 lanes lie in 1 register (AVX-512), 2 (AVX2)
// or 4 (NEON, SSE2). Every name is templated on the architecture, so that no two units share a symbol.
#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>

#include "kernels/contract.hpp"
#include "kernels/kernel.hpp"
#include "kernels/simd_compat.hpp"

namespace noisefloor::simd {

template <class Arch>
struct AddNoise {
  using Floats = Batch<float, Arch>;
  using Ints = Batch<std::int32_t, Arch>;
  using Words = Batch<std::uint32_t, Arch>;
  using Wides = Batch<std::uint64_t, Arch>;
  using Shorts = Batch<std::int16_t, Arch>;
  static constexpr std::size_t kWidth = Floats::size;
  static constexpr std::size_t kRegisters = kLanes / kWidth;
  static_assert(kRegisters * kWidth == kLanes);
  static constexpr std::uint32_t kDrawsPerBlock = 2 * kBlockSamples / kGroupSamples;

  static Floats fma(const Floats& x, const Floats& y, const Floats& z) noexcept {
    return Fused<Arch>::multiply_add(x, y, z);
  }

  /// The counter of sfc32 is the same in all lanes: read from a table, it costs a load in place of an addition.
  struct Counters {
    alignas(64) std::uint32_t values[kDrawsPerBlock];
    constexpr Counters() noexcept : values() {
      for (std::uint32_t i = 0; i < kDrawsPerBlock; ++i) values[i] = i + 1;
    }
  };
  static constexpr Counters kCounters{};

  /// sfc32 in all lanes.
  struct Lanes {
    Words a[kRegisters], b[kRegisters], c[kRegisters];
    const std::uint32_t* counter = kCounters.values;

    Words next(std::size_t r, const Words& count) noexcept {
      const Words result = a[r] + b[r] + count;
      a[r] = b[r] ^ (b[r] >> kSfcRight);
      b[r] = c[r] + (c[r] << kSfcLeft);
      c[r] = rotate_left<kSfcRotate>(c[r]) + result;
      return result;
    }
  };

  /// Philox4x32-10 of every second lane, each in the low half of a 64-bit element. What lands in the
  /// high halves never reaches a low one.
  static void philox(NoiseKey key, std::uint64_t block, Wides lane, Wides out[3]) noexcept {
    Wides c0(block & 0xffffffffU);
    Wides c1 = Wides((block >> 32) << 4) | lane;
    Wides c2(key.stream & 0xffffffffU);
    Wides c3(key.stream >> 32);
    std::uint32_t k0 = static_cast<std::uint32_t>(key.seed);
    std::uint32_t k1 = static_cast<std::uint32_t>(key.seed >> 32);
    const Wides m0(std::uint64_t{kPhiloxMultiplier[0]});
    const Wides m1(std::uint64_t{kPhiloxMultiplier[1]});
    for (int round = 0; round < kPhiloxRounds; ++round) {
      const Wides p0 = Widening<Arch>::multiply(m0, c0);
      const Wides p1 = Widening<Arch>::multiply(m1, c2);
      c0 = (p1 >> 32) ^ c1 ^ Wides(std::uint64_t{k0});
      c2 = (p0 >> 32) ^ c3 ^ Wides(std::uint64_t{k1});
      c1 = p1;
      c3 = p0;
      k0 += kPhiloxWeyl[0];
      k1 += kPhiloxWeyl[1];
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
  }

  static Lanes seed(NoiseKey key, std::uint64_t block) noexcept {
    alignas(64) static constexpr std::uint64_t kEven[8] = {0, 2, 4, 6, 8, 10, 12, 14};
    Lanes lanes;
    const Wides low_half(std::uint64_t{0xffffffffU});
    for (std::size_t r = 0; r < kRegisters; ++r) {
      const Wides even = Wides::load_unaligned(kEven + r * Wides::size);
      Wides e[3], o[3];
      philox(key, block, even, e);
      philox(key, block, even | Wides(std::uint64_t{1}), o);
      lanes.a[r] = bits_as<std::uint32_t>((e[0] & low_half) | (o[0] << 32));
      lanes.b[r] = bits_as<std::uint32_t>((e[1] & low_half) | (o[1] << 32));
      lanes.c[r] = bits_as<std::uint32_t>((e[2] & low_half) | (o[2] << 32));
    }
    return lanes;
  }

  /// 2·W normals of one register: the even samples are radius·cosine, the odd ones radius·sine. (References,
  /// since a returned struct would be written to memory first.)
  static void box_muller(const Words& x, const Words& y, Floats& radius, Floats& cosine, Floats& sine) noexcept {
    const Words bits = bits_as<std::uint32_t>(to_float(bits_as<std::int32_t>(x | Words(1U))));
    const Ints magnitude = bits_as<std::int32_t>(bits & Words(0x7fffffffU));
    const Floats units = to_float(magnitude - Ints(0x4f000000));
    const Floats t = bits_as<float>((bits & Words(0x007fffffU)) | Words(0x3f800000U)) - Floats(1.5F);
    Floats bump = fma(Floats(kLogBump[4]), t, Floats(kLogBump[3]));
    bump = fma(bump, t, Floats(kLogBump[2]));
    bump = fma(bump, t, Floats(kLogBump[1]));
    bump = fma(bump, t, Floats(kLogBump[0]));
    const Floats width = Fused<Arch>::multiply_subtract_from(t, t, Floats(0.25F));
    const Floats squared = fma(width, bump, units * Floats(kLogSlope));
    const Words root = bits_as<std::uint32_t>(square_root(squared));
    radius = bits_as<float>(root | (bits & Words(0x80000000U)));

    const Floats a = to_float(bits_as<std::int32_t>(y)) * Floats(0x1p-32F);
    const Floats q = a * a;
    sine = fma(Floats(kSine[3]), q, Floats(kSine[2]));
    sine = fma(sine, q, Floats(kSine[1]));
    sine = a * fma(sine, q, Floats(kSine[0]));
    cosine = fma(Floats(kCosine[3]), q, Floats(kCosine[2]));
    cosine = fma(cosine, q, Floats(kCosine[1]));
    cosine = fma(cosine, q, Floats(kCosine[0]));
  }

  static constexpr std::size_t kSpan = 2 * kWidth;  ///< samples of one register's pairs

  /// Samples of a span that are the caller's; the others are padding, which is 0.
  struct Range {
    std::size_t first = 0, last = kSpan;
  };

  // Each format adds the noise of one span, sigma·radius × cosine or sine, and keeps count of what saturated
  // within the range.

  struct FloatFormat {
    using Sample = float;
    Floats sigma;
    std::size_t saturated() const noexcept { return 0; }
    void end_block() noexcept {}
    void add(const float* in, float* out, const Floats& reach, const Floats& cosine, const Floats& sine,
             Range) noexcept {
      Floats low, high;
      Interleave<Arch>::floats(reach * cosine, reach * sine, low, high);
      low = low + Floats::load_unaligned(in);
      high = high + Floats::load_unaligned(in + kWidth);
      low.store_unaligned(out);
      high.store_unaligned(out + kWidth);
    }
  };

  struct DoubleFormat {
    using Sample = double;
    Floats sigma;
    std::size_t saturated() const noexcept { return 0; }
    void end_block() noexcept {}
    void add(const double* in, double* out, const Floats& reach, const Floats& cosine, const Floats& sine,
             Range) noexcept {
      alignas(64) float noise[kSpan];
      alignas(64) double sums[kSpan];  // in and out may be one: a buffer of its own lets the loop be vectorised
      spill(reach * cosine, reach * sine, noise);
      std::memcpy(sums, in, sizeof sums);
      for (std::size_t k = 0; k < kSpan; ++k) sums[k] += static_cast<double>(noise[k]);
      std::memcpy(out, sums, sizeof sums);
    }
  };

  /// int16 noise that fits int16: rounded by kRounder, added with the saturating instruction. Padding cannot
  /// saturate. Not kStepped: in steps of 1, shift is 0.
  template <bool kStepped>
  struct ShortFormat {
    using Sample = std::int16_t;
    Floats sigma;
    int shift;
    Shorts tally = Shorts(std::int16_t{0});  // saturated samples by element, of this block: at most 4096 / W
    std::size_t total = 0;

    std::size_t saturated() const noexcept { return total; }
    void end_block() noexcept {
      alignas(64) std::int16_t counts[Shorts::size];
      tally.store_aligned(counts);
      for (const std::int16_t count : counts) total += static_cast<std::size_t>(count);
      tally = Shorts(std::int16_t{0});
    }
    void add(const std::int16_t* in, std::int16_t* out, const Floats& reach, const Floats& cosine, const Floats& sine,
             Range) noexcept {
      const Floats even = fma(reach, cosine, Floats(kRounder));
      const Floats odd = fma(reach, sine, Floats(kRounder));
      Shorts noise = Interleave<Arch>::shorts(bits_as<std::uint32_t>(even), bits_as<std::uint32_t>(odd));
      if constexpr (kStepped) noise = noise << shift;
      const Shorts samples = Shorts::load_unaligned(in);
      const Shorts sum = xsimd::sadd(samples, noise);
      tally = Tally<Arch>::add_where_different(tally, sum, samples + noise);
      sum.store_unaligned(out);
    }
  };

  /// int32 noise that fits int32. Padding cannot saturate.
  struct IntFormat {
    using Sample = std::int32_t;
    Floats sigma;
    int shift;
    Ints tally = Ints(0);  // minus the saturated samples by element, of this block
    std::size_t total = 0;

    std::size_t saturated() const noexcept { return total; }
    void end_block() noexcept {
      alignas(64) std::int32_t counts[kWidth];
      tally.store_aligned(counts);
      for (const std::int32_t count : counts) total += static_cast<std::size_t>(-count);
      tally = Ints(0);
    }
    void add(const std::int32_t* in, std::int32_t* out, const Floats& reach, const Floats& cosine, const Floats& sine,
             Range) noexcept {
      Floats low, high;
      Interleave<Arch>::floats(reach * cosine, reach * sine, low, high);
      add_register(in, out, low);
      add_register(in + kWidth, out + kWidth, high);
    }
    void add_register(const std::int32_t* in, std::int32_t* out, const Floats& z) noexcept {
      const Ints noise = to_int(z) << shift;
      const Ints samples = Ints::load_unaligned(in);
      const Ints sum = samples + noise;
      const Ints overflowed = ((samples ^ sum) & (noise ^ sum)) >> 31;  // all ones where both have another sign
      const Ints limit = (samples >> 31) ^ Ints(0x7fffffff);
      tally = tally + overflowed;
      const Ints limited = (sum & ~overflowed) | (limit & overflowed);
      limited.store_unaligned(out);
    }
  };

  /// Integer noise of any size, for T = int16 and int32, in float64: every sum that does not saturate is exact.
  template <class T>
  struct WideFormat {
    using Sample = T;
    static constexpr double kLow = static_cast<double>(std::numeric_limits<T>::min());
    static constexpr double kHigh = static_cast<double>(std::numeric_limits<T>::max());
    Floats sigma;
    int step;
    std::size_t total = 0;

    std::size_t saturated() const noexcept { return total; }
    void end_block() noexcept {}
    void add(const T* in, T* out, const Floats& reach, const Floats& cosine, const Floats& sine, Range range) noexcept {
      alignas(64) float reaches[kSpan];
      alignas(64) float directions[kSpan];
      spill(reach, reach, reaches);
      spill(cosine, sine, directions);
      for (std::size_t k = range.first; k < range.last; ++k) {
        const double noise = rounded(reaches[k], directions[k]);
        const double sum = static_cast<double>(in[k]) + noise * static_cast<double>(step);
        const bool low = sum < kLow;
        const bool high = sum > kHigh;
        total += static_cast<std::size_t>(low | high);
        out[k] = static_cast<T>(static_cast<std::int32_t>(low ? kLow : high ? kHigh : sum));
      }
    }
    static double rounded(float reach, float direction) noexcept {
      if constexpr (sizeof(T) == 2) return __builtin_rint(static_cast<double>(reach) * static_cast<double>(direction));
      return static_cast<double>(__builtin_rintf(reach * direction));
    }
  };

  /// Stores 2·W floats in the order of the samples.
  static void spill(const Floats& even, const Floats& odd, float* to) noexcept {
    Floats low, high;
    Interleave<Arch>::floats(even, odd, low, high);
    low.store_aligned(to);
    high.store_aligned(to + kWidth);
  }

  /// Adds the noise of the next 32 samples, of which [first, last) are the caller's.
  template <class Format>
  static void add_group(Format& format, const typename Format::Sample* in, typename Format::Sample* out, Lanes& lanes,
                        std::size_t first = 0, std::size_t last = kGroupSamples) noexcept {
    const Words x_count(lanes.counter[0]);
    const Words y_count(lanes.counter[1]);
    lanes.counter += 2;
    for (std::size_t r = 0; r < kRegisters; ++r) {
      const Words x = lanes.next(r, x_count);
      const Words y = lanes.next(r, y_count);
      Floats radius, cosine, sine;
      box_muller(x, y, radius, cosine, sine);
      const std::size_t at = r * kSpan;
      const Range range{first > at ? first - at : 0, last < at + kSpan ? (last > at ? last - at : 0) : kSpan};
      format.add(in + at, out + at, radius * format.sigma, cosine, sine, range);
    }
  }

  /// Walks [first, first + n) block by block; whole groups go straight, partial ones through a copy.
  template <class Format>
  static std::size_t run(Format format, const typename Format::Sample* in, typename Format::Sample* out, std::size_t n,
                         NoiseKey key, std::uint64_t first) noexcept {
    using Sample = typename Format::Sample;
    const auto partial = [&](std::size_t skip, std::size_t count, Lanes& lanes) {
      alignas(64) Sample padded[kGroupSamples] = {};
      std::memcpy(padded + skip, in, count * sizeof(Sample));
      add_group(format, padded, padded, lanes, skip, skip + count);
      std::memcpy(out, padded + skip, count * sizeof(Sample));
    };
    std::uint64_t block = first / kBlockSamples;
    std::size_t offset = static_cast<std::size_t>(first % kBlockSamples);
    while (n > 0) {
      Lanes lanes = seed(key, block);
      for (std::size_t skipped = kGroupSamples; skipped <= offset; skipped += kGroupSamples) {
        for (int draw = 0; draw < 2; ++draw) {
          const Words count(*lanes.counter++);
          for (std::size_t r = 0; r < kRegisters; ++r) lanes.next(r, count);
        }
      }
      std::size_t left = kBlockSamples - offset < n ? kBlockSamples - offset : n;
      n -= left;
      if (const std::size_t skip = offset % kGroupSamples; skip != 0) {
        const std::size_t count = kGroupSamples - skip < left ? kGroupSamples - skip : left;
        partial(skip, count, lanes);
        in += count;
        out += count;
        left -= count;
      }
      for (; left >= kGroupSamples; left -= kGroupSamples) {
        add_group(format, in, out, lanes);
        in += kGroupSamples;
        out += kGroupSamples;
      }
      if (left > 0) {
        partial(0, left, lanes);
        in += left;
        out += left;
      }
      format.end_block();
      ++block;
      offset = 0;
    }
    return format.saturated();
  }

  static std::size_t i16(const std::int16_t* in, std::int16_t* out, std::size_t n, float sigma, int step, NoiseKey key,
                         std::uint64_t first) noexcept {
    assert((contract_holds<Arch>(in, out, n, sigma, step)));
    if (sigma == 0.0F) {
      std::memmove(out, in, n * sizeof *out);
      return 0;
    }
    const Floats per_step(sigma / static_cast<float>(step));
    if (sigma * kLargestNormal + static_cast<float>(step) < 32767.0F) {
      if (step == 1) return run(ShortFormat<false>{per_step, 0}, in, out, n, key, first);
      return run(ShortFormat<true>{per_step, __builtin_ctz(static_cast<unsigned>(step))}, in, out, n, key, first);
    }
    return run(WideFormat<std::int16_t>{per_step, step}, in, out, n, key, first);
  }

  static std::size_t i32(const std::int32_t* in, std::int32_t* out, std::size_t n, float sigma, int step, NoiseKey key,
                         std::uint64_t first) noexcept {
    assert((contract_holds<Arch>(in, out, n, sigma, step)));
    if (sigma == 0.0F) {
      std::memmove(out, in, n * sizeof *out);
      return 0;
    }
    const Floats per_step(sigma / static_cast<float>(step));
    if (sigma * kLargestNormal + static_cast<float>(step) < 0x1.fffffep30F) {
      return run(IntFormat{per_step, __builtin_ctz(static_cast<unsigned>(step))}, in, out, n, key, first);
    }
    return run(WideFormat<std::int32_t>{per_step, step}, in, out, n, key, first);
  }

  static void f32(const float* in, float* out, std::size_t n, float sigma, NoiseKey key, std::uint64_t first) noexcept {
    assert((contract_holds<Arch>(in, out, n, sigma, 1)));
    if (sigma == 0.0F) {
      std::memmove(out, in, n * sizeof *out);
      return;
    }
    run(FloatFormat{Floats(sigma)}, in, out, n, key, first);
  }

  static void f64(const double* in, double* out, std::size_t n, float sigma, NoiseKey key,
                  std::uint64_t first) noexcept {
    assert((contract_holds<Arch>(in, out, n, sigma, 1)));
    if (sigma == 0.0F) {
      std::memmove(out, in, n * sizeof *out);
      return;
    }
    run(DoubleFormat{Floats(sigma)}, in, out, n, key, first);
  }

  static constexpr KernelCode kCode{i16, i32, f32, f64};
};

}  // namespace noisefloor::simd
