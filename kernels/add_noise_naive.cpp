// The naive kernel: the textbook's loop, compiled for every CPU of the architecture.
// SPDX-License-Identifier: MIT
#include "kernels/naive_loops.hpp"
#include "kernels/units.hpp"

namespace noisefloor {
namespace {
struct Unit;
}
const KernelCode kNaiveCode = NaiveLoops<Unit>::kCode;
}  // namespace noisefloor
