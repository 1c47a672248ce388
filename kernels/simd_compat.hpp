// What xsimd 8.1 lacks, or newer ones spell differently: bit casts, fused multiply-add, rotate,
// square root, widening multiply, narrowing with saturation. For kernel units only.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <xsimd/xsimd.hpp>

namespace noisefloor::simd {

template <class T, class Arch>
using Batch = xsimd::batch<T, Arch>;

/// The same bits as elements of type To. (xsimd up to 10 wants the batch type, from 11 the element's.)
template <class To, class From, class Arch>
inline Batch<To, Arch> bits_as(const Batch<From, Arch>& x) noexcept {
#if XSIMD_VERSION_MAJOR < 11
  return xsimd::bitwise_cast<Batch<To, Arch>>(x);
#else
  return xsimd::bitwise_cast<To>(x);
#endif
}

template <int Count, class Arch>
inline Batch<std::uint32_t, Arch> rotate_left(const Batch<std::uint32_t, Arch>& x) noexcept {
  return (x << Count) | (x >> (32 - Count));
}

/// Signed 32-bit integers to the nearest float32.
template <class Arch>
inline Batch<float, Arch> to_float(const Batch<std::int32_t, Arch>& x) noexcept {
  return xsimd::to_float(x);
}

/// float32 to the nearest integer, ties to even. |x| < 2^31.
template <class Arch>
inline Batch<std::int32_t, Arch> to_int(const Batch<float, Arch>& x) noexcept {
  return xsimd::nearbyint_as_int(x);
}

/// x·y + z with one rounding. Primary: xsimd's, which is fused for fma3<avx2> and neon64.
template <class Arch>
struct Fused {
  static Batch<float, Arch> multiply_add(const Batch<float, Arch>& x, const Batch<float, Arch>& y,
                                         const Batch<float, Arch>& z) noexcept {
    return xsimd::fma(x, y, z);
  }
};

/// The square root, correctly rounded. (xsimd's is an approximation for float32 on NEON.)
template <class Arch>
inline Batch<float, Arch> square_root(const Batch<float, Arch>& x) noexcept {
#if defined(__aarch64__)
  return vsqrtq_f32(x);
#else
  return xsimd::sqrt(x);
#endif
}

/// Full 64-bit products of the low 32 bits of each 64-bit element.
template <class Arch>
struct Widening;

/// int16 from two batches of int32, with saturation: first all of `low`, then all of `high`.
template <class Arch>
struct Narrowing;

#if defined(__AVX512BW__)
template <>
struct Fused<xsimd::avx512bw> {
  using Floats = Batch<float, xsimd::avx512bw>;
  static Floats multiply_add(const Floats& x, const Floats& y, const Floats& z) noexcept {
    return _mm512_fmadd_ps(x, y, z);
  }
};
template <>
struct Widening<xsimd::avx512bw> {
  using Words = Batch<std::uint64_t, xsimd::avx512bw>;
  static Words multiply(const Words& x, const Words& y) noexcept { return _mm512_mul_epu32(x, y); }
};
template <>
struct Narrowing<xsimd::avx512bw> {
  using Ints = Batch<std::int32_t, xsimd::avx512bw>;
  using Shorts = Batch<std::int16_t, xsimd::avx512bw>;
  static Shorts pack(const Ints& low, const Ints& high) noexcept {
    const __m512i order = _mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7);
    return _mm512_permutexvar_epi64(order, _mm512_packs_epi32(low, high));
  }
};
#elif defined(__AVX2__)
template <>
struct Widening<xsimd::fma3<xsimd::avx2>> {
  using Words = Batch<std::uint64_t, xsimd::fma3<xsimd::avx2>>;
  static Words multiply(const Words& x, const Words& y) noexcept { return _mm256_mul_epu32(x, y); }
};
template <>
struct Narrowing<xsimd::fma3<xsimd::avx2>> {
  using Ints = Batch<std::int32_t, xsimd::fma3<xsimd::avx2>>;
  using Shorts = Batch<std::int16_t, xsimd::fma3<xsimd::avx2>>;
  static Shorts pack(const Ints& low, const Ints& high) noexcept {
    return _mm256_permute4x64_epi64(_mm256_packs_epi32(low, high), 0xD8);
  }
};
#elif defined(__aarch64__)
template <>
struct Widening<xsimd::neon64> {
  using Words = Batch<std::uint64_t, xsimd::neon64>;
  static Words multiply(const Words& x, const Words& y) noexcept { return vmull_u32(vmovn_u64(x), vmovn_u64(y)); }
};
template <>
struct Narrowing<xsimd::neon64> {
  using Ints = Batch<std::int32_t, xsimd::neon64>;
  using Shorts = Batch<std::int16_t, xsimd::neon64>;
  static Shorts pack(const Ints& low, const Ints& high) noexcept { return vqmovn_high_s32(vqmovn_s32(low), high); }
};
#endif

}  // namespace noisefloor::simd
