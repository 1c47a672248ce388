// A row survives CSV, and the columns are the ones that other programs rely on.
// SPDX-License-Identifier: MIT
#include "harness/measure/columns.hpp"

#include <gtest/gtest.h>

#include <string>

#include "harness/base/error.hpp"

namespace noisefloor {
namespace {

TEST(Columns, AreTheContractInItsOrder) {
  EXPECT_EQ(
      csv_header(),
      "schema,run_id,machine_id,build_id,git_sha,arm,round,attempt,order,launch,repetition,cell_id,sweep,workload,"
      "work,library,command,inputs,unchecked,work_id,strategy,delivery,kernel,format,workers,tasks,task_size,task_ns,"
      "chunk_size,schedule,runtime,ship,transport,"
      "pool,bind,wait_policy,output_mode,pitfall,variant,iterations,wall_ns,user_cpu_ns,system_cpu_ns,cpu_percent,"
      "first_result_ns,peak_rss_bytes,minor_faults,major_faults,voluntary_switches,involuntary_switches,"
      "steal_ticks,run_delay_ns,others_cpu_ns,disturbed_ns,disturbance_note,instructions,cycles,samples,bytes_read,"
      "bytes_written,extract_ns,transform_ns,load_ns,task_median_ns,task_longest_ns,task_longest_percent,digest,"
      "started_ns,seed,status,message");
}

TEST(Columns, EachSaysWhatItMeans) {
  for (const Column& column : columns()) {
    EXPECT_FALSE(column.help.empty()) << column.name;
    if (column.name.ends_with("_ns")) {
      EXPECT_EQ(column.unit, "ns") << column.name;
    }
    if (column.name.ends_with("_bytes")) {
      EXPECT_EQ(column.unit, "bytes") << column.name;
    }
  }
}

TEST(Columns, ARowSurvivesCommasQuotesAndLineBreaks) {
  Row row;
  row["status"] = "failed";
  row["message"] = "said \"no\", twice,\nand left";
  const std::string line = csv_line(row);
  EXPECT_EQ(line.find('\n'), std::string::npos) << "a row is one line";
  const Row back = csv_row(csv_split(csv_header()), line);
  EXPECT_EQ(back["message"], "said \"no\", twice, and left");
  EXPECT_EQ(back["status"], "failed");
  EXPECT_EQ(back["wall_ns"], "");
}

TEST(Columns, AnotherBuildsHeaderIsReadByName) {
  const Row row = csv_row({"status", "no_such_column", "wall_ns"}, "ok,1,42");
  EXPECT_EQ(row["wall_ns"], "42");
  EXPECT_EQ(row["status"], "ok");
}

TEST(Columns, TornLinesAreErrors) {
  EXPECT_THROW(csv_row({"status", "wall_ns"}, "ok"), Error);
  EXPECT_THROW(csv_split("a,\"b"), Error);
  EXPECT_THROW(Row()["no_such_column"], Error);
}

}  // namespace
}  // namespace noisefloor
