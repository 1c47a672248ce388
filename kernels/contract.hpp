// What callers of a kernel promise, asserted at every entry in debug builds. For kernel units only.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/kernel.hpp"

namespace noisefloor {

/// Whether the arguments of a kernel keep the contract of kernels/kernel.hpp. `Unit` is the type that
/// keeps the unit's functions apart from those of other units.
template <class Unit, class T>
bool contract_holds(const T* in, const T* out, std::size_t n, float sigma, int step) noexcept {
  const auto source = reinterpret_cast<std::uintptr_t>(in);
  const auto target = reinterpret_cast<std::uintptr_t>(out);
  const std::uintptr_t distance = source < target ? target - source : source - target;
  const bool same_or_apart = distance == 0 || distance >= n * sizeof(T);
  const bool sigma_in_range = sigma >= 0.0F && sigma <= kLargestSigma;  // false for NaN
  const bool power_of_two = step > 0 && (step & (step - 1)) == 0;
  return same_or_apart && sigma_in_range && power_of_two;
}

}  // namespace noisefloor
