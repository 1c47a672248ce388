// A cell is the same text everywhere, and what means nothing is refused with a reason.
// SPDX-License-Identifier: MIT
#include "harness/measure/cell.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>

#include "harness/base/error.hpp"

namespace noisefloor {
namespace {

using testing::HasSubstr;

std::string message_of(const std::string& text) {
  try {
    check_cell(parse_cell(text));
  } catch (const UsageError& error) {
    return error.what();
  }
  return "no error";
}

TEST(Cell, SurvivesTheWayToTextAndBack) {
  const Cell cell = parse_cell(
      "sweep=quick.chunk,workload=etl,strategy=openmp,delivery=ordered,kernel=avx2,format=float32,workers=3,tasks=24,"
      "task_size=441000,task_ns=17,chunk_size=4,schedule=guided,output_mode=replace");
  EXPECT_EQ(cell.workers, 3);
  EXPECT_EQ(cell.chunk_size, 4U);
  EXPECT_EQ(cell.task_ns, 17U);
  EXPECT_EQ(parse_cell(format_cell(cell)), cell);
}

TEST(Cell, EveryAxisIsPartOfTheIdExceptWhatIsFound) {
  const Cell base = parse_cell("workload=etl");
  std::set<std::string> ids{cell_id(base)};
  for (const char* change :
       {"strategy=openmp", "delivery=ordered", "kernel=scalar", "format=float32", "workers=2", "tasks=25",
        "task_size=101", "chunk_size=2", "schedule=static", "output_mode=replace", "sweep=chunk", "runtime=libomp",
        "ship=name", "transport=pipe", "pool=cold", "bind=close", "wait_policy=active"}) {
    ids.insert(cell_id(parse_cell(std::string("workload=etl,") + change)));
  }
  EXPECT_EQ(ids.size(), 18U);
  Cell found = base;
  found.task_ns = 5;
  EXPECT_EQ(cell_id(found), cell_id(base));
}

TEST(Cell, KernelAndFormatDoNotDistinguishSpin) {
  EXPECT_EQ(cell_id(parse_cell("workload=spin,kernel=avx2")), cell_id(parse_cell("workload=spin,kernel=scalar")));
  EXPECT_NE(cell_id(parse_cell("workload=noise,kernel=avx2")), cell_id(parse_cell("workload=noise,kernel=scalar")));
}

TEST(Cell, AnIdIsTheSameInEveryBuild) { EXPECT_EQ(cell_id(Cell{}), "05df1ce7e107"); }

TEST(Cell, WhatMeansNothingIsRefusedWithTheValueAndAWayOut) {
  EXPECT_THAT(message_of("workers=0"), HasSubstr("workers '0' is not a whole number from 1"));
  EXPECT_THAT(message_of("workers=two"), HasSubstr("'two'"));
  EXPECT_THAT(message_of("workers=2x"), HasSubstr("'2x'"));
  EXPECT_THAT(message_of("tasks=0"), HasSubstr("tasks '0'"));
  EXPECT_THAT(message_of("tasks=99999999999"), HasSubstr("to 4294967295"));
  EXPECT_THAT(message_of("tasks=4,chunk_size=5"), HasSubstr("chunk_size 5 is larger than tasks 4"));
  EXPECT_THAT(message_of("strategy=opnmp"), HasSubstr("did you mean 'openmp'"));
  EXPECT_THAT(message_of("kernel=avx-2"), HasSubstr("did you mean 'avx2'"));
  EXPECT_THAT(message_of("delivery=orderd"), HasSubstr("did you mean 'ordered'"));
  EXPECT_THAT(message_of("workload=elt"), HasSubstr("did you mean 'etl'"));
  EXPECT_THAT(message_of("schedule=stattic"), HasSubstr("did you mean 'static'"));
  EXPECT_THAT(message_of("wrokers=2"), HasSubstr("did you mean 'workers'"));
  EXPECT_THAT(message_of("workers=1,workers=2"), HasSubstr("given twice"));
  EXPECT_THAT(message_of("workers"), HasSubstr("axis=value"));
  EXPECT_THAT(message_of("ship=sample"), HasSubstr("did you mean 'samples'"));
  EXPECT_THAT(message_of("pitfall=tiny_tasks"), HasSubstr("without a variant"));
  EXPECT_THAT(message_of("variant=loop"), HasSubstr("without a pitfall"));
  EXPECT_THAT(message_of("pitfall=tiny tasks"), HasSubstr("'tiny tasks' is no name"));
  EXPECT_THAT(message_of("workload=spin,output_mode=new"), HasSubstr("writes no files"));
  EXPECT_EQ(message_of("workload=etl,output_mode=new,tasks=4,chunk_size=4"), "no error");
}

TEST(Cell, WhatAWorkloadDoesNotUseIsEmptied) {
  const Cell spin = normalised(parse_cell("workload=spin"));
  EXPECT_EQ(spin.kernel + spin.format + spin.output_mode, "");
  const Cell copy = normalised(parse_cell("workload=copy,format=float32"));
  EXPECT_EQ(copy.kernel, "");
  EXPECT_EQ(copy.format, "float32") << "as many bytes as the ETL's";
  EXPECT_EQ(copy.output_mode, "new");
}

TEST(Cell, APitfallBringsItsOwnWorkAndWayToRunIt) {
  const Cell cell =
      normalised(parse_cell("pitfall=tiny_tasks,variant=loop,workers=2,strategy=openmp,tasks=7,kernel=avx2"));
  EXPECT_EQ(format_cell(cell), "workers=2,tasks=1,task_size=1,chunk_size=1,pitfall=tiny_tasks,variant=loop");
  EXPECT_EQ(cell_id(cell), cell_id(parse_cell("pitfall=tiny_tasks,variant=loop,workers=2")));
  EXPECT_NE(cell_id(cell), cell_id(parse_cell("pitfall=tiny_tasks,variant=threads,workers=2")));
}

TEST(Cell, AxesHaveNamesHelpAndARoundTrip) {
  std::set<std::string_view> names;
  for (const Axis& axis : axes()) {
    EXPECT_FALSE(axis.help.empty()) << axis.name;
    EXPECT_TRUE(names.insert(axis.name).second) << axis.name;
    Cell cell;
    const std::string value = axis.get(cell);
    if (!value.empty()) axis.set(cell, value);
    EXPECT_EQ(cell, Cell{}) << axis.name;
  }
}

}  // namespace
}  // namespace noisefloor
