// The sse2 kernel: the vector body on 128-bit registers, for every x86-64 CPU: without FMA instructions.
// SPDX-License-Identifier: MIT
#include "kernels/add_noise.hpp"
#include "kernels/units.hpp"

namespace noisefloor {
const KernelCode kSse2Code = simd::AddNoise<xsimd::sse2>::kCode;
}  // namespace noisefloor
