// Work of a chosen length that touches no memory: a chain of dependent steps.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

namespace noisefloor {

/// The state of a 64-bit linear congruential generator `steps` steps after `start`:
///
///     for (i = 0; i < steps; ++i) x = x · kSpinMultiplier + kSpinIncrement;   // modulo 2^64
///
/// Each step waits for the one before (a multiplication and an addition: about 4 cycles), and no step
/// can be left out, merged or run beside another. The constants are Knuth's (MMIX).
std::uint64_t spin(std::uint64_t start, std::uint64_t steps) noexcept;

inline constexpr std::uint64_t kSpinMultiplier = 6364136223846793005U;
inline constexpr std::uint64_t kSpinIncrement = 1442695040888963407U;

}  // namespace noisefloor
