// The plan of a run: order, padding, limits, and plan.toml.
// SPDX-License-Identifier: MIT
#include "harness/sweep/plan.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <toml++/toml.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "harness/base/error.hpp"

namespace noisefloor {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

SweepFile sweep(const std::string& name = "s", const std::string& more = "tasks = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]\n") {
  return parse_sweep(std::string("rounds = 3\n[[group]]\nworkload = \"spin\"\n").append(more), name + ".toml");
}

std::vector<std::size_t> order(const Plan& plan, int round) {
  std::vector<std::size_t> result;
  for (const Visit& visit : visits(plan, round)) result.push_back(visit.cell);
  return result;
}

std::string problem(std::vector<SweepFile> sweeps, const PlanOptions& options) {
  try {
    make_plan(std::move(sweeps), options);
  } catch (const UsageError& error) {
    return error.what();
  }
  return "no error";
}

TEST(Plan, VisitsEveryCellOnceInEachRoundInAnOrderOfItsOwn) {
  const Plan plan = make_plan({sweep()}, {.seed = 5});
  ASSERT_EQ(plan.cells.size(), 10U);
  EXPECT_EQ(count_launches(plan), 30U);
  std::set<std::vector<std::size_t>> orders;
  for (int round = 0; round < count_rounds(plan); ++round) {
    auto cells = order(plan, round);
    orders.insert(cells);
    std::sort(cells.begin(), cells.end());
    EXPECT_THAT(cells, ElementsAre(0, 1, 2, 3, 4, 5, 6, 7, 8, 9));
    for (const Visit& visit : visits(plan, round)) EXPECT_LT(visit.padding_bytes, 4096U);
  }
  EXPECT_EQ(orders.size(), 3U);
}

TEST(Plan, OrderAndPaddingDependOnTheSeedAlone) {
  const Plan one = make_plan({sweep()}, {.seed = 5});
  const Plan same = make_plan({sweep()}, {.seed = 5});
  const Plan other = make_plan({sweep()}, {.seed = 6});
  EXPECT_EQ(order(one, 1), order(same, 1));
  EXPECT_NE(order(one, 1), order(other, 1));
  std::set<std::size_t> paddings;
  for (const Visit& visit : visits(one, 1)) paddings.insert(visit.padding_bytes);
  EXPECT_GT(paddings.size(), 5U);
}

// Recorded once: another compiler, library or version must give the same order for a recorded seed.
TEST(Plan, OrderIsTheSameWithEveryStandardLibrary) {
  const Plan plan = make_plan({sweep()}, {.seed = 1});
  EXPECT_THAT(order(plan, 0), ElementsAre(5, 0, 8, 7, 3, 1, 9, 6, 4, 2));
}

TEST(Plan, NumbersBelowABoundAreUniform) {
  PlanRandom random(1, 2);
  std::vector<int> counts(3);
  for (int i = 0; i < 30'000; ++i) ++counts[random.below(3)];
  for (const int count : counts) EXPECT_NEAR(count, 10'000, 500);  // 6 standard deviations
  for (int i = 0; i < 10; ++i) EXPECT_EQ(random.below(1), 0U);
}

TEST(Plan, SweepsKeepTheirOwnNumberOfRounds) {
  SweepFile longer = sweep("t", "");
  longer.rounds = 5;
  longer.repetitions = 2;
  const Plan plan = make_plan({sweep("s", ""), longer}, {});
  EXPECT_EQ(count_rounds(plan), 5);
  EXPECT_EQ(count_launches(plan), 8U);
  EXPECT_EQ(order(plan, 2).size(), 2U);
  EXPECT_THAT(order(plan, 3), ElementsAre(1));
  EXPECT_EQ(plan.cells[1].repetitions, 2);
  EXPECT_EQ(count_rounds(make_plan({sweep("s", ""), longer}, {.rounds = 2})), 2);
}

TEST(Plan, TheChangeThatAGroupIsMeantToSeeGoesWithItsCells) {
  const Plan plan = make_plan({sweep("s", "sees = 0.03\n")}, {});
  ASSERT_TRUE(plan.cells[0].sees);
  EXPECT_EQ(*plan.cells[0].sees, 0.03);
  const auto table = toml::parse(format_plan(plan, {}));
  EXPECT_EQ(table["cell"][0]["sees"].value_or(0.0), 0.03);
}

TEST(Plan, SetAndFilterNarrowIt) {
  PlanOptions options;
  options.sets = {parse_axis_values("tasks=4,5"), parse_axis_values("strategy=sequential,openmp")};
  EXPECT_EQ(make_plan({sweep()}, options).cells.size(), 4U);
  options.filter = "strategy=openmp.*tasks=[45],";
  EXPECT_EQ(make_plan({sweep()}, options).cells.size(), 2U);
  options.filter = "tasks=6,";
  EXPECT_THAT(problem({sweep()}, options), HasSubstr("no cell is left"));
  options.filter = "(";
  EXPECT_THAT(problem({sweep()}, options), HasSubstr("--filter '('"));
  options.sets.push_back(parse_axis_values("tasks=9"));
  EXPECT_THAT(problem({sweep()}, options), HasSubstr("--set tasks is given twice"));
}

TEST(Plan, TheSameSweepTwiceIsRefused) {
  EXPECT_THAT(problem({sweep(), sweep()}, {}), HasSubstr("'s' is given twice"));
}

TEST(Plan, ACellThatMeansNothingIsRefusedWithItsSweep) {
  const std::string said = problem({sweep("s", "tasks = 2\nchunk_size = [1, 3]\n")}, {});
  EXPECT_THAT(said, HasSubstr("s: chunk_size 3 is larger than tasks 2"));
}

TEST(Plan, TooManyCellsAreRefusedWithTheirNumberUnlessMeant) {
  const auto values = [](int most) {
    std::string text = " = [1";
    for (int i = 2; i <= most; ++i) text.append(",").append(std::to_string(i));
    return text.append("]\n");
  };
  std::string sizes = "tasks = 500000\ntask_size";
  sizes.append(values(1001)).append("chunk_size").append(values(100));
  EXPECT_THAT(problem({sweep("s", sizes)}, {}), ::testing::AllOf(HasSubstr("100100 cells"), HasSubstr("--yes")));
  EXPECT_EQ(make_plan({sweep("s", sizes)}, {.many_cells = true}).cells.size(), 100'100U);
}

TEST(Plan, IsWrittenAsTomlThatSaysAllThatARunNeeds) {
  Plan plan = make_plan({sweep("s", "")}, {.seed = 77});
  plan.command = {"noisefloor", "run", "a \"quoted\"\tname\\", "\xc3\xa9", "stray \xff byte"};
  plan.cells[0].cell.task_ns = 12;
  plan.cells[0].calibration = Calibration{8, 0xabcU, 1'000};
  const auto table = toml::parse(format_plan(plan, {{"run_id", "x"}}));
  EXPECT_EQ(table["run_id"].value_or(std::string()), "x");
  EXPECT_EQ(table["seed"].value_or(std::int64_t{0}), 77);
  EXPECT_EQ(table["sweeps"][0].value_or(std::string()), "s.toml");
  EXPECT_EQ(table["command"][2].value_or(std::string()), "a \"quoted\"\tname\\");
  EXPECT_EQ(table["command"][3].value_or(std::string()), "\xc3\xa9");
  EXPECT_EQ(table["command"][4].value_or(std::string()), "stray \xef\xbf\xbd byte");
  const auto cell = table["cell"][0];
  EXPECT_EQ(normalised(parse_cell(cell["cell"].value_or(std::string()))), plan.cells[0].cell);
  EXPECT_EQ(cell["cell_id"].value_or(std::string()), cell_id(plan.cells[0].cell));
  EXPECT_FALSE(cell["sees"]);
  EXPECT_EQ(cell["rounds"].value_or(0), 3);
  EXPECT_EQ(cell["repetitions"].value_or(0), 5);
  EXPECT_EQ(cell["warmups"].value_or(0), 2);
  EXPECT_EQ(cell["iterations"].value_or(0), 8);
  EXPECT_EQ(cell["digest"].value_or(std::string()), "0000000000000abc");
  EXPECT_EQ(cell["expected_ns"].value_or(0), 1000);
}

TEST(Plan, IsReadBackAsItWasWritten) {
  Plan plan = make_plan({sweep("s", "")}, {.seed = 9'223'372'036'854'775'807});
  plan.command = {"a \"quoted\"\tname\\", "\xc3\xa9"};
  plan.calibrated = true;
  plan.arms = {{"head", "/h", "1", "2"}, {"base", "/b", "3", "4"}};
  for (PlannedCell& planned : plan.cells) {
    planned.status = "skipped";
    planned.message = "no";
  }
  plan.cells[0].cell.task_ns = 12;
  plan.cells[0].calibration = Calibration{8, 0xabcU, 1'000};
  plan.cells[0].status.clear();
  plan.cells[0].message.clear();
  plan.cells[0].kernel = "avx2";
  plan.cells[0].runtime = "libgomp";
  const std::vector<std::pair<std::string, std::string>> facts = {{"run_id", "x"}};
  const PlanFile file = parse_plan(format_plan(plan, facts), "plan.toml");
  EXPECT_EQ(file.facts.at("run_id"), "x");
  EXPECT_EQ(file.plan.cells[0].cell, plan.cells[0].cell);
  EXPECT_EQ(format_plan(file.plan, facts), format_plan(plan, facts));
  EXPECT_EQ(order(file.plan, 1), order(plan, 1));
}

TEST(Plan, AFileThatIsNoPlanIsRefusedWithTheLine) {
  Plan plan = make_plan({sweep("s", "")}, {});
  const std::string good = format_plan(plan, {});
  const auto changed = [&](const std::string& from, const std::string& to) {
    std::string text = good;
    EXPECT_NE(text.find(from), std::string::npos) << from;
    return text.replace(text.find(from), from.size(), to);
  };
  for (const auto& [text, said] : std::vector<std::pair<std::string, std::string>>{
           {changed("seed = 1", "seed ="), "p.toml:5:"},
           {changed("seed = 1", "seed = -1"), "p.toml:5:8: seed must be a whole number"},
           {changed("schema = 1", "schema = 2"), "p.toml:2:10: this is a plan of schema 2"},
           {changed("[[cell]]", "[[sell]]"), "cell is missing"},
           {changed("calibrated = false", "calibrated = true"), "neither iterations nor a status"},
           {changed("cell = \"sweep=s,workload=", "cell = \"sweep=s,workload=x"), "unknown workload"},
           {changed("rounds = ", "rounds = \"\" #"), "rounds must be a whole number"},
           {"", "schema is missing"}}) {
    try {
      parse_plan(text, "p.toml");
      FAIL() << said;
    } catch (const UsageError& error) {
      EXPECT_THAT(error.what(), ::testing::AllOf(HasSubstr("p.toml:"), HasSubstr(said)));
    }
  }
  EXPECT_THROW(read_plan("/nonexistent/plan.toml"), UsageError);
}

}  // namespace
}  // namespace noisefloor
