// The omp_simd_sse2 kernel: the scalar loops under `#pragma omp simd`, compiled for every x86-64 CPU.
// SPDX-License-Identifier: MIT
#include "kernels/lane_loops.hpp"
#include "kernels/units.hpp"

namespace noisefloor {
namespace {
struct Unit;
}
template <>
struct Fma<Unit> : FmaInDouble<Unit> {};
const KernelCode kOmpSimdSse2Code = LaneLoops<Unit>::kCode;
}  // namespace noisefloor
