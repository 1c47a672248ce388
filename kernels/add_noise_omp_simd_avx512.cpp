// The omp_simd_avx512 kernel: the scalar loops under `#pragma omp simd`, compiled for AVX-512.
// SPDX-License-Identifier: MIT
#include "kernels/lane_loops.hpp"
#include "kernels/units.hpp"

namespace noisefloor {
namespace {
struct Unit;
}
const KernelCode kOmpSimdAvx512Code = LaneLoops<Unit>::kCode;
}  // namespace noisefloor
