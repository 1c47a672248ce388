// Promise: a sum of squares depends on the samples, not on how they come; a stream's uniform number on its key alone.
// SPDX-License-Identifier: MIT
#include "kernels/power.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <set>
#include <vector>

namespace noisefloor {
namespace {

/// Samples that use the type's whole range; reals of all magnitudes, so that the order of additions shows.
template <class T>
std::vector<T> samples_of(std::size_t count) {
  std::vector<T> samples(count);
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint64_t hash = (i + 1) * 0x9E3779B97F4A7C15U;
    if constexpr (std::is_integral_v<T>) {
      samples[i] = static_cast<T>(hash >> 32);
    } else {
      samples[i] = static_cast<T>(std::ldexp(static_cast<double>(hash >> 40) - 0x1p23, static_cast<int>(i % 29) - 30));
    }
  }
  return samples;
}

/// The definition, in its own words.
template <class T>
double defined_sum(const std::vector<T>& samples) {
  double total = 0;
  for (std::size_t block = 0; block < samples.size() || block == 0; block += 4096) {
    std::vector<double> lanes(16);
    for (std::size_t i = block; i < std::min(block + 4096, samples.size()); ++i) {
      const auto x = static_cast<double>(samples[i]);
      lanes[i % 16] += x * x;
    }
    for (const std::size_t half : {8U, 4U, 2U, 1U}) {
      for (std::size_t l = 0; l < half; ++l) lanes[l] += lanes[l + half];
    }
    total += lanes[0];
  }
  return total;
}

template <class T>
class PowerSumOf : public testing::Test {};
using SampleTypes = testing::Types<std::int16_t, std::int32_t, float, double>;
TYPED_TEST_SUITE(PowerSumOf, SampleTypes);

TYPED_TEST(PowerSumOf, FollowsItsDefinitionHoweverTheSamplesAreCut) {
  for (const std::size_t count : {0U, 1U, 15U, 16U, 4095U, 4096U, 4097U, 30'011U}) {
    const auto samples = samples_of<TypeParam>(count);
    const double expected = defined_sum(samples);
    for (const std::size_t piece : {1U, 7U, 16U, 1000U, 4096U, 50'000U}) {
      PowerSum power;
      for (std::size_t at = 0; at < count; at += piece) power.add(samples.data() + at, std::min(piece, count - at));
      EXPECT_EQ(power.sum(), expected) << count << " samples by " << piece;
      EXPECT_EQ(power.count(), count);
    }
  }
}

TYPED_TEST(PowerSumOf, TheDifferenceToSilenceIsTheSignal) {
  const auto samples = samples_of<TypeParam>(10'001);
  const std::vector<TypeParam> silence(samples.size());
  PowerSum power, difference, reverse;
  power.add(samples.data(), samples.size());
  difference.add_difference(samples.data(), silence.data(), samples.size());
  reverse.add_difference(silence.data(), samples.data(), samples.size());
  EXPECT_EQ(difference.sum(), power.sum());
  EXPECT_EQ(reverse.sum(), power.sum());
}

TEST(PowerSum, IsExactForInt16) {
  const auto samples = samples_of<std::int16_t>(100'003);
  std::uint64_t expected = 0;
  for (const std::int16_t x : samples) expected += static_cast<std::uint64_t>(std::int64_t{x} * x);
  PowerSum power;
  power.add(samples.data(), samples.size());
  EXPECT_EQ(power.sum(), static_cast<double>(expected));
}

TEST(PowerSum, DifferencesDoNotOverflow) {
  const std::vector<std::int16_t> low16(100, std::numeric_limits<std::int16_t>::min()), high16(100, 32767);
  PowerSum sum16;
  sum16.add_difference(high16.data(), low16.data(), 100);
  EXPECT_EQ(sum16.sum(), 100 * 65535.0 * 65535.0);
  const std::vector<std::int32_t> low32(1, std::numeric_limits<std::int32_t>::min()), high32(1, 2147483647);
  PowerSum sum32;
  sum32.add_difference(low32.data(), high32.data(), 1);
  EXPECT_EQ(sum32.sum(), 4294967295.0 * 4294967295.0);
}

TEST(PowerSum, SaysInfiniteRatherThanANumberThatIsWrong) {
  const std::vector<double> loud(3, 1e200);
  PowerSum power;
  power.add(loud.data(), loud.size());
  EXPECT_TRUE(std::isinf(power.sum()));
}

TEST(UniformOf, IsAFunctionOfSeedAndStream) {
  EXPECT_EQ(uniform_of({1, 2}), uniform_of({1, 2}));
  EXPECT_NE(uniform_of({1, 2}), uniform_of({2, 1}));
  EXPECT_NE(uniform_of({1, 2}), uniform_of({1, 3}));
}

TEST(UniformOf, CoversTheIntervalEvenly) {
  constexpr int kDraws = 20'000, kCells = 20;
  std::vector<int> cells(kCells);
  std::set<double> seen;
  for (std::uint64_t stream = 0; stream < kDraws; ++stream) {
    const double u = uniform_of({7, stream});
    ASSERT_GE(u, 0.0);
    ASSERT_LT(u, 1.0);
    ++cells[static_cast<std::size_t>(u * kCells)];
    seen.insert(u);
  }
  EXPECT_EQ(seen.size(), static_cast<std::size_t>(kDraws));
  constexpr double kExpected = double{kDraws} / kCells;
  double chi = 0;
  for (const int n : cells) chi += (n - kExpected) * (n - kExpected) / kExpected;
  EXPECT_LT(chi, 43.8) << "chi-square, 19 degrees of freedom, p = 0.001; the seed is fixed";
}

TEST(UniformOf, SharesNoBitsWithTheNoise) {
  // The words that seed the first blocks of the stream.
  struct Unit {};
  const NoiseKey key{7, 42};
  const double u = uniform_of(key);
  for (std::uint64_t block = 0; block < 1000; ++block) {
    for (std::uint32_t lane = 0; lane < kLanes; ++lane) {
      const auto words = Noise<Unit>::seed(key, block, lane);
      EXPECT_NE(static_cast<double>((std::uint64_t{words.b} << 32 | words.a) >> 11) * 0x1p-53, u);
    }
  }
}

}  // namespace
}  // namespace noisefloor
