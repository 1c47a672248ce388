// The table of kernels: which code adds the noise, and which of them can run on this CPU.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "kernels/noise.hpp"

namespace noisefloor {

// All functions compute out[k] = in[k] + sigma · z(first_sample + k) for k < n, where z is the noise of
// `key` (kernels/noise.hpp). `in` and `out` may be the same pointer, need no alignment but that of
// their type, and must not overlap otherwise. 0 <= sigma <= kLargestSigma, in units of the sample type; 0 copies the
// input. A build with assertions checks these at every call; others do not: who takes sigma from a user rejects what is
// negative, NaN or infinite. Thread-safe: no state is shared (the naive kernels keep a generator per thread).
//
// Integer noise is rounded to the nearest multiple of `step`, ties to even, and added with saturation.
// `step` is a power of two: the least step of the file's subtype in the sample type (256 for 8-bit sound
// in int16 and for 24-bit sound in int32, else 1). They return how many samples saturated.
using AddNoiseI16 = std::size_t(const std::int16_t* in, std::int16_t* out, std::size_t n, float sigma, int step,
                                NoiseKey key, std::uint64_t first_sample) noexcept;
using AddNoiseI32 = std::size_t(const std::int32_t* in, std::int32_t* out, std::size_t n, float sigma, int step,
                                NoiseKey key, std::uint64_t first_sample) noexcept;
// Floating-point noise is float32, and added as it is.
using AddNoiseF32 = void(const float* in, float* out, std::size_t n, float sigma, NoiseKey key,
                         std::uint64_t first_sample) noexcept;
using AddNoiseF64 = void(const double* in, double* out, std::size_t n, float sigma, NoiseKey key,
                         std::uint64_t first_sample) noexcept;

/// The code of one kernel.
struct KernelCode {
  AddNoiseI16* i16;
  AddNoiseI32* i32;
  AddNoiseF32* f32;
  AddNoiseF64* f64;
};

/// One row of the table.
struct Kernel {
  std::string_view name;
  std::string_view help;
  std::string_view bytes_of;     ///< the kernel whose bytes it gives: `scalar`, the definition, or `naive`
  std::string_view unavailable;  ///< why it cannot run here; empty if it can
  KernelCode add_noise;          ///< null pointers if unavailable
};

/// All kernels, the widest first. What cannot run here is listed with the reason.
std::span<const Kernel> kernels() noexcept;

}  // namespace noisefloor
