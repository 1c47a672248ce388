// The gate says no more than its rounds can carry: error, power and blindness by simulation.
// SPDX-License-Identifier: MIT
#include "harness/statistics/judge.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstddef>
#include <limits>
#include <random>
#include <string>
#include <vector>

namespace noisefloor {
namespace {

using testing::HasSubstr;

/// n values that lie as those of a normal distribution with this middle and spread do, without chance.
std::vector<double> spread_out(double middle, double sigma, std::size_t n) {
  std::vector<double> values;
  for (std::size_t i = 0; i < n; ++i) {
    values.push_back(middle + sigma * normal_quantile((static_cast<double>(i) + 0.5) / static_cast<double>(n)));
  }
  return values;
}

CellRounds cell(double screened, double confirmed, double sees = 0.05, double sigma = 0.01) {
  return {spread_out(std::log1p(screened), sigma, 18), spread_out(std::log1p(confirmed), sigma, 45), sees};
}

Judged judged(CellRounds one, const GateRules& rules = {}) {
  return judge(std::vector<CellRounds>{std::move(one)}, rules)[0];
}

/// A session of 24 cells of which the first are slower; its noise has heavy tails.
struct Session {
  std::size_t slow = 0;
  double shift = 0;
  double sigma = 0.012;
  GateRules rules = {};

  std::vector<Judged> run(std::mt19937_64& random) const {
    std::student_t_distribution<double> noise(5);
    const auto rounds = [&](std::size_t which, std::size_t n) {
      std::vector<double> values;
      for (std::size_t i = 0; i < n; ++i) values.push_back((which < slow ? shift : 0.0) + sigma / 1.1 * noise(random));
      return values;
    };
    std::vector<CellRounds> cells(24);
    for (std::size_t i = 0; i < cells.size(); ++i) cells[i] = {rounds(i, rules.screen_rounds), {}, 0.05};
    const Confirmation plan = plan_confirmation(cells, 1e9, rules);
    for (const std::size_t i : plan.cells) cells[i].confirmed = rounds(i, plan.rounds);
    return judge(cells, rules);
  }
};

TEST(Judge, AConfirmedChangeHasItsDirection) {
  EXPECT_EQ(judged(cell(0.05, 0.05)).verdict, Verdict::regressed);
  EXPECT_EQ(judged(cell(-0.05, -0.05)).verdict, Verdict::improved);
}

TEST(Judge, TheFreshRoundsAloneDecide) {
  const Judged back = judged(cell(0.05, 0.0));
  EXPECT_EQ(back.verdict, Verdict::ok);
  EXPECT_TRUE(back.flagged);
  EXPECT_EQ(back.change.rounds, 45U);
  EXPECT_EQ(judged(cell(0.05, -0.05)).verdict, Verdict::ok);
}

TEST(Judge, BelowTheMarginNothingIsAChangeHoweverSure) {
  const Judged small = judged(cell(0.009, 0.009, 0.05, 0.001));
  EXPECT_LT(small.p, 1e-6);
  EXPECT_EQ(small.verdict, Verdict::ok);
  EXPECT_EQ(judged(cell(0.011, 0.011, 0.05, 0.001)).verdict, Verdict::regressed);
  EXPECT_EQ(judged(cell(1 / 1.011 - 1, 1 / 1.011 - 1, 0.05, 0.001)).verdict, Verdict::improved);
  EXPECT_EQ(judged(cell(1 / 1.009 - 1, 1 / 1.009 - 1, 0.05, 0.001)).verdict, Verdict::ok);
}

TEST(Judge, ACellTooNoisyForWhatIsAskedSaysWhatItTakesAndFailsOnlyForWhatItCanSee) {
  const Judged noisy = judged({spread_out(0, 0.08, 18), {}, 0.03});
  EXPECT_EQ(noisy.verdict, Verdict::underpowered);
  EXPECT_THAT(noisy.reason, HasSubstr("3.0% is asked"));
  EXPECT_THAT(noisy.reason, HasSubstr("times as many rounds"));
  EXPECT_EQ(judged(cell(0.08, 0.025, 0.02, 0.05)).verdict, Verdict::underpowered);
  EXPECT_EQ(judged(cell(0.30, 0.30, 0.03, 0.05)).verdict, Verdict::regressed);
}

TEST(Judge, AFlaggedCellThatWasNotConfirmedIsInconclusive) {
  const Judged open = judged({spread_out(0.05, 0.01, 18), {}, 0.05});
  EXPECT_EQ(open.verdict, Verdict::inconclusive);
  EXPECT_THAT(open.reason, HasSubstr("not confirmed"));
}

// The smallest p of six rounds is 1/64, and Holm multiplies it by the number of cells: with four cells nothing can be
// confirmed, however slow they are.
TEST(Judge, RoundsThatCannotConvictAreNeverCalledOk) {
  std::vector<CellRounds> cells(4, {spread_out(std::log(1.3), 0.01, 18), spread_out(std::log(1.3), 0.01, 6), 0.05});
  for (const Judged& one : judge(cells)) {
    EXPECT_EQ(one.verdict, Verdict::inconclusive);
    EXPECT_EQ(one.change.smallest_visible, std::numeric_limits<double>::infinity());
    EXPECT_THAT(one.reason, HasSubstr("at least 7 can"));
  }
  for (CellRounds& one : cells) one.confirmed = spread_out(std::log(1.3), 0.01, 7);
  for (const Judged& one : judge(cells)) EXPECT_EQ(one.verdict, Verdict::regressed);
}

TEST(Plan, BuysTheRoundsThatACellNeedsToBeConfirmed) {
  GateRules rules;
  rules.confirm_rounds = 6;
  const std::vector<CellRounds> four(4, {spread_out(0.3, 0.01, 18), {}, 0.05});
  EXPECT_EQ(plan_confirmation(four, 1e9, rules).rounds, 7U);
  EXPECT_EQ(least_confirm_rounds(24, rules), 9U);
}

TEST(Plan, LeavesOutTheLeastClearCellsWhereTimeIsShort) {
  std::vector<CellRounds> cells;
  for (int i = 0; i < 24; ++i) cells.push_back({spread_out(0.1, i == 5 ? 0.01 : 0.19, 18), {}, 0.05});
  cells.push_back({spread_out(0, 0.01, 18), {}, 0.05});
  const Confirmation plan = plan_confirmation(cells, 60, {});
  EXPECT_EQ(plan.cells.size(), 7U);  // 8 rounds of 7 cells are 56 visits; 7 rounds of 8 cells would be too few
  EXPECT_EQ(plan.rounds, 8U);
  EXPECT_THAT(plan.cells, testing::Contains(5U));
  EXPECT_EQ(plan.left_out.size(), 17U);
  EXPECT_TRUE(plan_confirmation(cells, 3, {}).cells.empty());
}

TEST(Error, IdenticalBuildsAreSeldomCalledSlower) {
  std::mt19937_64 random(1);
  int sessions_with_a_claim = 0;
  int sessions_with_a_regression = 0;
  constexpr int kSessions = 2000;
  for (int i = 0; i < kSessions; ++i) {
    bool claim = false;
    bool regression = false;
    // Without a margin: what is shown is the error of the test itself.
    for (const Judged& one : Session{.sigma = 0.012, .rules = {.margin = 0}}.run(random)) {
      claim |= one.verdict == Verdict::regressed || one.verdict == Verdict::improved;
      regression |= one.verdict == Verdict::regressed;
    }
    sessions_with_a_claim += claim;
    sessions_with_a_regression += regression;
  }
  EXPECT_LT(sessions_with_a_claim, kSessions * 0.065);  // 5% and four standard errors
  EXPECT_LT(sessions_with_a_regression, kSessions * 0.045);
}

TEST(Power, TheSmallestVisibleChangeIsFoundInFourOfFiveSessions) {
  std::mt19937_64 random(2);
  std::normal_distribution<double> noise;
  for (const double sigma : {0.005, 0.03, 0.1}) {
    const GateRules rules;
    const double visible = smallest_visible(sigma, rules.screen_rounds, rules.confirm_rounds, 1, rules);
    int found = 0;
    constexpr int kSessions = 2000;
    for (int i = 0; i < kSessions; ++i) {
      CellRounds one{{}, {}, 1.0};
      for (std::size_t r = 0; r < rules.screen_rounds; ++r) {
        one.screened.push_back(std::log1p(visible) + sigma * noise(random));
      }
      for (std::size_t r = 0; r < rules.confirm_rounds; ++r) {
        one.confirmed.push_back(std::log1p(visible) + sigma * noise(random));
      }
      found += judged(one).verdict == Verdict::regressed;
    }
    EXPECT_NEAR(static_cast<double>(found) / kSessions, 0.80, 0.04) << sigma;
  }
}

TEST(Power, RoundsFactorIsTheOneThatMakesTheChangeVisible) {
  const GateRules rules;
  const double factor = rounds_factor(0.08, 0.03, rules);
  const auto times = [&](std::size_t rounds, double by) {
    return static_cast<std::size_t>(std::ceil(static_cast<double>(rounds) * by));
  };
  EXPECT_LE(smallest_visible(0.08, times(18, factor), times(45, factor), 1, rules), 0.03);
  EXPECT_GT(smallest_visible(0.08, times(18, factor * 0.9), times(45, factor * 0.9), 1, rules), 0.03);
  EXPECT_EQ(rounds_factor(0.001, 0.05, rules), 1);
  EXPECT_EQ(rounds_factor(0.05, 0.005, rules), std::numeric_limits<double>::infinity());  // below the margin
}

}  // namespace
}  // namespace noisefloor
