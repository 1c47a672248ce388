// A five-point stencil over a grid of 64 MiB: every task takes some rows from memory and writes them back, and does
// next to nothing in between. Finding: it does not scale with the CPUs but with the memory; the figure "How far does it
// scale?" ends early, and neither strategy nor chunk size makes up for it.
//
// SPDX-License-Identifier: MIT
// c++ -std=c++17 -O3 -shared -fPIC stencil.cpp -o stencil.so
#include <noisefloor/work.h>

#include <cstring>
#include <vector>

struct Stencil : noisefloor::Work {
  static constexpr std::size_t kWidth = 2048, kRowsPerTask = 32, kTasks = 64;
  std::vector<float> from;
  mutable std::vector<float> to;  // each task has rows of its own

  explicit Stencil(const noisefloor_options&) : from(kWidth * (kRowsPerTask * kTasks + 2)), to(from.size()) {
    for (std::size_t i = 0; i < from.size(); ++i) from[i] = static_cast<float>(i * 2654435761U % 1000);
  }
  std::uint32_t tasks() const { return kTasks; }
  std::uint64_t run(std::uint32_t task) const {
    std::uint64_t sum = 0;
    for (std::size_t row = 1 + task * kRowsPerTask; row < 1 + (task + 1) * kRowsPerTask; ++row) {
      const float* above = &from[(row - 1) * kWidth];
      const float* here = &from[row * kWidth];
      const float* below = &from[(row + 1) * kWidth];
      float* out = &to[row * kWidth];
      for (std::size_t x = 1; x + 1 < kWidth; ++x)
        out[x] = 0.2F * (above[x] + here[x - 1] + here[x] + here[x + 1] + below[x]);
      std::uint32_t bits = 0;
      std::memcpy(&bits, &out[kWidth / 2], sizeof bits);
      sum = sum * 31 + bits;
    }
    return sum;
  }
};
NOISEFLOOR_WORK(Stencil)
