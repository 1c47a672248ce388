// Prints a sum of the bytes that each kernel makes of fixed cases, to compare builds that cannot meet in one process.
// SPDX-License-Identifier: MIT
//
// One line per kernel that runs here, format and sigma: "<kernel> <format> <sigma> <step> <saturated> <sum>".
// Those of `naive`'s bytes are left out: their library may draw differently elsewhere. About 10^6 samples a kernel.
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <limits>
#include <type_traits>
#include <vector>

#include "kernels/kernel.hpp"

namespace {

using noisefloor::Kernel;
using noisefloor::NoiseKey;

/// FNV-1a over the bytes of the samples, least significant byte first.
template <class T>
std::uint64_t sum_of(const std::vector<T>& samples, std::uint64_t sum) {
  using Bits = std::conditional_t<sizeof(T) == 2, std::uint16_t,
                                  std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>>;
  for (const T sample : samples) {
    Bits bits;
    std::memcpy(&bits, &sample, sizeof bits);
    for (std::size_t i = 0; i < sizeof bits; ++i) {
      sum = (sum ^ ((bits >> (8 * i)) & 0xffU)) * 0x100000001b3U;
    }
  }
  return sum;
}

/// Samples over the whole range of T, with runs at both ends of it.
template <class T>
std::vector<T> signal(std::size_t n) {
  std::vector<T> samples(n);
  std::uint32_t state = 12345;
  for (std::size_t i = 0; i < n; ++i) {
    state = state * 1664525U + 1013904223U;
    const auto word = static_cast<std::int32_t>(state);
    if constexpr (std::is_integral_v<T>) {
      const T end = word < 0 ? std::numeric_limits<T>::min() : std::numeric_limits<T>::max();
      samples[i] = i % 8 == 0 ? end : static_cast<T>(word >> (32 - 8 * static_cast<int>(sizeof(T))));
    } else {
      samples[i] = static_cast<T>(word) * static_cast<T>(0x1p-31);
    }
  }
  return samples;
}

template <class T, class AddNoise>
void print(const Kernel& kernel, const char* format, float sigma, int step, const AddNoise& add_noise) {
  constexpr std::size_t kSamples = 47'001;
  const std::vector<T> in = signal<T>(kSamples);
  std::uint64_t sum = 0xcbf29ce484222325U;
  std::size_t saturated = 0;
  // The first call starts within a group, the second at the next sample after the first.
  const NoiseKey key{0x0123456789abcdefU, 0xfedcba9876543210U};
  std::vector<T> out(kSamples);
  constexpr std::size_t kFirstCall = 20'011;
  constexpr std::uint64_t kStart = (std::uint64_t{1} << 44) - 10'000 + 5;
  saturated += add_noise(in.data(), out.data(), kFirstCall, key, kStart);
  saturated +=
      add_noise(in.data() + kFirstCall, out.data() + kFirstCall, kSamples - kFirstCall, key, kStart + kFirstCall);
  sum = sum_of(out, sum);
  std::printf("%.*s %s %g %d %zu %016" PRIx64 "\n", static_cast<int>(kernel.name.size()), kernel.name.data(), format,
              static_cast<double>(sigma), step, saturated, sum);
}

void print_all(const Kernel& kernel) {
  const auto& code = kernel.add_noise;
  for (const float sigma : {0.1F, 1.0F, 98.304F, 4990.0F, 5000.0F, 30000.0F}) {
    for (const int step : {1, 256}) {
      print<std::int16_t>(kernel, "int16", sigma, step, [&](auto in, auto out, auto n, auto key, auto first) {
        return code.i16(in, out, n, sigma, step, key, first);
      });
    }
  }
  for (const float sigma : {1.0F, 30000.0F, 1.0e9F}) {
    print<std::int32_t>(kernel, "int32", sigma, 256, [&](auto in, auto out, auto n, auto key, auto first) {
      return code.i32(in, out, n, sigma, 256, key, first);
    });
  }
  for (const float sigma : {1e-6F, 0.1F, 30000.0F}) {
    print<float>(kernel, "float32", sigma, 1, [&](auto in, auto out, auto n, auto key, auto first) {
      code.f32(in, out, n, sigma, key, first);
      return std::size_t{0};
    });
    print<double>(kernel, "float64", sigma, 1, [&](auto in, auto out, auto n, auto key, auto first) {
      code.f64(in, out, n, sigma, key, first);
      return std::size_t{0};
    });
  }
}

}  // namespace

int main() {
  for (const Kernel& kernel : noisefloor::kernels()) {
    if (kernel.unavailable.empty() && kernel.bytes_of == "scalar") print_all(kernel);
  }
}
