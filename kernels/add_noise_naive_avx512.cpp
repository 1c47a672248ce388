// The naive_native kernel where AVX-512 is the widest: the textbook's loop, with AVX-512 for the compiler to use.
// SPDX-License-Identifier: MIT
#include "kernels/naive_loops.hpp"
#include "kernels/units.hpp"

namespace noisefloor {
namespace {
struct Unit;
}
const KernelCode kNaiveAvx512Code = NaiveLoops<Unit>::kCode;
}  // namespace noisefloor
