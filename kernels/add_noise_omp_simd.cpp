// The omp_simd kernel: the scalar loops under `#pragma omp simd`: what the compiler makes of them.
// SPDX-License-Identifier: MIT
#include "kernels/lane_loops.hpp"
#include "kernels/units.hpp"

namespace noisefloor {
namespace {
struct Unit;
}
const KernelCode kOmpSimdCode = LaneLoops<Unit>::kCode;
}  // namespace noisefloor
