// What a plan will take is said from what an earlier run measured, and from a stated guess elsewhere.
// SPDX-License-Identifier: MIT
#include "harness/sweep/estimate.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

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

TEST(FormatSize, IsForPeople) {
  EXPECT_EQ(format_size(0), "0 MB");
  EXPECT_EQ(format_size(21'200'000), "21 MB");
  EXPECT_EQ(format_size(1'540'000'000), "1.5 GB");
}

}  // namespace
}  // namespace noisefloor
