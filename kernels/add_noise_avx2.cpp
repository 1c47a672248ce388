// The avx2 kernel: the vector body on 256-bit registers. Compiled for AVX2 and FMA.
// SPDX-License-Identifier: MIT
#include "kernels/add_noise.hpp"
#include "kernels/units.hpp"

namespace noisefloor {
const KernelCode kAvx2Code = simd::AddNoise<xsimd::fma3<xsimd::avx2>>::kCode;
}  // namespace noisefloor
