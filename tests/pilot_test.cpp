// Rounds are planned from the sizes of differences: signs stay exact, and plans see what was asked.
// SPDX-License-Identifier: MIT
#include "harness/statistics/pilot.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

namespace noisefloor {
namespace {

std::vector<double> normal(std::mt19937_64& random, std::size_t n, double shift, double sigma) {
  std::normal_distribution<double> distribution(shift, sigma);
  std::vector<double> values(n);
  for (double& value : values) value = distribution(random);
  return values;
}

double mean_of_sigmas(double shift) {
  std::mt19937_64 random(1);
  double sum = 0;
  for (int i = 0; i < 200; ++i) sum += sigma_of_sizes(normal(random, 400, shift, 0.02));
  return sum / 200;
}

TEST(Pilot, SigmaOfSizesIsThatOfNormalDifferencesWithoutAChange) { EXPECT_NEAR(mean_of_sigmas(0), 0.02, 0.0005); }

TEST(Pilot, AChangeMakesSigmaOfSizesTooLargeByNoMoreThanPromised) {
  for (const double shift : {0.01, 0.02, 0.05, 1.0}) {
    EXPECT_GE(mean_of_sigmas(shift), 0.0195) << shift;
    EXPECT_LE(mean_of_sigmas(shift), 0.02 * 1.64) << shift;
  }
}

TEST(Pilot, SignsChangeNothing) {
  std::mt19937_64 random(2);
  std::vector<double> values = normal(random, 16, 0.01, 0.02);
  const double sigma = sigma_of_sizes(values);
  for (std::size_t i = 0; i < values.size(); i += 3) values[i] = -values[i];
  EXPECT_EQ(sigma_of_sizes(values), sigma);
}

TEST(Pilot, TheCautiousSigmaLiesAboveSigmaInFourOfFiveCases) {
  std::mt19937_64 random(3);
  for (const std::size_t n : {12, 16, 18, 60}) {
    int above = 0;
    for (int i = 0; i < 4000; ++i) above += cautious_sigma(normal(random, n, 0, 1)) >= 1 ? 1 : 0;
    EXPECT_GE(above, 4000 * 0.75) << n;
    EXPECT_LE(above, 4000 * 0.95) << n;
  }
}

TEST(Pilot, TooFewOrEndlessDifferencesHaveNoSigma) {
  EXPECT_TRUE(std::isnan(sigma_of_sizes(std::vector<double>{1, 2, 3, 4, 5})));
  EXPECT_FALSE(std::isfinite(sigma_of_sizes(std::vector<double>(8, INFINITY))));
  EXPECT_EQ(sigma_of_sizes(std::vector<double>(8, 0)), 0);
}

TEST(Pilot, PlansSeeWhatIsAskedAndNoLaterOneIsCheaper) {
  const GateRules rules{.alpha = 0.005};
  for (const double sigma : {0.0, 0.005, 0.01, 0.03, 0.06}) {
    const PlannedRounds plan = plan_rounds(sigma, 0.05, 16, 3, rules);
    ASSERT_TRUE(plan.sees) << sigma;
    EXPECT_GE(plan.screen, 16U);
    EXPECT_GE(plan.confirm, least_confirm_rounds(3, rules));
    EXPECT_GE(power(0.05, sigma, plan.screen, plan.confirm, 3, rules), 0.95);
    if (plan.confirm > least_confirm_rounds(3, rules)) {
      EXPECT_LT(power(0.05, sigma, plan.screen, plan.confirm - 1, 3, rules), 0.95);
    }
  }
}

TEST(Pilot, MoreNoiseNeverPlansFewerRounds) {
  const GateRules rules{.alpha = 0.005};
  double before = 0;
  for (double sigma = 0.001; sigma < 0.1; sigma *= 1.2) {
    const PlannedRounds plan = plan_rounds(sigma, 0.05, 16, 2, rules);
    if (!plan.sees) break;
    const double cost = static_cast<double>(plan.screen) + 0.25 * static_cast<double>(plan.confirm);
    EXPECT_GE(cost, before) << sigma;
    before = cost;
  }
  EXPECT_GT(before, 30);
}

TEST(Pilot, WhatCannotBeSeenGetsTheFewestRoundsOfTheScreen) {
  const PlannedRounds plan = plan_rounds(3.0, 0.05, 16, 1, {});
  EXPECT_FALSE(plan.sees);
  EXPECT_EQ(plan.screen, 16U);
  EXPECT_EQ(plan.confirm, GateRules{}.confirm_rounds);
  EXPECT_FALSE(plan_rounds(std::nan(""), 0.05, 16, 1, {}).sees);
}

TEST(Pilot, AnEarlierMeasureIsChosenUnlessALaterOneIsClearlyQuieter) {
  std::mt19937_64 random(4);
  const std::vector<double> quiet = normal(random, 16, 0, 0.01);
  std::vector<double> alike = quiet;
  for (double& value : alike) value *= 0.9;
  std::vector<double> quieter = quiet;
  for (double& value : quieter) value *= -0.5;
  std::vector<double> unusable = quiet;
  unusable[3] = std::nan("");
  EXPECT_EQ(choose_measure(std::vector<std::vector<double>>{quiet, alike}), 0);
  EXPECT_EQ(choose_measure(std::vector<std::vector<double>>{quiet, alike, quieter}), 2);
  EXPECT_EQ(choose_measure(std::vector<std::vector<double>>{unusable, quiet}), 1);
  EXPECT_EQ(choose_measure(std::vector<std::vector<double>>{unusable}), -1);
  EXPECT_EQ(choose_measure({}), -1);
}

}  // namespace
}  // namespace noisefloor
