// What a plan will take is said from what an earlier run measured, and from a stated guess elsewhere.
// SPDX-License-Identifier: MIT
#include "harness/sweep/estimate.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "temporary_folder.hpp"

namespace noisefloor {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

Plan plan_of(const std::string& lines, int rounds = 3) {
  return make_plan({parse_sweep(lines, "s.toml")}, {.rounds = rounds});
}

const std::string kTwo = "[[group]]\nworkload = \"spin\"\ntasks = 8\nstrategy = [\"sequential\", \"openmp\"]\n";

TEST(Estimate, WithoutAnEarlierRunEveryLaunchIsAGuess) {
  const Estimate expected = estimate(plan_of(kTwo), nullptr);
  EXPECT_EQ(expected.known_cells, 0U);
  EXPECT_EQ(expected.rated_cells, 0U);
  EXPECT_EQ(expected.time, (2 * 3 + 2) * kUnknownLaunch) << "three rounds of two cells, and a trial of each";
}

TEST(Estimate, CellsOfAnEarlierRunTakeWhatTheyTookWhateverTheirSweepIsCalled) {
  Plan earlier = make_plan({parse_sweep(kTwo, "other.toml")}, {});
  earlier.cells[1].cell.task_ns = 123;
  earlier.cells[1].calibration = Calibration{1, 1, 2'000'000'000};
  Plan plan = plan_of(kTwo);
  plan.arms.push_back({.name = "base"});
  const Estimate expected = estimate(plan, &earlier);
  EXPECT_EQ(expected.known_cells, 1U);
  EXPECT_EQ(expected.time, 2 * 3 * (seconds(2) + kUnknownLaunch) + seconds(2) + kUnknownLaunch);
}

const std::string kLong =
    "[[group]]\nworkload = \"spin\"\ntasks = 100\ntask_size = 1000000\nstrategy = [\"sequential\", \"openmp\"]\n"
    "workers = 2\n";

TEST(Estimate, FollowsFromTasksAndTheirSizeWhereARateIsKnown) {
  Plan earlier = make_plan({parse_sweep("[[group]]\nworkload = \"spin\"\ntask_size = [100, 10000]\n", "o.toml")}, {});
  earlier.cells[0].cell.task_ns = 900;     // 9 ns a step, costs per task in it
  earlier.cells[1].cell.task_ns = 10'000;  // 1 ns
  Rates rates;
  rates.learn(earlier);
  const Plan plan = plan_of(kLong);
  EXPECT_DOUBLE_EQ(*rates.task_ns(plan.cells[0].cell), 1e6);
  const Estimate expected = estimate(plan, nullptr, rates, 2);
  EXPECT_EQ(expected.rated_cells, 2U);
  // 100 tasks of 1 ms, alone and by two: three rounds of seven repetitions, two trials of eight.
  EXPECT_GT(expected.time, milliseconds((3 * 7 + 8) * (100 + 50)));
  EXPECT_LT(expected.time, milliseconds(2 * (3 * 7 + 8) * (100 + 50)));
  EXPECT_GT(estimate(plan, nullptr, rates, 1).time, expected.time) << "two workers on one CPU take turns";
}

class OneRate : public Launcher {
 public:
  LaunchOutcome launch(const LaunchRequest& request) override {
    requests.push_back(request);
    LaunchOutcome outcome;
    if (request.options.cell.workload == "multiply") return outcome;  // fails
    outcome.end = LaunchEnd::finished;
    Row row;
    row["wall_ns"] = std::to_string(4 * request.options.cell.task_size);
    row["iterations"] = "2";
    outcome.rows.push_back(row);
    return outcome;
  }
  std::vector<LaunchRequest> requests;
};

TEST(Rates, OneSmallTaskOfEachKindIsLaunched) {
  const Plan plan = plan_of(
      std::string(kLong).insert(10, "name = \"l\"\n") + "[[group]]\nname = \"m\"\nworkload = \"multiply\"\n", 3);
  OneRate launcher;
  Rates rates;
  rates.measure(
      plan, launcher, [] { return std::chrono::nanoseconds(0); }, seconds(1));
  ASSERT_EQ(launcher.requests.size(), 2U);
  EXPECT_EQ(launcher.requests[0].options.cell.tasks, 1U);
  EXPECT_EQ(launcher.requests[0].options.cell.task_size, 65'536U);
  EXPECT_EQ(launcher.requests[0].options.repetitions, 1);
  EXPECT_DOUBLE_EQ(*rates.task_ns(plan.cells[0].cell), 2e6);
  EXPECT_FALSE(rates.task_ns(plan.cells[2].cell).has_value());
  rates.measure(
      plan, launcher, [] { return std::chrono::nanoseconds(0); }, seconds(1));
  EXPECT_EQ(launcher.requests.size(), 2U) << "what is known, and what failed, is not asked for again";
}

TEST(Estimate, DiskIsTheSignalsAndTheLargestOutput) {
  const Estimate expected =
      estimate(plan_of("[[group]]\ntasks = [1, 8, 24]\ntask_size = [1000, 500000]\nworkers = [1, 4]\n"), nullptr);
  EXPECT_EQ(expected.disk_bytes, 24U * 2 * (1000 + 500'000) + 24U * 2 * 500'000);
  EXPECT_LT(expected.memory_bytes, 64U << 20U) << "files are never held whole";
}

TEST(Estimate, MemoryIsThatOfTheLargestBuffers) {
  const Estimate expected =
      estimate(plan_of("[[group]]\nworkload = \"noise\"\ntasks = [4, 16]\ntask_size = 1000000\nformat = \"float32\"\n"),
               nullptr);
  EXPECT_EQ(expected.disk_bytes, 0U);
  EXPECT_GT(expected.memory_bytes, 16'000'000U * 4 * 2);
  EXPECT_LT(expected.memory_bytes, 16'000'000U * 4 * 2 + (32U << 20U));
}

TEST(Estimate, APitfallTakesTimeAndTellsNothingOfItsData) {
  Plan plan = plan_of(kTwo);
  plan.cells.resize(1);
  PlannedCell& planned = plan.cells.front();
  planned.cell.workload.clear();
  planned.cell.pitfall = "tiny_tasks";
  planned.cell.variant = "loop";
  planned.pitfall.oracle = planned.cell;
  const Estimate expected = estimate(plan, nullptr);
  EXPECT_EQ(expected.time, (3 + 1) * kUnknownLaunch);
  EXPECT_EQ(expected.disk_bytes, 0U);
}

TEST(NewestPlan, IsTheLastCalibratedOneOfThisMachine) {
  const TemporaryFolder folder;
  const auto write = [&](const std::string& name, const std::string& machine, bool calibrated) {
    Plan plan = plan_of(kTwo);
    plan.calibrated = calibrated;
    if (calibrated) {
      for (PlannedCell& planned : plan.cells) planned.calibration = Calibration{1, 1, 1};
    }
    std::filesystem::create_directories(folder.path() + "/" + name);
    std::ofstream(folder.path() + "/" + name + "/plan.json")
        << format_plan(plan, {{"run_id", name}, {"machine_id", machine}});
  };
  EXPECT_FALSE(newest_plan(folder.path(), "here").has_value());
  EXPECT_FALSE(newest_plan(folder.path() + "/none", "here").has_value());
  write("1", "here", true);
  write("2", "here", true);
  write("3", "here", false);
  write("4", "there", true);
  std::filesystem::create_directories(folder.path() + "/5");
  std::ofstream(folder.path() + "/5/plan.json") << "{\"torn\": ";
  const auto found = newest_plan(folder.path(), "here");
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->facts.at("run_id"), "2");
}

}  // namespace
}  // namespace noisefloor
