// The limits: what moving and adding the samples costs, without any noise. Compiled for this machine.
// SPDX-License-Identifier: MIT
#include <array>
#include <cstring>
#include <xsimd/xsimd.hpp>

#include "benchmarks/micro/peers.hpp"

namespace noisefloor::micro {
namespace {

template <class T>
void copy(const T* in, T* out, std::size_t n) {
  std::memcpy(out, in, n * sizeof(T));
}

/// Adds `constant`: one load, one (saturating) addition, one store per register.
template <class T>
void add(const T* in, T* out, std::size_t n, T constant) {
  using Batch = xsimd::batch<T>;  // of the widest architecture that the flags allow
  const Batch summand(constant);
  std::size_t i = 0;
  for (; i + Batch::size <= n; i += Batch::size) {
    const Batch samples = Batch::load_unaligned(in + i);
    if constexpr (sizeof(T) == 2) {
      xsimd::sadd(samples, summand).store_unaligned(out + i);
    } else {
      (samples + summand).store_unaligned(out + i);
    }
  }
  for (; i < n; ++i) out[i] = static_cast<T>(in[i] + constant);
}

void copy_f32(const float* in, float* out, std::size_t n, float) { copy(in, out, n); }
std::size_t copy_i16(const std::int16_t* in, std::int16_t* out, std::size_t n, float) {
  copy(in, out, n);
  return 0;
}
void add_f32(const float* in, float* out, std::size_t n, float sigma) { add(in, out, n, sigma); }
std::size_t add_i16(const std::int16_t* in, std::int16_t* out, std::size_t n, float sigma) {
  add(in, out, n, static_cast<std::int16_t>(sigma));
  return 0;
}

}  // namespace

std::span<const Peer> limits() noexcept {
  static constexpr std::array<Peer, 2> kLimits{
      {{"limit_copy", "", copy_f32, copy_i16}, {"limit_add", "", add_f32, add_i16}}};
  return kLimits;
}

}  // namespace noisefloor::micro
