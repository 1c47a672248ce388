// A build with assertions stops at a broken contract, in every kernel and format.
// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>

#include "kernel_cases.hpp"

namespace noisefloor::test {
namespace {

std::vector<NamedCode> all_kernels() {
  std::vector<NamedCode> codes = exact_kernels();
  codes.push_back({"scalar", code_of("scalar")});
  for (const NamedCode& naive : naive_kernels()) codes.push_back(naive);
  return codes;
}

template <class T>
class Contract : public ::testing::Test {};
using FormatTypes = ::testing::Types<std::int16_t, std::int32_t, float, double>;
TYPED_TEST_SUITE(Contract, FormatTypes);

TYPED_TEST(Contract, StopsAtBuffersThatOverlapInPart) {
  std::array<TypeParam, 65> room{};
  for (const auto& [name, code] : all_kernels()) {
    const auto shifted = [&room, &code = code](std::size_t in, std::size_t out) {
      add_noise(code, &room[in], &room[out], 64, Call{});
    };
    EXPECT_DEATH(shifted(0, 1), "contract_holds") << name;
    EXPECT_DEATH(shifted(1, 0), "contract_holds") << name;
  }
}

TYPED_TEST(Contract, StopsAtASigmaThatIsNoStandardDeviation) {
  std::array<TypeParam, 4> room{};
  for (const auto& [name, code] : all_kernels()) {
    for (const float sigma : {-1.0F, -std::numeric_limits<float>::denorm_min(), std::nanf(""),
                              std::numeric_limits<float>::infinity(), 2 * kLargestSigma}) {
      EXPECT_DEATH(add_noise(code, room.data(), room.data(), room.size(), {.sigma = sigma}), "contract_holds")
          << name << ' ' << sigma;
    }
  }
}

TYPED_TEST(Contract, HoldsInPlaceSideBySideAndUpToTheLargestSigma) {
  std::array<TypeParam, 128> room{};
  for (const auto& [name, code] : all_kernels()) {
    add_noise(code, room.data(), room.data(), 64, {.sigma = 1.0F});
    add_noise(code, room.data(), room.data() + 64, 64, {.sigma = 1.0F});
    add_noise(code, room.data() + 64, room.data(), 64, {.sigma = -0.0F});
    add_noise(code, room.data(), room.data() + 1, 0, {.sigma = 1.0F});
    add_noise(code, room.data(), room.data(), 64, {.sigma = kLargestSigma});
    for (const TypeParam sample : room) ASSERT_TRUE(std::isfinite(static_cast<double>(sample))) << name;
  }
}

TEST(IntegerContract, StopsAtAStepThatIsNoPowerOfTwo) {
  std::array<std::int16_t, 4> shorts{};
  std::array<std::int32_t, 4> ints{};
  for (const auto& [name, code] : all_kernels()) {
    for (const int step : {0, -1, 3, 255}) {
      EXPECT_DEATH(add_noise(code, shorts.data(), shorts.data(), 4, {.step = step}), "contract_holds") << name;
      EXPECT_DEATH(add_noise(code, ints.data(), ints.data(), 4, {.step = step}), "contract_holds") << name;
    }
  }
}

}  // namespace
}  // namespace noisefloor::test
