// The machine's facts are complete, and only what makes times comparable makes its id.
// SPDX-License-Identifier: MIT
#include "harness/measure/machine.hpp"

#include <gtest/gtest.h>
#include <sched.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "harness/base/limits.hpp"
#include "temporary_folder.hpp"

namespace noisefloor {
namespace {

TEST(Machine, FactsHaveWhatARunIsReadWith) {
  const auto facts = machine_facts("/tmp");
  for (const char* key : {"cpu",
                          "workers",
                          "cpus_allowed",
                          "cgroup_quota_cpus",
                          "topology",
                          "memory",
                          "kernel",
                          "governor",
                          "clock_source",
                          "load_average",
                          "file_system",
                          "kernels",
                          "openmp_runtime",
                          "libraries",
                          "build",
                          "build_id",
                          "machine_id",
                          "smt",
                          "boost",
                          "steal_percent",
                          "hardware_counters",
                          "openmp",
                          "corpus_folder",
                          "corpus_bytes",
                          "environment",
                          "virtual_machine"}) {
    EXPECT_TRUE(facts.contains(key)) << key;
  }
  for (const char* key : {"libsndfile", "hwloc", "fmt", "benchmark", "tbb", "open_mpi", "libc"}) {
    EXPECT_FALSE(facts["libraries"][key].empty()) << key;
  }
  EXPECT_NE(facts["libraries"]["benchmark"], "");
  EXPECT_GT(facts["memory"]["available_bytes"].get<std::uint64_t>(), 0U);
  EXPECT_GE(std::stoi(facts["openmp"]["max_threads"].get<std::string>()), 1);
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
  cpu_set_t ours;
  ASSERT_EQ(sched_getaffinity(0, sizeof ours, &ours), 0);
  EXPECT_GE(available_workers(), 1);
  EXPECT_LE(available_workers(), CPU_COUNT(&ours));
  EXPECT_EQ(allowed_cpus(), CPU_COUNT(&ours));
}

/// A root of its own with /proc and /sys.
class FakeRoot : public ::testing::Test {
 protected:
  void write(const std::string& path, const std::string& text) const {
    const std::filesystem::path file = folder_.path() + path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text;
  }
  [[nodiscard]] std::optional<double> quota() const { return cgroup_quota(folder_.path()); }
  [[nodiscard]] std::optional<std::uint64_t> memory() const { return cgroup_memory_limit(folder_.path()); }

  TemporaryFolder folder_;
};

TEST_F(FakeRoot, WithoutCgroupsThereIsNoQuota) {
  EXPECT_FALSE(quota().has_value());
  write("/proc/self/cgroup", "0::/a/b\n");
  EXPECT_FALSE(quota().has_value());
  write("/sys/fs/cgroup/a/b/cpu.max", "max 100000\n");
  write("/sys/fs/cgroup/a/b/memory.max", "max\n");
  EXPECT_FALSE(quota().has_value());
  EXPECT_FALSE(memory().has_value());
}

TEST_F(FakeRoot, InVersionTwoTheTightestGroupAboveCounts) {
  write("/proc/self/cgroup", "0::/a/b\n");
  write("/sys/fs/cgroup/a/b/cpu.max", "300000 100000\n");
  EXPECT_DOUBLE_EQ(quota().value(), 3.0);
  write("/sys/fs/cgroup/a/cpu.max", "75000 50000\n");
  EXPECT_DOUBLE_EQ(quota().value(), 1.5);
  write("/sys/fs/cgroup/a/memory.max", "1000000\n");
  write("/sys/fs/cgroup/a/b/memory.max", "5000000\n");
  EXPECT_EQ(memory().value(), 1'000'000U);
  write("/sys/fs/cgroup/other/cpu.max", "1 100000\n");
  EXPECT_DOUBLE_EQ(quota().value(), 1.5) << "another group's";
}

TEST_F(FakeRoot, AContainerThatSeesItsGroupAsTheRootFindsItsQuota) {
  write("/proc/self/cgroup", "0::/docker/0123\n");
  write("/sys/fs/cgroup/cpu.max", "50000 100000\n");
  EXPECT_DOUBLE_EQ(quota().value(), 0.5);
}

TEST_F(FakeRoot, InVersionOneTheQuotaIsThatOfTheCpuController) {
  write("/proc/self/cgroup", "12:memory:/m\n4:cpu,cpuacct:/c\n1:name=systemd:/s\n");
  write("/sys/fs/cgroup/cpu,cpuacct/c/cpu.cfs_quota_us", "-1\n");
  write("/sys/fs/cgroup/cpu,cpuacct/c/cpu.cfs_period_us", "100000\n");
  EXPECT_FALSE(quota().has_value());
  write("/sys/fs/cgroup/cpu,cpuacct/c/cpu.cfs_quota_us", "250000\n");
  EXPECT_DOUBLE_EQ(quota().value(), 2.5);
  write("/sys/fs/cgroup/memory/m/memory.limit_in_bytes", "9223372036854771712\n");
  EXPECT_FALSE(memory().has_value()) << "that is version 1's way to say none";
  write("/sys/fs/cgroup/memory/m/memory.limit_in_bytes", "123456\n");
  EXPECT_EQ(memory().value(), 123'456U);
}

TEST_F(FakeRoot, WhatIsNoNumberIsNoQuota) {
  write("/proc/self/cgroup", "torn\n::\n0::/a\n");
  write("/sys/fs/cgroup/a/cpu.max", "lots of\n");
  EXPECT_FALSE(quota().has_value());
  write("/sys/fs/cgroup/a/cpu.max", "100000 0\n");
  EXPECT_FALSE(quota().has_value());
}

TEST(Machine, WorkersAreTheCpusAllowedWithinTheQuota) {
  EXPECT_EQ(workers_within(8, std::nullopt), 8);
  EXPECT_EQ(workers_within(8, 2.5), 3);
  EXPECT_EQ(workers_within(2, 64.0), 2);
  EXPECT_EQ(workers_within(2, 1e12), 2);
  EXPECT_EQ(workers_within(4, 0.1), 1);
  EXPECT_EQ(workers_within(0, std::nullopt), 1);
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
                          [](const Doubt& doubt) {
                            return doubt.of == Doubt::Of::run &&
                                   doubt.text.starts_with("OMP_WAIT_POLICY=active is set");
                          }),
            1);
  EXPECT_EQ(machine_id(facts), machine_id(machine_facts("/tmp"))) << "it is the same machine";
}

TEST(Machine, DoubtsFollowFromTheFacts) {
  auto facts = machine_facts("/tmp");
  facts["load_average"] = "50.0 1 1 1/1 1";
  facts["memory"]["write_back_begins_bytes"] = 50'000'000'000;
  facts["build"]["type"] = "Debug";
  const auto said = doubts(facts);
  const auto mentions = [&](std::string_view word) {
    return std::any_of(said.begin(), said.end(),
                       [&](const Doubt& doubt) { return doubt.text.find(word) != std::string::npos; });
  };
  EXPECT_TRUE(mentions("load average is 50.00"));
  EXPECT_EQ(mentions("Write-back starts"), false);
  struct Case {
    const char* path;
    nlohmann::json value;
    const char* word;
    bool passes = false;  // true of this run only
  };
  for (const Case& one :
       {Case{"/steal_percent", 3.25, "took 3.2% of the CPU time"},
        Case{"/governor", "powersave", "governor is 'powersave'"},
        Case{"/governor", "unavailable", "governor cannot be read"}, Case{"/boost", "1", "boost its clock"},
        Case{"/topology/smt", true, "Hyper-threads share cores"}, Case{"/topology/numa_nodes", 2, "2 NUMA nodes"},
        Case{"/cgroup_quota_cpus", 1.5, "quota of 1.50 CPUs"},
        Case{"/memory/cgroup_limit_bytes", 2'000'000'000, "limits memory to 2.0 GB"},
        Case{"/memory/cgroup_limit_bytes", 40'000'000, "limits memory to 40.0 MB"},
        Case{"/clock_source", "hpet", "clock source is hpet"},
        Case{"/memory/transparent_huge_pages", "[always] madvise never", "huge pages"},
        Case{"/memory/write_back_begins_bytes", 600'000'000, "Write-back starts at 600.0 MB"},
        Case{"/file_system", "tmpfs", "lie on tmpfs"},
        Case{"/hardware_counters/unavailable", "not here", "not counted: not here"},
        Case{"/use", facts_of({.seconds = 2, .cpus = 2, .others_cpus = 0.94}), "Other work took 0.9 of these 2 CPUs",
             true},
        Case{"/use", facts_of({.seconds = 2, .cpus = 2, .others_cpus = 0.0, .stolen_cpus = 0.3}), "hypervisor took 0.3",
             true},
        Case{"/build/dirty", true, "changed files", true}}) {
    auto changed = facts;
    changed[nlohmann::json::json_pointer(one.path)] = one.value;
    const auto told = doubts(changed);
    EXPECT_TRUE(std::any_of(told.begin(), told.end(), [&](const Doubt& doubt) {
      return doubt.text.find(one.word) != std::string::npos && (doubt.of == Doubt::Of::run) == one.passes;
    })) << one.path;
  }
  EXPECT_TRUE(mentions("Debug build"));
  facts["use"] = facts_of({.seconds = 2, .cpus = 2, .others_cpus = 0.02});
  for (const Doubt& doubt : doubts(facts)) {
    EXPECT_EQ(doubt.text.find("load average"), std::string::npos) << "what was seen now outweighs the last minutes";
    EXPECT_EQ(doubt.text.find("Other work"), std::string::npos);
  }
}

}  // namespace
}  // namespace noisefloor
