// A launch measures the cell that it was given, verifies its output, and says so in its rows.
// SPDX-License-Identifier: MIT
#include "harness/measure/launch.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "harness/base/error.hpp"

namespace noisefloor {
namespace {

using testing::HasSubstr;

std::uint64_t number(const Row& row, std::string_view column) { return std::stoull(row[column]); }

/// A cache of its own, removed at the end.
class Launch : public testing::Test {
 protected:
  void SetUp() override {
    std::string folder = testing::TempDir() + "noisefloor-launch-XXXXXX";
    ASSERT_NE(mkdtemp(folder.data()), nullptr);
    cache_ = folder;
    setenv("NOISEFLOOR_CACHE", folder.c_str(), 1);
  }
  void TearDown() override {
    unsetenv("NOISEFLOOR_CACHE");
    std::filesystem::remove_all(cache_);
  }

  std::filesystem::path cache_;
};

std::vector<Row> measure(const std::string& cell, std::uint32_t iterations = 2, int repetitions = 3) {
  return launch({.cell = parse_cell(cell), .iterations = iterations, .repetitions = repetitions, .warmups = 1});
}

TEST_F(Launch, GivesOneRowPerTimedRepetition) {
  const auto rows = measure("workload=spin,strategy=std_thread,workers=2,tasks=10,task_size=1000");
  ASSERT_EQ(rows.size(), 3U);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    EXPECT_EQ(number(rows[i], "repetition"), i);
    EXPECT_EQ(number(rows[i], "iterations"), 2U);
    EXPECT_GT(number(rows[i], "wall_ns"), 0U);
    EXPECT_GT(number(rows[i], "started_ns"), 0U);
    EXPECT_GT(number(rows[i], "peak_rss_bytes"), 0U);
    EXPECT_LE(number(rows[i], "first_result_ns"), number(rows[i], "wall_ns"));
    EXPECT_EQ(rows[i]["status"], "ok") << rows[i]["message"];
    EXPECT_EQ(rows[i]["kernel"], "") << "spin has no kernel";
    EXPECT_EQ(rows[i]["digest"], rows[0]["digest"]);
  }
}

TEST_F(Launch, EveryStrategyAndDeliveryGivesTheSameDigest) {
  const auto reference = measure("workload=etl,tasks=5,task_size=5000,kernel=scalar", 2, 1);
  ASSERT_EQ(reference.at(0)["status"], "ok") << reference.at(0)["message"];
  for (const char* how :
       {"strategy=std_thread,workers=2,delivery=ordered", "strategy=openmp,workers=2,chunk_size=2,delivery=collected",
        "strategy=openmp,workers=2,schedule=dynamic,delivery=ordered", "strategy=sequential,output_mode=replace"}) {
    const auto rows = measure(std::string("workload=etl,tasks=5,task_size=5000,kernel=auto,") + how, 2, 1);
    EXPECT_EQ(rows.at(0)["status"], "ok") << how << ": " << rows.at(0)["message"];
    EXPECT_EQ(rows.at(0)["digest"], reference.at(0)["digest"]) << how;
  }
}

TEST_F(Launch, RecordsTheKernelThatRanUnderTheIdThatWasAskedFor) {
  const Cell cell = parse_cell("workload=noise,tasks=2,task_size=100,kernel=auto");
  const auto rows = launch({.cell = cell, .iterations = 1, .repetitions = 1, .warmups = 0});
  EXPECT_NE(rows.at(0)["kernel"], "auto");
  EXPECT_EQ(rows.at(0)["cell_id"], cell_id(cell));
}

TEST_F(Launch, CountsWhatTheEtlMoves) {
  const auto rows = measure("workload=etl,tasks=3,task_size=20000", 2, 1);
  const Row& row = rows.at(0);
  EXPECT_EQ(number(row, "samples"), 2U * 3U * 20000U);
  EXPECT_GE(number(row, "bytes_read"), 2U * 3U * 40000U);
  EXPECT_GE(number(row, "bytes_written"), 2U * 3U * 40000U);
  const std::uint64_t stages = number(row, "extract_ns") + number(row, "transform_ns") + number(row, "load_ns");
  EXPECT_GT(stages, 0U);
  EXPECT_LE(stages, number(row, "wall_ns")) << "one worker: the stages lie inside the wall time";
}

TEST_F(Launch, CalibratesUntilARepetitionIsLongEnough) {
  const auto rows = measure("workload=spin,tasks=1,task_size=1000", 0, 1);
  EXPECT_GT(number(rows.at(0), "iterations"), 1U);
}

TEST_F(Launch, APeakThatCannotBeResetIsNotRecorded) {
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    // What /proc has about a process that may not be dumped belongs to root.
    if ((::geteuid() == 0 && ::setuid(65534) != 0) || ::prctl(PR_SET_DUMPABLE, 0) != 0) ::_exit(2);
    const auto rows = measure("workload=spin,strategy=sequential,tasks=2,task_size=10", 1, 1);
    ::_exit(rows.at(0)["status"] == "ok" && rows.at(0)["peak_rss_bytes"].empty() ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

TEST_F(Launch, AWrongDigestIsAWrongOutput) {
  const auto rows = launch({.cell = parse_cell("workload=spin,tasks=3,task_size=10"),
                            .iterations = 1,
                            .repetitions = 1,
                            .warmups = 0,
                            .expected_digest = 0x1234U});
  EXPECT_EQ(rows.at(0)["status"], "wrong_output");
  EXPECT_THAT(rows.at(0)["message"], HasSubstr("0000000000001234 was expected"));
}

TEST_F(Launch, WhatAStrategyCannotHonourIsSkippedWithTheReason) {
  const auto rows = measure("workload=spin,strategy=sequential,workers=2,tasks=4");
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0]["status"], "skipped");
  EXPECT_THAT(rows[0]["message"], HasSubstr("sequential"));
  EXPECT_EQ(rows[0]["wall_ns"], "");
}

TEST_F(Launch, LeavesNoOutputBehind) {
  measure("workload=etl,tasks=2,task_size=1000", 2, 1);
  std::size_t files = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(cache_)) {
    if (entry.is_regular_file() && entry.path().string().find("/signals/") == std::string::npos) ++files;
  }
  EXPECT_EQ(files, 0U);
}

TEST_F(Launch, ACellThatMeansNothingIsAUsageError) {
  EXPECT_THROW(measure("workload=spin,tasks=2,chunk_size=3"), UsageError);
}

}  // namespace
}  // namespace noisefloor
