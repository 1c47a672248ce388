// The neon64 kernel: the vector body on 128-bit registers. For AArch64, which always has NEON and fused multiply-add.
// SPDX-License-Identifier: MIT
#include "kernels/add_noise.hpp"
#include "kernels/units.hpp"

namespace noisefloor {
const KernelCode kNeon64Code = simd::AddNoise<xsimd::neon64>::kCode;
}  // namespace noisefloor
