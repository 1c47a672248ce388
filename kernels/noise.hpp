// What the noise is: the one-page definition that every kernel but the naive ones reproduces bit for bit.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>

namespace noisefloor {

// Sample i of the noise is a pure function of (seed, stream, i): no state survives a call, so any
// worker may start at any sample.
//
//   block  b = i / 4096            each block is seeded afresh
//   group  g = (i % 4096) / 32     each of 16 lanes draws one pair of normals per group
//   lane   l = (i % 32) / 2        neighbours are a pair: an even sample is the cosine of its lane,
//   part   i % 2                   an odd one the sine
//
// Lane l of block b starts as sfc32 with counter 1 and a, b, c = the first three words of
// philox4x32_10(key = seed, counter = {b mod 2^32, 16·(b / 2^32) + l, stream}), low words first.
// It draws two 32-bit words per group, x then y; Box-Muller turns them into two independent normals.
//
// All arithmetic is IEEE float32, round to nearest even, with fused multiply-add exactly where fma()
// is written and nowhere else (compile with -ffp-contract=off).
struct NoiseKey {
  std::uint64_t seed;    ///< the user's seed
  std::uint64_t stream;  ///< which signal: stream_of(relative path, copy)

  friend bool operator==(const NoiseKey&, const NoiseKey&) = default;
};

/// Of all that follows: another number once any sample of any key differs.
inline constexpr int kNoiseVersion = 1;
inline constexpr std::uint32_t kBlockSamples = 4096;  ///< samples per seeding
inline constexpr std::uint32_t kGroupSamples = 32;    ///< samples per step of all lanes
inline constexpr std::uint32_t kLanes = 16;           ///< logical lanes, whatever the vector width
inline constexpr float kLargestNormal = 6.56F;        ///< |z| never exceeds this: sqrt(2 ln 2^31) rounded up
inline constexpr float kLargestSigma = 0x1p40F;       ///< beyond every format, and all arithmetic stays finite

/// The stream of a file: FNV-1a (64 bits) over the bytes of its relative path, then over the copy
/// number (0 for the first) as 8 bytes, least significant first.
constexpr std::uint64_t stream_of(const char* path, std::size_t size, std::uint64_t copy = 0) noexcept {
  std::uint64_t hash = 0xcbf29ce484222325U;
  for (std::size_t i = 0; i < size; ++i) {
    hash = (hash ^ static_cast<unsigned char>(path[i])) * 0x100000001b3U;
  }
  for (int i = 0; i < 8; ++i) hash = (hash ^ ((copy >> (8 * i)) & 0xffU)) * 0x100000001b3U;
  return hash;
}

// The constants of the definition.
// Philox4x32-10: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC11.
inline constexpr std::uint32_t kPhiloxMultiplier[2] = {0xD2511F53U, 0xCD9E8D57U};
inline constexpr std::uint32_t kPhiloxWeyl[2] = {0x9E3779B9U, 0xBB67AE85U};
inline constexpr int kPhiloxRounds = 10;
// sfc32: Doty-Humphrey, "PractRand", small fast counting generator.
inline constexpr int kSfcRight = 9, kSfcLeft = 3, kSfcRotate = 21;
// -2 ln(u) on one octave, u = 2^e·m with 1 <= m < 2, is linear in the bits of u up to a bump that
// vanishes at both ends: kLogSlope·y + (1/4 - t²)·P(t), t = m - 3/2. P is a minimax fit (Lawson's
// iteration) of the relative error of the sum: 7.4e-6.
inline constexpr float kLogSlope = -0x1.62e43p-23F;  ///< -2 ln(2) · 2^-23, per unit in the last place
inline constexpr float kLogBump[5] = {-0x1.e26c1ap-2F, 0x1.b1ae8p-3F, -0x1.b93134p-4F, 0x1.f068ap-5F, -0x1.c0c864p-6F};
// sin(πa)/a and cos(πa) as polynomials in a², |a| <= 1/2; minimax errors 9.4e-7 (relative), 6.7e-6.
inline constexpr float kSine[4] = {0x1.921f9cp1F, -0x1.4ab628p2F, 0x1.4594dcp1F, -0x1.1de632p-1F};
inline constexpr float kCosine[4] = {0x1.ffff2p-1F, -0x1.3bc5a4p2F, 0x1.02a468p2F, -0x1.38dd76p0F};

// With r = radius·sigma (float32), sample i of a floating-point or int32 signal gets the float32 product
// r·cosine or r·sine, for int32 rounded to an integer; an int16 signal gets the exact product rounded once. Ties
// go to even.

/// Added to a product below 2^22 in magnitude with one rounding, it leaves the nearest integer in the low bits.
inline constexpr float kRounder = 0x1.8p23F;

/// x·y + z with one rounding, for the unit `Unit`. Primary: the CPU's, or the C library's where the unit is compiled
/// for CPUs without it. A unit may specialise it.
template <class Unit>
struct Fma {
  static float multiply_add(float x, float y, float z) noexcept { return __builtin_fmaf(x, y, z); }
};

/// The same without such an instruction, and without a branch, so that loops of it are vectorised. For finite results
/// that are no subnormal float32. The product is exact in float64 and the sum is rounded to odd there, so that the
/// second rounding gives what one alone would (Boldo, Melquiond, "Emulation of FMA and correctly rounded sums: proved
/// algorithms using rounding to odd", 2008).
template <class Unit>
struct FmaInDouble {
  static float multiply_add(float x, float y, float z) noexcept {
    const double product = static_cast<double>(x) * static_cast<double>(y);
    const double addend = static_cast<double>(z);
    const double sum = product + addend;
    const double part = sum - product;  // Knuth's TwoSum: sum + error is exact
    const double error = (product - (sum - part)) + (addend - part);
    const auto bits = __builtin_bit_cast(std::uint64_t, sum);
    const std::uint64_t wrong = error != 0.0 ? ~bits & 1U : 0U;  // inexact and even: the odd neighbour is wanted
    const std::uint64_t inward =
        (__builtin_bit_cast(std::uint64_t, error) ^ bits) >> 63;  // the side that the error is on
    return static_cast<float>(__builtin_bit_cast(double, bits + wrong - 2 * (wrong & inward)));
  }
};

/// The definition in scalar code. `Unit` is a type of the including translation unit (in an anonymous
/// namespace), so that no two units with different instruction sets share an inline function.
template <class Unit>
struct Noise {
  /// One lane: sfc32.
  struct Lane {
    std::uint32_t a, b, c, counter;

    std::uint32_t next() noexcept {
      const std::uint32_t result = a + b + counter;
      counter += 1;
      a = b ^ (b >> kSfcRight);
      b = c + (c << kSfcLeft);
      c = ((c << kSfcRotate) | (c >> (32 - kSfcRotate))) + result;
      return result;
    }
  };

  /// Lane `lane` of block `block` at its start.
  static Lane seed(NoiseKey key, std::uint64_t block, std::uint32_t lane) noexcept {
    std::uint32_t c0 = static_cast<std::uint32_t>(block);
    std::uint32_t c1 = (static_cast<std::uint32_t>(block >> 32) << 4) | lane;
    std::uint32_t c2 = static_cast<std::uint32_t>(key.stream);
    std::uint32_t c3 = static_cast<std::uint32_t>(key.stream >> 32);
    std::uint32_t k0 = static_cast<std::uint32_t>(key.seed);
    std::uint32_t k1 = static_cast<std::uint32_t>(key.seed >> 32);
    for (int round = 0; round < kPhiloxRounds; ++round) {
      const std::uint64_t p0 = std::uint64_t{kPhiloxMultiplier[0]} * c0;
      const std::uint64_t p1 = std::uint64_t{kPhiloxMultiplier[1]} * c2;
      c0 = static_cast<std::uint32_t>(p1 >> 32) ^ c1 ^ k0;
      c2 = static_cast<std::uint32_t>(p0 >> 32) ^ c3 ^ k1;
      c1 = static_cast<std::uint32_t>(p1);
      c3 = static_cast<std::uint32_t>(p0);
      k0 += kPhiloxWeyl[0];
      k1 += kPhiloxWeyl[1];
    }
    return {c0, c1, c2, 1};
  }

  /// A point of the plane: its coordinates radius·cosine and radius·sine are independent N(0, 1).
  struct Pair {
    float radius, cosine, sine;
  };

  /// Box-Muller. The magnitude of `x` (31 bits, made odd) gives the radius, its sign the half plane,
  /// `y` the angle within it.
  [[gnu::always_inline]] static Pair box_muller(std::uint32_t x, std::uint32_t y) noexcept {
    const std::uint32_t bits = as_bits(static_cast<float>(static_cast<std::int32_t>(x | 1U)));  // ± 2^31·u
    const float units = static_cast<float>(static_cast<std::int32_t>(bits & 0x7fffffffU) - 0x4f000000);
    const float t = as_float((bits & 0x007fffffU) | 0x3f800000U) - 1.5F;
    const float bump = fma(fma(fma(fma(kLogBump[4], t, kLogBump[3]), t, kLogBump[2]), t, kLogBump[1]), t, kLogBump[0]);
    const float squared = fma(fma(-t, t, 0.25F), bump, units * kLogSlope);  // -2 ln u >= 0
    const float radius = as_float(as_bits(square_root(squared)) | (bits & 0x80000000U));

    const float a = static_cast<float>(static_cast<std::int32_t>(y)) * 0x1p-32F;  // half turns
    const float q = a * a;
    const float sine = a * fma(fma(fma(kSine[3], q, kSine[2]), q, kSine[1]), q, kSine[0]);
    const float cosine = fma(fma(fma(kCosine[3], q, kCosine[2]), q, kCosine[1]), q, kCosine[0]);
    return {radius, cosine, sine};
  }

  static float fma(float x, float y, float z) noexcept { return Fma<Unit>::multiply_add(x, y, z); }
  static float square_root(float x) noexcept { return __builtin_sqrtf(x); }
  static std::uint32_t as_bits(float x) noexcept { return __builtin_bit_cast(std::uint32_t, x); }
  static float as_float(std::uint32_t x) noexcept { return __builtin_bit_cast(float, x); }
};

}  // namespace noisefloor
