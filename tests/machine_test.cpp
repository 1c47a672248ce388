// The machine's facts are complete, and only what makes times comparable makes its id.
// SPDX-License-Identifier: MIT
#include "harness/measure/machine.hpp"

#include <gtest/gtest.h>
#include <sched.h>

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>

namespace noisefloor {
namespace {

TEST(Machine, FactsHaveWhatARunIsReadWith) {
  const auto facts = machine_facts("/tmp");
  for (const char* key : {"cpu", "workers", "cpus_allowed", "cgroup_quota_cpus", "topology", "memory", "kernel",
                          "governor", "clock_source", "load_average", "file_system", "kernels", "openmp_runtime",
                          "libraries", "build", "build_id", "machine_id"}) {
    EXPECT_TRUE(facts.contains(key)) << key;
  }
  EXPECT_FALSE(facts["cpu"]["model"].get<std::string>().empty());
  EXPECT_EQ(facts["machine_id"].get<std::string>().size(), 8U);
  EXPECT_EQ(facts["build_id"].get<std::string>().size(), 16U);
}

TEST(Machine, TheIdKeepsWhatDriftsAndAnotherBuildApart) {
  auto facts = machine_facts("/tmp");
  const std::string id = machine_id(facts);
  facts["load_average"] = "99 99 99";
  facts["build"]["git_sha"] = "another";
  EXPECT_EQ(machine_id(facts), id);
  facts["cpu"]["model"] = "another CPU";
  EXPECT_NE(machine_id(facts), id);
}

TEST(Machine, WorkersAreTheCpusThatAreOurs) {
  cpu_set_t before;
  ASSERT_EQ(sched_getaffinity(0, sizeof before, &before), 0);
  EXPECT_GE(available_workers(), 1);
  EXPECT_LE(available_workers(), CPU_COUNT(&before));
  int first = 0;
  while (!CPU_ISSET(first, &before)) ++first;
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(first, &one);
  ASSERT_EQ(sched_setaffinity(0, sizeof one, &one), 0);
  EXPECT_EQ(available_workers(), 1);
  sched_setaffinity(0, sizeof before, &before);
}

TEST(Machine, WhatTheEnvironmentChangesIsRecordedAndDoubted) {
  ::setenv("OMP_WAIT_POLICY", "active", 1);
  ::setenv("OMP_SCHEDULE", "", 1);
  const auto facts = machine_facts("/tmp");
  const auto said = doubts(facts);
  ::unsetenv("OMP_WAIT_POLICY");
  ::unsetenv("OMP_SCHEDULE");
  EXPECT_EQ(facts.at("environment").at("OMP_WAIT_POLICY"), "active");
  EXPECT_FALSE(facts.at("environment").contains("OMP_SCHEDULE")) << "empty is not set";
  EXPECT_FALSE(facts.at("environment").contains("PATH"));
  EXPECT_EQ(std::count_if(said.begin(), said.end(),
                          [](const std::string& s) { return s.starts_with("OMP_WAIT_POLICY=active is set"); }),
            1);
  EXPECT_EQ(machine_id(facts), machine_id(machine_facts("/tmp"))) << "it is the same machine";
}

TEST(Machine, AVariableByWhichOpenMpPinsThreadsIsNamed) {
  for (const char* name : {"OMP_PROC_BIND", "OMP_PLACES", "GOMP_CPU_AFFINITY", "KMP_AFFINITY"}) ::unsetenv(name);
  EXPECT_EQ(openmp_pinning(), "");
  ::setenv("OMP_PLACES", "cores", 1);
  EXPECT_EQ(openmp_pinning(), "OMP_PLACES=cores");
  ::setenv("OMP_PROC_BIND", "False", 1);
  EXPECT_EQ(openmp_pinning(), "");
  ::setenv("OMP_PROC_BIND", "spread", 1);
  EXPECT_EQ(openmp_pinning(), "OMP_PROC_BIND=spread");
  ::unsetenv("OMP_PROC_BIND");
  ::unsetenv("OMP_PLACES");
}

TEST(Machine, DoubtsFollowFromTheFacts) {
  auto facts = machine_facts("/tmp");
  facts["load_average"] = "50.0 1 1 1/1 1";
  facts["build"]["type"] = "Debug";
  const auto said = doubts(facts);
  const auto mentions = [&](std::string_view word) {
    return std::any_of(said.begin(), said.end(),
                       [&](const std::string& s) { return s.find(word) != std::string::npos; });
  };
  EXPECT_TRUE(mentions("load average is 50.00"));
  EXPECT_TRUE(mentions("Debug build"));
}

}  // namespace
}  // namespace noisefloor
