// Cases for tests of the kernels: signals, calls by sample type, and a slow recomputation in plain integers.
// SPDX-License-Identifier: MIT
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "kernels/kernel.hpp"
#include "kernels/units.hpp"

namespace noisefloor::test {

struct NamedCode {
  std::string_view name;
  KernelCode code;
};

/// Every kernel that must give the bytes of scalar and can run here; scalar itself is not among them.
/// The unit for CPUs without FMA runs everywhere, so it is there whatever the CPU.
inline std::vector<NamedCode> exact_kernels() {
  std::vector<NamedCode> codes{{"scalar_libm", kScalarLibmCode}};
  for (const Kernel& kernel : kernels()) {
    if (kernel.unavailable.empty() && kernel.bytes_of == "scalar" && kernel.name != "scalar") {
      codes.push_back({kernel.name, kernel.add_noise});
    }
  }
  return codes;
}

/// The kernels whose noise is that of `naive`, which is among them.
inline std::vector<NamedCode> naive_kernels() {
  std::vector<NamedCode> codes;
  for (const Kernel& kernel : kernels()) {
    if (kernel.unavailable.empty() && kernel.bytes_of == "naive") codes.push_back({kernel.name, kernel.add_noise});
  }
  return codes;
}

inline KernelCode code_of(std::string_view name) {
  for (const Kernel& kernel : kernels()) {
    if (kernel.name == name) return kernel.add_noise;
  }
  return {};
}

/// What one call of a kernel is given, the samples apart.
struct Call {
  float sigma = 1.0F;
  int step = 1;
  NoiseKey key{1, 2};
  std::uint64_t first = 0;
};

/// The kernel's function for T; float kernels report no saturation: 0.
template <class T>
std::size_t add_noise(const KernelCode& code, const T* in, T* out, std::size_t n, const Call& call) {
  if constexpr (std::is_same_v<T, std::int16_t>) {
    return code.i16(in, out, n, call.sigma, call.step, call.key, call.first);
  } else if constexpr (std::is_same_v<T, std::int32_t>) {
    return code.i32(in, out, n, call.sigma, call.step, call.key, call.first);
  } else if constexpr (std::is_same_v<T, float>) {
    code.f32(in, out, n, call.sigma, call.key, call.first);
    return 0;
  } else {
    code.f64(in, out, n, call.sigma, call.key, call.first);
    return 0;
  }
}

/// Samples that visit the whole range of T, its ends included; the same for the same seed everywhere.
template <class T>
std::vector<T> signal(std::size_t n, std::uint32_t seed) {
  std::mt19937 engine(seed);
  std::vector<T> samples(n);
  for (T& sample : samples) {
    const auto word = static_cast<std::uint32_t>(engine());
    if constexpr (std::is_integral_v<T>) {
      const bool at_an_end = (word & 0x700U) == 0;
      const T end = (word & 0x800U) != 0 ? std::numeric_limits<T>::max() : std::numeric_limits<T>::min();
      sample =
          at_an_end ? end : static_cast<T>(static_cast<std::int32_t>(word) >> (32 - 8 * static_cast<int>(sizeof(T))));
    } else {
      sample = static_cast<T>(static_cast<std::int32_t>(word)) * static_cast<T>(0x1p-31);
    }
  }
  return samples;
}

/// Room for n samples that starts `shift` samples behind a border of 64 bytes.
template <class T>
class Unaligned {
 public:
  Unaligned(std::size_t n, std::size_t shift) : room_(n + shift + 64 / sizeof(T)) {
    const auto address = reinterpret_cast<std::uintptr_t>(room_.data());
    start_ = (64 - address % 64) % 64 / sizeof(T) + shift;
  }
  [[nodiscard]] T* data() noexcept { return room_.data() + start_; }
  void fill(std::span<const T> samples) noexcept { std::memcpy(data(), samples.data(), samples.size_bytes()); }
  [[nodiscard]] std::vector<T> samples(std::size_t n) { return {data(), data() + n}; }

 private:
  std::vector<T> room_;
  std::size_t start_;
};

/// The first index at which two signals differ in their bytes, or their size.
template <class T>
std::size_t first_difference(std::span<const T> a, std::span<const T> b) {
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (std::memcmp(&a[i], &b[i], sizeof(T)) != 0) return i;
  }
  return a.size();
}

template <class T>
::testing::AssertionResult same_bytes(const std::vector<T>& expected, const std::vector<T>& actual) {
  const std::size_t i = first_difference<T>(expected, actual);
  if (i == expected.size()) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << "sample " << i << " of " << expected.size() << " is " << +actual[i]
                                       << ", not " << +expected[i];
}

/// The noise of kernels/noise.hpp, one sample at a time, from its definition alone.
class Recomputed {
 public:
  explicit Recomputed(NoiseKey key) : key_(key) {}

  /// Radius and direction of sample i: sigma·z(i) is (radius·sigma) · direction.
  struct Polar {
    float radius, direction;
  };
  Polar at(std::uint64_t i) {
    if (!known_ || i / kBlockSamples != block_) draw_block(i / kBlockSamples);
    return polar_[i % kBlockSamples];
  }

  /// The integer noise of sample i of a signal of T before it is added: rounded to a multiple of `step`.
  template <class T>
  std::int64_t whole(std::uint64_t i, float sigma, int step) {
    const Polar p = at(i);
    const float reach = p.radius * (sigma / static_cast<float>(step));
    if constexpr (sizeof(T) == 2)
      return std::llrint(static_cast<double>(reach) * static_cast<double>(p.direction)) * step;
    return std::llrint(reach * p.direction) * step;
  }

 private:
  struct Unit;
  using N = Noise<Unit>;

  void draw_block(std::uint64_t block) {
    polar_.resize(kBlockSamples);
    for (std::uint32_t l = 0; l < kLanes; ++l) {
      typename N::Lane lane = N::seed(key_, block, l);
      for (std::uint32_t group = 0; group < kBlockSamples / kGroupSamples; ++group) {
        const std::uint32_t x = lane.next();
        const std::uint32_t y = lane.next();
        const typename N::Pair pair = N::box_muller(x, y);
        polar_[group * kGroupSamples + 2 * l] = {pair.radius, pair.cosine};
        polar_[group * kGroupSamples + 2 * l + 1] = {pair.radius, pair.sine};
      }
    }
    block_ = block;
    known_ = true;
  }

  NoiseKey key_;
  std::uint64_t block_ = 0;
  bool known_ = false;
  std::vector<Polar> polar_;
};

/// Expects every exact kernel to give the bytes and the count of scalar for `cases` random cases of at
/// most `longest` samples each. Returns the samples compared with each kernel.
template <class T>
std::uint64_t expect_identity(std::uint32_t seed, int cases, std::size_t longest) {
  constexpr float kSigmas[] = {0.1F,    0.3F,    0.5F,    1.0F,    3.7F,    32.0F,   98.304F, 700.0F,
                               4800.0F, 4980.0F, 4995.0F, 5000.0F, 9000.5F, 16384.F, 30000.0F};
  constexpr float kWideSigmas[] = {0.1F, 25.6F, 3000.0F, 30000.0F, 6.5e6F, 3.2e8F, 1.0e9F};
  constexpr float kFloatSigmas[] = {1e-30F, 1e-7F, 0.003F, 0.1F, 1.0F, 5000.0F, 30000.0F};
  constexpr int kSteps[] = {1, 1, 256, 2, 4096};
  std::mt19937 engine(seed);
  const auto below = [&](std::uint64_t bound) { return static_cast<std::size_t>(engine() % bound); };
  const auto pick = [&](const auto& values) { return values[below(std::size(values))]; };
  const std::vector<NamedCode> codes = exact_kernels();
  const KernelCode scalar = code_of("scalar");
  std::uint64_t compared = 0;
  for (int i = 0; i < cases; ++i) {
    Call call;
    if constexpr (std::is_same_v<T, std::int16_t>) {
      call.sigma = pick(kSigmas);
      call.step = pick(kSteps);
    } else if constexpr (std::is_same_v<T, std::int32_t>) {
      call.sigma = pick(kWideSigmas);
      call.step = pick(kSteps);
    } else {
      call.sigma = pick(kFloatSigmas);
    }
    call.key = {engine() * 0x100000001ULL, engine()};
    call.first = below(3) == 0 ? 0 : (static_cast<std::uint64_t>(engine()) << below(30)) + below(kBlockSamples);
    const std::size_t n = longest / 2 + below(longest / 2) + 1;
    const std::size_t in_shift = below(64 / sizeof(T));
    const std::size_t out_shift = below(64 / sizeof(T));
    const bool in_place = below(2) == 0;

    Unaligned<T> in(n, in_shift);
    const std::vector<T> samples = signal<T>(n, static_cast<std::uint32_t>(engine()));
    std::vector<T> expected(n);
    const std::size_t expected_saturated = add_noise(scalar, samples.data(), expected.data(), n, call);
    for (const auto& [name, code] : codes) {
      in.fill(samples);
      Unaligned<T> apart(n, out_shift);
      Unaligned<T>& out = in_place ? in : apart;
      const std::size_t saturated = add_noise(code, in.data(), out.data(), n, call);
      const auto difference = same_bytes(expected, out.samples(n));
      EXPECT_TRUE(difference) << name << ", case " << i << ": sigma " << call.sigma << ", step " << call.step
                              << ", first sample " << call.first << ", n " << n << ", alignment " << in_shift << " and "
                              << out_shift << (in_place ? ", in place" : "");
      EXPECT_EQ(saturated, expected_saturated) << name << ", case " << i;
      if (::testing::Test::HasFailure()) return compared;
    }
    compared += n;
  }
  return compared;
}

}  // namespace noisefloor::test
