// What one writes first, std::normal_distribution over std::mt19937, fused into a loop: what naive and naive_native
// compile, with different flags. For kernel units only.
// SPDX-License-Identifier: MIT
//
// Its bytes are its own. It cannot start at any sample: a thread keeps the generator of the stream that
// it is in, goes on where the last call stopped, and replays the stream from its start otherwise.
#pragma once

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>

#include "kernels/contract.hpp"
#include "kernels/kernel.hpp"

namespace noisefloor {
/// `Unit` is a type of the unit's anonymous namespace. Every function of the library is inlined into those of the table
/// (`flatten`): what is left of them is local, and no other unit can be given code for a CPU that is not there.
template <class Unit>
struct NaiveLoops {
  struct Generator {
    std::mt19937 engine;
    std::normal_distribution<float> normal;
    NoiseKey key{};
    std::uint64_t position = 0;
    bool started = false;

    void seek(NoiseKey wanted, std::uint64_t first) {
      if (!started || !(key == wanted) || position > first) {
        engine.seed(static_cast<std::uint32_t>((wanted.seed ^ wanted.stream) ^ ((wanted.seed ^ wanted.stream) >> 32)));
        normal.reset();
        key = wanted;
        position = 0;
        started = true;
      }
      for (; position < first; ++position) normal(engine);
    }
  };

  static Generator& generator_at(NoiseKey key, std::uint64_t first) {
    thread_local Generator generator;
    generator.seek(key, first);
    return generator;
  }

  template <class T>
  static std::size_t add_integers(const T* in, T* out, std::size_t n, float sigma, int step, NoiseKey key,
                                  std::uint64_t first) {
    assert((contract_holds<Unit>(in, out, n, sigma, step)));
    constexpr std::int64_t kLow = std::numeric_limits<T>::min();
    constexpr std::int64_t kHigh = std::numeric_limits<T>::max();
    if (sigma == 0.0F) {
      std::memmove(out, in, n * sizeof(T));
      return 0;
    }
    Generator& generator = generator_at(key, first);
    const float per_step = sigma / static_cast<float>(step);
    std::size_t saturated = 0;
    for (std::size_t i = 0; i < n; ++i) {
      const std::int64_t noise = std::llrint(per_step * generator.normal(generator.engine));
      const std::int64_t sum = in[i] + noise * step;
      saturated += static_cast<std::size_t>(sum < kLow || sum > kHigh);
      out[i] = static_cast<T>(std::clamp(sum, kLow, kHigh));
    }
    generator.position += n;
    return saturated;
  }

  template <class T>
  static void add_floats(const T* in, T* out, std::size_t n, float sigma, NoiseKey key, std::uint64_t first) {
    assert((contract_holds<Unit>(in, out, n, sigma, 1)));
    if (sigma == 0.0F) {
      std::memmove(out, in, n * sizeof(T));
      return;
    }
    Generator& generator = generator_at(key, first);
    for (std::size_t i = 0; i < n; ++i) out[i] = in[i] + static_cast<T>(sigma * generator.normal(generator.engine));
    generator.position += n;
  }

  [[gnu::flatten]] static std::size_t i16(const std::int16_t* in, std::int16_t* out, std::size_t n, float sigma,
                                          int step, NoiseKey key, std::uint64_t first) noexcept {
    return add_integers(in, out, n, sigma, step, key, first);
  }
  [[gnu::flatten]] static std::size_t i32(const std::int32_t* in, std::int32_t* out, std::size_t n, float sigma,
                                          int step, NoiseKey key, std::uint64_t first) noexcept {
    return add_integers(in, out, n, sigma, step, key, first);
  }
  [[gnu::flatten]] static void f32(const float* in, float* out, std::size_t n, float sigma, NoiseKey key,
                                   std::uint64_t first) noexcept {
    add_floats(in, out, n, sigma, key, first);
  }
  [[gnu::flatten]] static void f64(const double* in, double* out, std::size_t n, float sigma, NoiseKey key,
                                   std::uint64_t first) noexcept {
    add_floats(in, out, n, sigma, key, first);
  }

  static constexpr KernelCode kCode{i16, i32, f32, f64};
};

}  // namespace noisefloor
