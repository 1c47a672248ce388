// The omp_simd_avx2 kernel: the scalar loops under `#pragma omp simd`, compiled for AVX2 and FMA.
// SPDX-License-Identifier: MIT
#include "kernels/lane_loops.hpp"
#include "kernels/units.hpp"

namespace noisefloor {
namespace {
struct Unit;
}
const KernelCode kOmpSimdAvx2Code = LaneLoops<Unit>::kCode;
}  // namespace noisefloor
