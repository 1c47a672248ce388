// A budget is kept by cutting rounds evenly, and then by leaving cells out.
// SPDX-License-Identifier: MIT
#include "harness/sweep/budget.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/base/error.hpp"

namespace noisefloor {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(ParseDuration, TakesHoursMinutesAndSeconds) {
  EXPECT_EQ(parse_duration("90s"), seconds(90));
  EXPECT_EQ(parse_duration("3m"), minutes(3));
  EXPECT_EQ(parse_duration("1h"), hours(1));
  EXPECT_EQ(parse_duration("1h30m5s"), hours(1) + minutes(30) + seconds(5));
  EXPECT_EQ(parse_duration("2.5m"), seconds(150));
  EXPECT_EQ(parse_duration("0.25s"), milliseconds(250));
}

TEST(ParseDuration, RefusesWhatMeansNothing) {
  for (const char* text :
       {"", "3", "m", "3x", "-3m", "3m4", "3m1h", "3m3m", "0s", "3 m", "nan s", "infs", "1e3s", "9999999h"}) {
    EXPECT_THROW(static_cast<void>(parse_duration(text)), UsageError) << text;
  }
}

TEST(Budget, WhatFitsIsLeftAsItIs) {
  const BudgetCut cut = cut_to_budget({{1, 10}, {2, 12}}, 0, 34);
  EXPECT_EQ(cut.rounds, 12);
  EXPECT_THAT(cut.left_out, IsEmpty());
}

TEST(Budget, RoundsAreCutEvenly) {
  // 9 rounds of both, or 10 of the first and 9 of the second, cost 27 and 28.
  EXPECT_EQ(cut_to_budget({{1, 10}, {2, 12}}, 0, 29).rounds, 9);
  EXPECT_EQ(cut_to_budget({{1, 10}, {2, 12}}, 0, 30).rounds, 10);
}

TEST(Budget, NoCellGetsFewerThanSixRoundsOrThanItWants) {
  EXPECT_EQ(cut_to_budget({{1, 10}, {2, 12}}, 0, 18).rounds, 6);
  EXPECT_THAT(cut_to_budget({{1, 10}, {2, 12}}, 0, 18).left_out, IsEmpty());
  // A cell that wants two rounds only costs two.
  EXPECT_THAT(cut_to_budget({{1, 10}, {2, 2}}, 0, 10).left_out, IsEmpty());
}

TEST(Budget, WhereSixDoNotFitTheFirstCellsAreKept) {
  const BudgetCut cut = cut_to_budget({{1, 10}, {5, 10}, {1, 10}, {1, 10}}, 0, 13);
  EXPECT_THAT(cut.left_out, ElementsAre(1, 3));
  EXPECT_EQ(cut.rounds, 6);
  EXPECT_THAT(cut_to_budget({{1, 10}}, 0, 5).left_out, ElementsAre(0));
  EXPECT_THAT(cut_to_budget({{1, 10}}, 0, -5).left_out, ElementsAre(0));
}

TEST(Budget, LaunchesAreShortenedBeforeCellsAreLeftOut) {
  const std::vector<CellCost> cells = {{3, 10, 0, false, 1}, {5, 10, 0, false, 0}, {2, 10, 0, false, 2}};
  EXPECT_FALSE(cut_to_budget(cells, 0, 60).shortened);
  const BudgetCut cut = cut_to_budget(cells, 0, 48);  // 6 rounds of 1 + 5 + 2
  EXPECT_TRUE(cut.shortened);
  EXPECT_THAT(cut.left_out, IsEmpty());
  EXPECT_EQ(cut.rounds, 6);
  EXPECT_EQ(cut_to_budget(cells, 0, 59).rounds, 7);
  EXPECT_FALSE(cut_to_budget(cells, 1, 39).shortened) << "launches of one cell are alike";
  EXPECT_FALSE(cut_to_budget({{2, 10, 0, false, 2}}, 0, 1).shortened) << "there is nothing shorter";
}

TEST(Budget, GroupsShareWhatIsThere) {
  // Two groups of cells that cost 6 each, and one cell of a third group that costs as much as two of them.
  const std::vector<CellCost> cells = {{1, 10, 0}, {1, 10, 0}, {1, 10, 0}, {1, 10, 1},
                                       {1, 10, 1}, {1, 10, 1}, {2, 10, 2}};
  EXPECT_THAT(fair_order(cells), ElementsAre(0, 3, 6, 1, 4, 2, 5));
  EXPECT_THAT(cut_to_budget(cells, 0, 36).left_out, ElementsAre(2, 5));
}

TEST(Budget, ReferenceProgramsAreTheFirstToBeLeftOut) {
  const std::vector<CellCost> cells = {{1, 10, 0, true}, {1, 10, 0}, {1, 10, 1}};
  EXPECT_THAT(fair_order(cells), ElementsAre(1, 2, 0));
  EXPECT_THAT(cut_to_budget(cells, 0, 13).left_out, ElementsAre(0));
}

TEST(Budget, RoundsThatAreOverCostNothing) {
  EXPECT_EQ(cut_to_budget({{1, 20}}, 8, 3).rounds, 11);
  EXPECT_EQ(cut_to_budget({{1, 20}}, 8, 0.5).rounds, 8);
  EXPECT_THAT(cut_to_budget({{1, 20}}, 8, -1).left_out, IsEmpty()) << "it has its six";
  EXPECT_THAT(cut_to_budget({{1, 20}}, 3, 2.5).left_out, ElementsAre(0));
}

}  // namespace
}  // namespace noisefloor
