// The naive_native kernel where AVX2 is the widest: the textbook's loop, with AVX2 and FMA for the compiler to use.
// SPDX-License-Identifier: MIT
#include "kernels/naive_loops.hpp"
#include "kernels/units.hpp"

namespace noisefloor {
namespace {
struct Unit;
}
const KernelCode kNaiveAvx2Code = NaiveLoops<Unit>::kCode;
}  // namespace noisefloor
