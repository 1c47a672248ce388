// Every kernel gives the bytes of scalar: the same comparison as in kernels_test, on more than 10^8 samples.
// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include "kernel_cases.hpp"

namespace noisefloor::test {
namespace {

constexpr std::uint64_t kSamples = 27'000'000;  // of each of four formats

TEST(LongIdentity, OfInt16) { EXPECT_GE(expect_identity<std::int16_t>(201, 1250, 30'000), kSamples); }
TEST(LongIdentity, OfInt32) { EXPECT_GE(expect_identity<std::int32_t>(202, 1250, 30'000), kSamples); }
TEST(LongIdentity, OfFloat32) { EXPECT_GE(expect_identity<float>(203, 1250, 30'000), kSamples); }
TEST(LongIdentity, OfFloat64) { EXPECT_GE(expect_identity<double>(204, 1250, 30'000), kSamples); }

}  // namespace
}  // namespace noisefloor::test
