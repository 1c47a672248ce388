// The avx512 kernel: the vector body on 512-bit registers. Compiled for AVX-512 F, CD, DQ and BW.
// SPDX-License-Identifier: MIT
#include "kernels/add_noise.hpp"
#include "kernels/units.hpp"

namespace noisefloor {
const KernelCode kAvx512Code = simd::AddNoise<xsimd::avx512bw>::kCode;
}  // namespace noisefloor
