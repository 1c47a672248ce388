// The omp_simd_neon64 kernel: the scalar loops under `#pragma omp simd`, compiled for AArch64.
// SPDX-License-Identifier: MIT
#include "kernels/lane_loops.hpp"
#include "kernels/units.hpp"

namespace noisefloor {
namespace {
struct Unit;
}
const KernelCode kOmpSimdNeon64Code = LaneLoops<Unit>::kCode;
}  // namespace noisefloor
