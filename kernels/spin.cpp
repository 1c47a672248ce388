// The dependent chain, one step at a time.
// SPDX-License-Identifier: MIT
#include "kernels/spin.hpp"

namespace noisefloor {

std::uint64_t spin(std::uint64_t start, std::uint64_t steps) noexcept {
  std::uint64_t x = start;
  for (std::uint64_t i = 0; i < steps; ++i) {
    x = x * kSpinMultiplier + kSpinIncrement;
    // The compiler must not look through a step: two steps are one linear function too, and clang, which
    // unrolls, would shorten the chain.
    __asm__ volatile("" : "+r"(x));
  }
  return x;
}

}  // namespace noisefloor
