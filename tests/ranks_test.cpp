// Tests and intervals by rank are exact: they agree with counting all cases.
// SPDX-License-Identifier: MIT
#include "harness/statistics/ranks.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "harness/base/error.hpp"

namespace noisefloor {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// P(W >= its value) by going through all signs of the differences; ties share their mean rank.
OneSided counted(std::vector<double> differences) {
  std::erase(differences, 0.0);
  const std::size_t n = differences.size();
  std::vector<double> ranks(n);
  for (std::size_t i = 0; i < n; ++i) {
    double below = 0;
    double equal = 0;
    for (const double other : differences) {
      below += std::fabs(other) < std::fabs(differences[i]);
      equal += std::fabs(other) == std::fabs(differences[i]);
    }
    ranks[i] = below + (equal + 1) / 2;
  }
  double seen = 0;
  double total = 0;
  for (std::size_t i = 0; i < n; ++i) {
    total += ranks[i];
    if (differences[i] > 0) seen += ranks[i];
  }
  double above = 0;
  double below = 0;
  for (std::size_t signs = 0; signs < (std::size_t{1} << n); ++signs) {
    double w = 0;
    for (std::size_t i = 0; i < n; ++i) w += (signs >> i & 1U) != 0 ? ranks[i] : 0.0;
    above += w >= seen;
    below += total - w >= total - seen;
  }
  const double cases = std::exp2(static_cast<double>(n));
  return {above / cases, below / cases};
}

TEST(SignTest, IsTheBinomialTest) {
  EXPECT_DOUBLE_EQ(binomial_upper_tail(0, 7), 1);
  EXPECT_DOUBLE_EQ(binomial_upper_tail(8, 7), 0);
  EXPECT_NEAR(binomial_upper_tail(13, 18), 0.0481262207, 1e-9);  // 12,616 of 2^18 cases
  EXPECT_NEAR(binomial_upper_tail(7, 7), 1.0 / 128, 1e-15);
  double sum = 0;
  for (std::size_t k = 0; k < 500; ++k) sum += binomial_upper_tail(k, 1000) - binomial_upper_tail(k + 1, 1000);
  EXPECT_NEAR(sum + (binomial_upper_tail(500, 1000) - binomial_upper_tail(501, 1000)) / 2, 0.5, 1e-10);
}

TEST(SignTest, ZerosSayNothingAndInfinitiesCountByTheirSign) {
  const std::vector<double> values{0, 0, 1, kInfinity, -3};
  const std::vector<double> finite{1, 2, -3};
  EXPECT_DOUBLE_EQ(sign_test(values).above, sign_test(finite).above);
  EXPECT_DOUBLE_EQ(sign_test(values).below, sign_test(finite).below);
  EXPECT_DOUBLE_EQ(sign_test({}).above, 1);
}

TEST(SignedRanks, AgreesWithCountingAllSignsWithAndWithoutTies) {
  SignedRanks ranks;
  std::mt19937_64 random(3);
  for (int n = 0; n <= 12; ++n) {
    for (const bool ties : {false, true}) {
      std::vector<double> differences;
      for (int i = 0; i < n; ++i) {
        const double value =
            ties ? static_cast<double>(random() % 7) - 3 : std::generate_canonical<double, 53>(random) - 0.4;
        differences.push_back(value);
      }
      const OneSided right = counted(differences);
      const OneSided found = ranks.test(differences);
      EXPECT_NEAR(found.above, right.above, 1e-12) << n << (ties ? " with ties" : "");
      EXPECT_NEAR(found.below, right.below, 1e-12) << n << (ties ? " with ties" : "");
    }
  }
}

TEST(SignedRanks, TheNormalDistributionTakesOverSmoothly) {
  std::mt19937_64 random(5);
  std::vector<double> differences;
  for (std::size_t i = 0; i < SignedRanks::kMostExact; ++i) {
    differences.push_back(std::generate_canonical<double, 53>(random) - 0.48);
  }
  SignedRanks ranks;
  const OneSided exact = ranks.test(differences);
  differences.push_back(1e-9);  // the smallest rank of all: it moves next to nothing
  const OneSided approximate = ranks.test(differences);
  EXPECT_NEAR(approximate.above, exact.above, 0.003);
  EXPECT_NEAR(approximate.below, exact.below, 0.003);
}

TEST(SignedRanks, ALaunchThatOverranCountsAsTheLargest) {
  SignedRanks ranks;
  const std::vector<double> infinite{0.1, 0.2, 0.3, 0.4, 0.5, kInfinity};
  const std::vector<double> large{0.1, 0.2, 0.3, 0.4, 0.5, 99};
  EXPECT_DOUBLE_EQ(ranks.test(infinite).above, ranks.test(large).above);
  EXPECT_EQ(ranks.pseudo_median(infinite).high, kInfinity);
  EXPECT_LT(ranks.pseudo_median(infinite).middle, 1);
}

TEST(SignedRanks, TheIntervalHoldsTheShiftsThatTheTestDoesNotReject) {
  SignedRanks ranks;
  std::mt19937_64 random(7);
  for (const int n : {6, 9, 18, 45}) {
    std::vector<double> values;
    for (int i = 0; i < n; ++i) values.push_back(std::generate_canonical<double, 53>(random));
    const Estimate estimate = ranks.pseudo_median(values);
    const auto least_p = [&](double shift) {
      std::vector<double> moved = values;
      for (double& value : moved) value -= shift;
      const OneSided p = ranks.test(moved);
      return std::min(p.above, p.below);
    };
    EXPECT_GT(least_p(estimate.low + 1e-9), 0.025);
    EXPECT_LE(least_p(estimate.low - 1e-9), 0.025);
    EXPECT_GT(least_p(estimate.high - 1e-9), 0.025);
    EXPECT_LE(least_p(estimate.high + 1e-9), 0.025);
  }
}

TEST(SignedRanks, TooFewValuesHaveNoInterval) {
  SignedRanks ranks;
  const std::vector<double> few{1, 2, 3, 4, 5};
  EXPECT_DOUBLE_EQ(ranks.pseudo_median(few).middle, 3);
  EXPECT_TRUE(std::isnan(ranks.pseudo_median(few).low));
  EXPECT_TRUE(std::isnan(ranks.pseudo_median({}).middle));
}

TEST(SignedRanks, RefusesWhatIsNotANumber) {
  SignedRanks ranks;
  const std::vector<double> values{1, std::nan("")};
  EXPECT_THROW(static_cast<void>(ranks.test(values)), Error);
  EXPECT_THROW(static_cast<void>(ranks.pseudo_median(values)), Error);
}

TEST(Spread, IsThatOfNormalValuesAndStandsWildOnes) {
  EXPECT_DOUBLE_EQ(median({3, 1, 2}), 2);
  EXPECT_DOUBLE_EQ(median({4, 1, 2, 3}), 2.5);
  EXPECT_DOUBLE_EQ(robust_sigma(std::vector<double>{1, 2, 3, 4, kInfinity}), 1.4826);
  EXPECT_TRUE(std::isnan(robust_sigma({})));
}

TEST(WeightedHolm, IsHolmsProcedureWhereAllWeightsAreEqual) {
  const std::vector<double> p{0.01, 0.04, 0.03, 0.5};
  const std::vector<double> weights{2, 2, 2, 2};
  EXPECT_THAT(weighted_holm(p, weights),
              testing::ElementsAre(testing::DoubleNear(0.04, 1e-12), testing::DoubleNear(0.09, 1e-12),
                                   testing::DoubleNear(0.09, 1e-12), testing::DoubleNear(0.5, 1e-12)));
}

TEST(WeightedHolm, KeepsTheErrorOverAllComparisonsWhateverTheWeights) {
  std::mt19937_64 random(11);
  int wrong = 0;
  constexpr int kSessions = 20000;
  for (int session = 0; session < kSessions; ++session) {
    std::vector<double> p;
    std::vector<double> weights;
    for (int i = 0; i < 6; ++i) {
      p.push_back(std::generate_canonical<double, 53>(random));
      weights.push_back(std::exp(4 * std::generate_canonical<double, 53>(random)));
    }
    const auto adjusted = weighted_holm(p, weights);
    wrong += *std::min_element(adjusted.begin(), adjusted.end()) < 0.05;
  }
  EXPECT_NEAR(static_cast<double>(wrong) / kSessions, 0.05, 0.006);
}

TEST(WeightedHolm, RefusesWhatIsNoProbabilityOrNoWeight) {
  const std::vector<double> one{1};
  const std::vector<double> none{};
  const std::vector<double> wrong{1.5};
  const std::vector<double> zero{0};
  EXPECT_THROW(weighted_holm(one, none), Error);
  EXPECT_THROW(weighted_holm(wrong, one), Error);
  EXPECT_THROW(weighted_holm(one, zero), Error);
}

TEST(Normal, QuantilesAreThoseOfTheTables) {
  EXPECT_NEAR(normal_quantile(0.975), 1.959964, 1e-6);
  EXPECT_NEAR(normal_quantile(0.05), -1.644854, 1e-6);
  EXPECT_NEAR(normal_cdf(1), 0.8413447, 1e-7);
  EXPECT_THROW(normal_quantile(1), Error);
}

}  // namespace
}  // namespace noisefloor
