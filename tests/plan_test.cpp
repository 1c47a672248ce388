// The plan of a run: order, padding, limits, and plan.json.
// SPDX-License-Identifier: MIT
#include "harness/sweep/plan.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <utility>
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

TEST(Plan, EachArmComesFirstEquallyOftenInEveryCell) {
  for (const std::size_t arms : {2U, 3U}) {
    Plan plan = make_plan({sweep()}, {.seed = 9});
    plan.arms.resize(arms);
    for (PlannedCell& planned : plan.cells) planned.rounds = 12;
    std::map<std::size_t, std::vector<std::size_t>> first;  // by cell, the arm that came first in each round
    for (int round = 0; round < 12; ++round) {
      std::set<std::pair<std::size_t, std::size_t>> seen;
      for (const Visit& visit : visits(plan, round)) {
        EXPECT_TRUE(seen.emplace(visit.cell, visit.arm).second);
        if (first[visit.cell].size() == static_cast<std::size_t>(round)) first[visit.cell].push_back(visit.arm);
      }
      EXPECT_EQ(seen.size(), plan.cells.size() * arms);
    }
    std::set<std::vector<std::size_t>> orders;
    for (const auto& [cell, order] : first) {
      orders.insert(order);
      for (std::size_t arm = 0; arm < arms; ++arm) {
        EXPECT_EQ(static_cast<std::size_t>(std::count(order.begin(), order.end(), arm)), 12 / arms) << cell;
      }
    }
    EXPECT_GT(orders.size(), 8U);  // balanced, and by chance all the same
  }
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
  EXPECT_EQ(nlohmann::json::parse(format_plan(plan, {})).at("cell").at(0).at("sees"), 0.03);
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

TEST(Plan, ACellThatMeansNothingIsSkippedWithTheReason) {
  const Plan plan = make_plan({sweep("s", "tasks = 2\nchunk_size = [1, 3]\n")}, {});
  ASSERT_EQ(plan.cells.size(), 2U);
  EXPECT_EQ(plan.cells[0].status, "");
  EXPECT_EQ(plan.cells[1].status, "skipped");
  EXPECT_THAT(plan.cells[1].message, HasSubstr("chunk_size 3 is larger than tasks 2"));
  EXPECT_EQ(plan.cells[1].rounds, 1) << "one row says so";
  EXPECT_EQ(parse_plan(format_plan(plan, {}), "plan.json").plan.cells[1].message, plan.cells[1].message);
}

TEST(Plan, IsRefusedWhereNoCellMeansAnything) {
  const std::string said = problem({sweep("s", "tasks = 2\nchunk_size = 3\n")}, {});
  EXPECT_THAT(said, HasSubstr("s: chunk_size 3 is larger than tasks 2"));
}

TEST(Plan, HasTheBudgetOfItsSweepsUnlessOneHasNoneOrRoundsAreGiven) {
  SweepFile one = sweep("s", ""), two = sweep("t", "");
  one.budget = std::chrono::seconds(60);
  EXPECT_EQ(make_plan({one}, {}).budget, std::chrono::seconds(60));
  EXPECT_FALSE(make_plan({one}, {.rounds = 4}).budget.has_value());
  EXPECT_FALSE(make_plan({one, two}, {}).budget.has_value());
  two.budget = std::chrono::seconds(30);
  EXPECT_EQ(make_plan({one, two}, {}).budget, std::chrono::seconds(90));
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

TEST(Plan, IsWrittenAsJsonThatSaysAllThatARunNeeds) {
  Plan plan = make_plan({sweep("s", "")}, {.seed = 77});
  plan.command = {"noisefloor", "run", "a \"quoted\"\tname\\", "\xc3\xa9", "stray \xff byte"};
  plan.cells[0].cell.task_ns = 12;
  plan.cells[0].calibration = Calibration{8, 0xabcU, 1'000};
  const auto object = nlohmann::json::parse(format_plan(plan, {{"run_id", "x"}}));
  EXPECT_EQ(object.at("run_id"), "x");
  EXPECT_EQ(object.at("seed"), 77);
  EXPECT_EQ(object.at("sweeps").at(0), "s.toml");
  EXPECT_EQ(object.at("command").at(2), "a \"quoted\"\tname\\");
  EXPECT_EQ(object.at("command").at(3), "\xc3\xa9");
  EXPECT_EQ(object.at("command").at(4), "stray \xef\xbf\xbd byte");
  const auto cell = object.at("cell").at(0);
  EXPECT_EQ(normalised(parse_cell(cell.at("cell").get<std::string>())), plan.cells[0].cell);
  EXPECT_EQ(cell.at("cell_id"), cell_id(plan.cells[0].cell));
  EXPECT_FALSE(cell.contains("sees"));
  EXPECT_EQ(cell.at("rounds"), 3);
  EXPECT_EQ(cell.at("repetitions"), 5);
  EXPECT_EQ(cell.at("warmups"), 2);
  EXPECT_EQ(cell.at("iterations"), 8);
  EXPECT_EQ(cell.at("digest"), "0000000000000abc");
  EXPECT_EQ(cell.at("expected_ns"), 1000);
}

TEST(Plan, IsReadBackAsItWasWritten) {
  Plan plan = make_plan({sweep("s", "")}, {.seed = 18'446'744'073'709'551'615U});
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
  const PlanFile file = parse_plan(format_plan(plan, facts), "plan.json");
  EXPECT_EQ(file.facts.at("run_id"), "x");
  EXPECT_EQ(file.plan.cells[0].cell, plan.cells[0].cell);
  EXPECT_EQ(format_plan(file.plan, facts), format_plan(plan, facts));
  EXPECT_EQ(order(file.plan, 1), order(plan, 1));
}

TEST(Plan, AFileThatIsNoPlanIsRefusedWithThePlace) {
  Plan plan = make_plan({sweep("s", "")}, {});
  const std::string good = format_plan(plan, {});
  const auto changed = [&](const std::string& from, const std::string& to) {
    std::string text = good;
    EXPECT_NE(text.find(from), std::string::npos) << from;
    return text.replace(text.find(from), from.size(), to);
  };
  for (const auto& [text, said] : std::vector<std::pair<std::string, std::string>>{
           {changed("\"seed\": 1", "\"seed\":"), "parse error at line 7"},
           {changed("\"seed\": 1", "\"seed\": -1"), "seed must be a whole number"},
           {changed("\"schema\": 1", "\"schema\": 2"), "this is a plan of schema 2"},
           {changed("\"cell\": [", "\"sell\": ["), "cell is missing"},
           {changed("\"calibrated\": false", "\"calibrated\": true"), "cell 1: it has neither iterations nor a status"},
           {changed("sweep=s,workload=", "sweep=s,workload=x"), "cell 1: unknown workload"},
           {changed("\"rounds\": ", "\"rounds\": \"\",\"\": "), "cell 1: rounds must be a whole number"},
           {"{}", "schema is missing"},
           {"[]", "must be a JSON object"},
           {"", "parse error"}}) {
    try {
      parse_plan(text, "p.json");
      FAIL() << said;
    } catch (const UsageError& error) {
      EXPECT_THAT(error.what(), ::testing::AllOf(HasSubstr("p.json: "), HasSubstr(said)));
    }
  }
  EXPECT_THROW(read_plan("/nonexistent/plan.json"), UsageError);
}

// As programs before plan.json wrote them.
TEST(Plan, ATomlPlanOfAnOlderProgramIsReadAsIfItWereJson) {
  const PlanFile file = parse_plan(R"(schema = 1
run_id = "x"
command = ["noisefloor", "run", "s"]
sweeps = ["s.toml"]
seed = 9223372036854775807
calibrated = true
budget_ns = 180000000000
spent_ns = 12

[[arm]]
name = "head"
program = "/h"
build_id = "1"
git_sha = "2"

[[cell]]
cell = "sweep=s,workload=spin,strategy=sequential,workers=1,tasks=4,task_size=100,task_ns=12,chunk_size=1"
cell_id = "any"
rounds = 3
repetitions = 5
warmups = 2
sees = 0.03
iterations = 8
digest = "0000000000000abc"
expected_ns = 1000
)",
                                   "plan.toml");
  EXPECT_EQ(file.facts.at("run_id"), "x");
  EXPECT_EQ(file.plan.seed, 9'223'372'036'854'775'807U);
  EXPECT_EQ(*file.plan.budget, std::chrono::seconds(180));
  ASSERT_EQ(file.plan.cells.size(), 1U);
  const PlannedCell& cell = file.plan.cells.front();
  EXPECT_EQ(cell.cell.task_ns, 12U);
  EXPECT_EQ(cell.sees, 0.03);
  EXPECT_EQ(cell.calibration->digest, 0xabcU);
  EXPECT_EQ(parse_plan(format_plan(file.plan, {}), "plan.json").plan.cells.front().cell, cell.cell);
}

}  // namespace
}  // namespace noisefloor
