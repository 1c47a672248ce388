// What the kernels are measured against: other ways to add Gaussian noise, and the limits of the machine.
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string_view>

namespace noisefloor::micro {

/// out = in + sigma·N(0, 1), on n samples. A generator goes on from call to call; for one thread.
using AddFloats = void(const float* in, float* out, std::size_t n, float sigma);
/// The same, rounded and saturated; returns how many saturated.
using AddShorts = std::size_t(const std::int16_t* in, std::int16_t* out, std::size_t n, float sigma);

struct Peer {
  std::string_view name;
  std::string_view unavailable;  ///< what is missing; empty if it was built
  AddFloats* f32;                ///< null if unavailable
  AddShorts* i16;
};

/// std::normal_distribution<float> over std::mt19937 and std::mt19937_64, compiled as all code of the
/// project is, and for this machine (-march=native).
std::span<const Peer> std_peers() noexcept;
std::span<const Peer> std_peers_native() noexcept;
std::span<const Peer> library_peers() noexcept;

/// What no kernel can beat, on the widest registers of this machine: copying, and the plain addition of a
/// constant (saturating for int16): `sigma` is that constant.
std::span<const Peer> limits() noexcept;

// The loops around a generator, as one writes them. `Draw` returns the next normal as float.

template <class Draw>
void add_floats(const float* in, float* out, std::size_t n, float sigma, Draw draw) {
  for (std::size_t i = 0; i < n; ++i) out[i] = in[i] + sigma * draw();
}

template <class Draw>
std::size_t add_shorts(const std::int16_t* in, std::int16_t* out, std::size_t n, float sigma, Draw draw) {
  constexpr long kLow = std::numeric_limits<std::int16_t>::min();
  constexpr long kHigh = std::numeric_limits<std::int16_t>::max();
  std::size_t saturated = 0;
  for (std::size_t i = 0; i < n; ++i) {
    const long sum = in[i] + std::lrintf(sigma * draw());
    saturated += static_cast<std::size_t>(sum < kLow || sum > kHigh);
    out[i] = static_cast<std::int16_t>(std::clamp(sum, kLow, kHigh));
  }
  return saturated;
}

}  // namespace noisefloor::micro
