// The scalar kernel: the definition, lane after lane, compiled with FMA and without vectorisation.
// SPDX-License-Identifier: MIT
#include "kernels/lane_loops.hpp"
#include "kernels/units.hpp"

namespace noisefloor {
namespace {
struct Unit;
}
const KernelCode kScalarCode = LaneLoops<Unit>::kCode;
}  // namespace noisefloor
