// What xsimd 8.1 lacks, or newer ones spell differently: bit casts, fused multiply-add, rotate,
// square root, widening multiply, interleaving. For kernel units only.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <xsimd/xsimd.hpp>

#include "kernels/noise.hpp"

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

/// x·y + z and z - x·y with one rounding. Primary: xsimd's, which is fused for fma3<avx2> and neon64.
template <class Arch>
struct Fused {
  using Floats = Batch<float, Arch>;
  static Floats multiply_add(const Floats& x, const Floats& y, const Floats& z) noexcept { return xsimd::fma(x, y, z); }
  static Floats multiply_subtract_from(const Floats& x, const Floats& y, const Floats& z) noexcept {
    return xsimd::fma(-x, y, z);
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

/// Two batches as one sequence that takes from them in turn: even[0], odd[0], even[1], …
template <class Arch>
struct Interleave {
  using Floats = Batch<float, Arch>;
  using Words = Batch<std::uint32_t, Arch>;
  using Shorts = Batch<std::int16_t, Arch>;

  static void floats(const Floats& even, const Floats& odd, Floats& low, Floats& high) noexcept {
    low = xsimd::zip_lo(even, odd);
    high = xsimd::zip_hi(even, odd);
  }
  /// Of the low 16 bits of each element.
  static Shorts shorts(const Words& even, const Words& odd) noexcept {
    return bits_as<std::int16_t>((even & Words(0xffffU)) | (odd << 16));
  }
};

/// Adds 1 to the elements of `tally` in which a and b differ.
template <class Arch>
struct Tally {
  using Shorts = Batch<std::int16_t, Arch>;
  static Shorts add_where_different(const Shorts& tally, const Shorts& a, const Shorts& b) noexcept {
    return tally + xsimd::select(a != b, Shorts(std::int16_t{1}), Shorts(std::int16_t{0}));
  }
};

#if defined(__AVX512BW__)
template <>
struct Fused<xsimd::avx512bw> {
  using Floats = Batch<float, xsimd::avx512bw>;
  static Floats multiply_add(const Floats& x, const Floats& y, const Floats& z) noexcept {
    return _mm512_fmadd_ps(x, y, z);
  }
  static Floats multiply_subtract_from(const Floats& x, const Floats& y, const Floats& z) noexcept {
    return _mm512_fnmadd_ps(x, y, z);
  }
};
template <>
struct Widening<xsimd::avx512bw> {
  using Words = Batch<std::uint64_t, xsimd::avx512bw>;
  static Words multiply(const Words& x, const Words& y) noexcept { return _mm512_mul_epu32(x, y); }
};
template <>
struct Interleave<xsimd::avx512bw> {
  using Floats = Batch<float, xsimd::avx512bw>;
  using Words = Batch<std::uint32_t, xsimd::avx512bw>;
  using Shorts = Batch<std::int16_t, xsimd::avx512bw>;
  static void floats(const Floats& even, const Floats& odd, Floats& low, Floats& high) noexcept {
    const __m512i first = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    const __m512i second = _mm512_setr_epi32(8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
    low = _mm512_permutex2var_ps(even, first, odd);
    high = _mm512_permutex2var_ps(even, second, odd);
  }
  static Shorts shorts(const Words& even, const Words& odd) noexcept {
    return _mm512_mask_blend_epi16(0xAAAAAAAAU, even, _mm512_slli_epi32(odd, 16));
  }
};
template <>
struct Tally<xsimd::avx512bw> {
  using Shorts = Batch<std::int16_t, xsimd::avx512bw>;
  static Shorts add_where_different(const Shorts& tally, const Shorts& a, const Shorts& b) noexcept {
    return _mm512_mask_sub_epi16(tally, _mm512_cmpneq_epi16_mask(a, b), tally, _mm512_set1_epi16(-1));
  }
};
#elif defined(__AVX2__)
template <>
struct Widening<xsimd::fma3<xsimd::avx2>> {
  using Words = Batch<std::uint64_t, xsimd::fma3<xsimd::avx2>>;
  static Words multiply(const Words& x, const Words& y) noexcept { return _mm256_mul_epu32(x, y); }
};
template <>
struct Interleave<xsimd::fma3<xsimd::avx2>> {
  using Floats = Batch<float, xsimd::fma3<xsimd::avx2>>;
  using Words = Batch<std::uint32_t, xsimd::fma3<xsimd::avx2>>;
  using Shorts = Batch<std::int16_t, xsimd::fma3<xsimd::avx2>>;
  static void floats(const Floats& even, const Floats& odd, Floats& low, Floats& high) noexcept {
    const __m256 first = _mm256_unpacklo_ps(even, odd);
    const __m256 second = _mm256_unpackhi_ps(even, odd);
    low = _mm256_permute2f128_ps(first, second, 0x20);
    high = _mm256_permute2f128_ps(first, second, 0x31);
  }
  static Shorts shorts(const Words& even, const Words& odd) noexcept {
    return _mm256_blend_epi16(even, _mm256_slli_epi32(odd, 16), 0xAA);
  }
};
template <>
struct Tally<xsimd::fma3<xsimd::avx2>> {
  using Shorts = Batch<std::int16_t, xsimd::fma3<xsimd::avx2>>;
  static Shorts add_where_different(const Shorts& tally, const Shorts& a, const Shorts& b) noexcept {
    // Equal elements compare to -1: 1 + (-1) for them, 1 for the others.
    return _mm256_add_epi16(tally, _mm256_add_epi16(_mm256_cmpeq_epi16(a, b), _mm256_set1_epi16(1)));
  }
};
#elif defined(__x86_64__)
/// Without such an instruction: product and sum in float64, rounded again to float32. That differs from one rounding
/// only where the sum lies in the middle of two float32 and is itself rounded, about one in 2^29: those are computed
/// anew.
template <>
struct Fused<xsimd::sse2> {
  using Floats = Batch<float, xsimd::sse2>;
  static Floats multiply_add(const Floats& x, const Floats& y, const Floats& z) noexcept {
    const __m128d low = sum(x, y, z);
    const __m128d high = sum(_mm_movehl_ps(x, x), _mm_movehl_ps(y, y), _mm_movehl_ps(z, z));
    const Floats rounded = _mm_movelh_ps(_mm_cvtpd_ps(low), _mm_cvtpd_ps(high));
    if (_mm_movemask_epi8(_mm_or_si128(middle(low), middle(high))) == 0) [[likely]]
      return rounded;
    return one_by_one(x, y, z);
  }
  static Floats multiply_subtract_from(const Floats& x, const Floats& y, const Floats& z) noexcept {
    return multiply_add(-x, y, z);
  }

 private:
  /// Of the lower two elements.
  static __m128d sum(__m128 x, __m128 y, __m128 z) noexcept {
    return _mm_add_pd(_mm_mul_pd(_mm_cvtps_pd(x), _mm_cvtps_pd(y)), _mm_cvtps_pd(z));
  }
  /// Not 0 where the 29 bits that float32 lacks are 100…0. The upper words never are.
  static __m128i middle(__m128d sum) noexcept {
    return _mm_cmpeq_epi32(_mm_slli_epi32(_mm_castpd_si128(sum), 3), _mm_set_epi32(1, INT32_MIN, 1, INT32_MIN));
  }
  [[gnu::noinline]] static Floats one_by_one(const Floats& x, const Floats& y, const Floats& z) noexcept {
    alignas(16) float xs[4], ys[4], zs[4];
    x.store_aligned(xs);
    y.store_aligned(ys);
    z.store_aligned(zs);
    for (int i = 0; i < 4; ++i) zs[i] = FmaInDouble<xsimd::sse2>::multiply_add(xs[i], ys[i], zs[i]);
    return Floats::load_aligned(zs);
  }
};
template <>
struct Widening<xsimd::sse2> {
  using Words = Batch<std::uint64_t, xsimd::sse2>;
  static Words multiply(const Words& x, const Words& y) noexcept { return _mm_mul_epu32(x, y); }
};
template <>
struct Tally<xsimd::sse2> {
  using Shorts = Batch<std::int16_t, xsimd::sse2>;
  static Shorts add_where_different(const Shorts& tally, const Shorts& a, const Shorts& b) noexcept {
    return _mm_add_epi16(tally, _mm_add_epi16(_mm_cmpeq_epi16(a, b), _mm_set1_epi16(1)));
  }
};
#elif defined(__aarch64__)
template <>
struct Widening<xsimd::neon64> {
  using Words = Batch<std::uint64_t, xsimd::neon64>;
  static Words multiply(const Words& x, const Words& y) noexcept { return vmull_u32(vmovn_u64(x), vmovn_u64(y)); }
};
#endif

}  // namespace noisefloor::simd
