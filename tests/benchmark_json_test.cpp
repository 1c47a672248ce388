// benchmark.json holds every observation of an arm as Google Benchmark would have written it.
// SPDX-License-Identifier: MIT
#include "harness/sweep/benchmark_json.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "harness/base/error.hpp"
#include "harness/measure/cell.hpp"
#include "harness/sweep/observations.hpp"
#include "temporary_folder.hpp"

namespace noisefloor {
namespace {

Row row(const std::string& strategy, const std::string& arm, const std::string& wall_ns,
        const std::string& status = "ok") {
  Row row;
  const Cell cell = normalised(parse_cell("sweep=s.a,workload=spin,tasks=4,task_ns=77,strategy=" + strategy));
  for (const Axis& axis : axes()) row[axis.name] = axis.get(cell);
  row["arm"] = arm;
  row["iterations"] = status == "skipped" ? "" : "4";
  row["wall_ns"] = wall_ns;
  row["user_cpu_ns"] = "1000";
  row["system_cpu_ns"] = "600";
  row["status"] = status;
  row["message"] = status == "ok" ? "" : "because \xff";
  return row;
}

TEST(BenchmarkJson, HasAnEntryForEachObservationOfTheArm) {
  const TemporaryFolder folder;
  const std::string csv = folder.path() + "/o.csv";
  {
    ObservationFile file(csv);
    file.append(std::vector<Row>{row("sequential", "head", "4000"), row("openmp", "head", "8001"),
                                 row("sequential", "base", "1"), row("sequential", "head", "4400"),
                                 row("sequential", "head", "", "wrong_output"), row("async", "head", "", "skipped")});
  }
  EXPECT_EQ(write_benchmark_json(csv, "head", R"({"workers": 3, "machine_id": "abc"})", folder.path() + "/b.json"), 4U);
  std::ifstream stream(folder.path() + "/b.json");
  const auto json = nlohmann::json::parse(stream);
  EXPECT_EQ(json.at("context").at("num_cpus"), 3);
  const auto& all = json.at("benchmarks");
  ASSERT_EQ(all.size(), 4U);
  const std::string name =
      "s.a/workload:spin/strategy:sequential/delivery:unordered/workers:1/tasks:4/task_size:1/chunk_size:1";
  EXPECT_EQ(all[0].at("name"), name);
  EXPECT_EQ(all[0].at("run_name"), name);
  EXPECT_EQ(all[0].at("run_type"), "iteration");
  EXPECT_EQ(all[0].at("repetitions"), 3);
  EXPECT_EQ(all[0].at("repetition_index"), 0);
  EXPECT_EQ(all[0].at("iterations"), 4);
  EXPECT_DOUBLE_EQ(all[0].at("real_time"), 1000.0);
  EXPECT_DOUBLE_EQ(all[0].at("cpu_time"), 400.0);
  EXPECT_EQ(all[0].at("time_unit"), "ns");
  EXPECT_EQ(all[1].at("repetitions"), 1);
  EXPECT_DOUBLE_EQ(all[1].at("real_time"), 2000.25);
  EXPECT_EQ(all[1].at("family_index"), 1);
  EXPECT_EQ(all[2].at("name"), name);
  EXPECT_EQ(all[2].at("repetition_index"), 1);
  EXPECT_DOUBLE_EQ(all[2].at("real_time"), 1100.0);
  EXPECT_EQ(all[3].at("error_occurred"), true);
  EXPECT_FALSE(all[3].contains("real_time"));
  EXPECT_EQ(write_benchmark_json(csv, "base", "no JSON", folder.path() + "/b.json"), 1U);
}

TEST(BenchmarkJson, LeavesOutLaunchesThatWereMeasuredAgain) {
  const TemporaryFolder folder;
  const std::string csv = folder.path() + "/o.csv";
  {
    ObservationFile file(csv);
    std::vector<Row> rows{row("sequential", "head", "4000"), row("sequential", "head", "4400")};
    rows[0]["launch"] = "7";
    rows[1]["launch"] = "8";
    file.append(rows);
  }
  EXPECT_EQ(write_benchmark_json(csv, "head", "{}", folder.path() + "/b.json", {7}), 1U);
  std::ifstream stream(folder.path() + "/b.json");
  EXPECT_DOUBLE_EQ(nlohmann::json::parse(stream).at("benchmarks")[0].at("real_time"), 1100.0);
}

TEST(BenchmarkJson, WithoutRowsItIsAnEmptyList) {
  const TemporaryFolder folder;
  { const ObservationFile file(folder.path() + "/o.csv"); }
  EXPECT_EQ(write_benchmark_json(folder.path() + "/o.csv", "head", "{}", folder.path() + "/b.json"), 0U);
  std::ifstream stream(folder.path() + "/b.json");
  EXPECT_TRUE(nlohmann::json::parse(stream).at("benchmarks").empty());
  EXPECT_THROW(write_benchmark_json(folder.path() + "/none", "head", "{}", folder.path() + "/b.json"), Error);
}

}  // namespace
}  // namespace noisefloor
