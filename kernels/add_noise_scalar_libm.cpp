// The scalar kernel for CPUs without fused multiply-add: fma() may be a call of the C library.
// SPDX-License-Identifier: MIT
#include "kernels/lane_loops.hpp"
#include "kernels/units.hpp"

namespace noisefloor {
namespace {
struct Unit;
}
const KernelCode kScalarLibmCode = LaneLoops<Unit>::kCode;
}  // namespace noisefloor
