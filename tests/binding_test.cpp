// Workers run where they were bound, within what the process may use.
// SPDX-License-Identifier: MIT
#include "harness/strategies/binding.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <hwloc.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <memory>
#include <mutex>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "harness/base/error.hpp"
#include "harness/strategies/strategy.hpp"

namespace noisefloor {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct Destroy {
  void operator()(hwloc_topology* topology) const { hwloc_topology_destroy(topology); }
};

// A machine as hwloc's synthetic description says: "pack:2 core:4 pu:2".
std::unique_ptr<hwloc_topology, Destroy> machine(const char* description) {
  hwloc_topology_t topology = nullptr;
  EXPECT_EQ(hwloc_topology_init(&topology), 0);
  EXPECT_EQ(hwloc_topology_set_synthetic(topology, description), 0);
  EXPECT_EQ(hwloc_topology_load(topology), 0);
  return std::unique_ptr<hwloc_topology, Destroy>(topology);
}

// CPUs are numbered in the order of the description: package by package, core by core.
TEST(Close, FillsThePackageCoreByCoreAndOnlyThenSecondThreadsAndTheNextPackage) {
  const auto two_packages = machine("pack:2 core:2 pu:2");
  EXPECT_THAT(worker_cpus(two_packages.get(), 8, Bind::close), ElementsAre(0, 2, 1, 3, 4, 6, 5, 7));
  EXPECT_THAT(worker_cpus(two_packages.get(), 2, Bind::close), ElementsAre(0, 2));
}

TEST(Spread, DividesWorkersAmongPackagesThenCachesThenCores) {
  const auto two_packages = machine("pack:2 core:4 pu:2");
  EXPECT_THAT(worker_cpus(two_packages.get(), 1, Bind::spread), ElementsAre(0));
  EXPECT_THAT(worker_cpus(two_packages.get(), 2, Bind::spread), ElementsAre(0, 8));
  EXPECT_THAT(worker_cpus(two_packages.get(), 8, Bind::spread), ElementsAre(0, 2, 4, 6, 8, 10, 12, 14));
  const auto two_caches = machine("pack:1 l3:2 core:2 pu:1");
  EXPECT_THAT(worker_cpus(two_caches.get(), 2, Bind::spread), ElementsAre(0, 2));
  EXPECT_THAT(worker_cpus(two_caches.get(), 2, Bind::close), ElementsAre(0, 1));
}

TEST(WorkersBeyondTheCpus, BeginAgainAtTheFirst) {
  const auto small = machine("pack:1 core:2 pu:1");
  EXPECT_THAT(worker_cpus(small.get(), 5, Bind::close), ElementsAre(0, 1, 0, 1, 0));
  EXPECT_THAT(worker_cpus(small.get(), 5, Bind::spread), ElementsAre(0, 1, 0, 1, 0));
}

TEST(EveryWorker, HasACpuOfItsOwnWhileThereAreAny) {
  for (const char* description :
       {"pack:1 core:1 pu:1", "pack:3 core:3 pu:2", "pack:2 l3:2 core:4 pu:2", "core:6 pu:1"}) {
    const auto here = machine(description);
    const int cpus = hwloc_get_nbobjs_by_type(here.get(), HWLOC_OBJ_PU);
    for (int workers = 1; workers <= cpus; ++workers) {
      for (const Bind bind : {Bind::close, Bind::spread}) {
        const std::vector<unsigned> some = worker_cpus(here.get(), workers, bind);
        EXPECT_EQ(std::set(some.begin(), some.end()).size(), static_cast<std::size_t>(workers))
            << description << ", " << workers;
      }
    }
  }
}

std::set<int> my_cpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  EXPECT_EQ(::sched_getaffinity(0, sizeof set, &set), 0);
  std::set<int> cpus;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &set)) cpus.insert(cpu);
  }
  return cpus;
}

TEST(AThread, IsTiedToOneCpuOfTheProcessAndLetGoAgain) {
  const std::set<int> before = my_cpus();
  const Binding binding(2, Bind::close);
  {
    const Tied tied(binding, 1);
    EXPECT_EQ(my_cpus().size(), 1U);
    EXPECT_TRUE(before.contains(*my_cpus().begin()));
  }
  EXPECT_EQ(my_cpus(), before);
  const Binding none(2, Bind::none);
  const Tied not_tied(none, 1);
  EXPECT_EQ(my_cpus(), before);
}

TEST(AWorkerProcess, IsTiedByItsIndex) {
  const Binding in_the_parent(2, Bind::spread);
  const pid_t child = ::fork();
  if (child == 0) {
    bind_worker(1, 2, Bind::spread);
    ::_exit(my_cpus().size() == 1 ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

// In a process of its own, which may use one CPU only before it first asks for its CPUs.
TEST(CpusOutsideTheProcessesOwn, AreNotUsed) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        cpu_set_t set;
        CPU_ZERO(&set);
        const int last = *my_cpus().rbegin();
        CPU_SET(last, &set);
        if (::sched_setaffinity(0, sizeof set, &set) != 0) ::_exit(2);
        for (int worker = 0; worker < 3; ++worker) {
          bind_worker(worker, 3, Bind::spread);
          if (my_cpus() != std::set<int>{last}) ::_exit(1);
        }
        ::_exit(0);
      },
      ::testing::ExitedWithCode(0), "");
}

// Each task returns the set of CPUs on which it may run, as it may have run in another process.
class WhereTasksRun final : public Workload, private Stages {
 public:
  [[nodiscard]] std::uint32_t task_count() const override { return 20; }
  void run(TaskRange range, std::span<TaskResult> results, std::vector<std::byte>& returned) const override {
    each(range, results, returned, [](auto, auto& bytes) { append(bytes, current()); });
  }
  [[nodiscard]] std::uint64_t digest(TaskRange) const override { return 0; }
  [[nodiscard]] const Stages* stages() const override { return this; }

 private:
  class OpenTask final : public StagedTask {
   public:
    std::size_t extract(std::span<std::byte>, Piece&) override {
      at_extract_ = current();
      return 0;
    }
    void transform(std::span<std::byte>, Piece&) override {}
    void load(std::span<const std::byte>, const Piece&) override {}
    void finish(std::vector<std::byte>& returned) override { append(returned, at_extract_); }

   private:
    cpu_set_t at_extract_{};
  };
  static cpu_set_t current() {
    cpu_set_t set;
    CPU_ZERO(&set);
    ::sched_getaffinity(0, sizeof set, &set);
    return set;
  }
  static void append(std::vector<std::byte>& bytes, const cpu_set_t& set) {
    const auto part = std::as_bytes(std::span(&set, 1));
    bytes.insert(bytes.end(), part.begin(), part.end());
  }
  [[nodiscard]] std::size_t piece_bytes() const noexcept override { return 1; }
  [[nodiscard]] std::unique_ptr<StagedTask> open(std::uint32_t) const override { return std::make_unique<OpenTask>(); }
  void transform(std::uint32_t, std::span<std::byte>, Piece&) const override {}
};

// On how many CPUs each task might run, in the order of completion.
std::vector<int> cpu_counts(const Strategy& strategy, const StrategyOptions& options) {
  const WhereTasksRun workload;
  std::mutex mutex;
  std::vector<int> counts;
  make_executor(strategy, workload, options)->run([&](auto, std::span<const std::byte> returned) {
    const std::lock_guard lock(mutex);
    for (; returned.size() >= sizeof(cpu_set_t); returned = returned.subspan(sizeof(cpu_set_t))) {
      cpu_set_t set;
      std::memcpy(&set, returned.data(), sizeof set);
      counts.push_back(CPU_COUNT(&set));
    }
  });
  return counts;
}

TEST(EveryStrategyThatBinds, RunsEachTaskOnOneCpuAndLeavesTheCallerUnbound) {
  const std::set<int> before = my_cpus();
  for (const Strategy& strategy : strategies()) {
    if (!strategy.unavailable.empty() || strategy.make == nullptr) continue;  // another program: its own tests
    for (const int workers : {1, 3}) {
      StrategyOptions options;
      options.workers = workers;
      options.bind = Bind::close;
      if (const std::string reason = refuse(strategy, WhereTasksRun(), options); !reason.empty()) {
        EXPECT_THAT(reason, ::testing::AnyOf(HasSubstr("worker"), HasSubstr("place"))) << strategy.name;
        continue;
      }
      EXPECT_EQ(cpu_counts(strategy, options), std::vector(20, 1)) << strategy.name;
      EXPECT_EQ(my_cpus(), before) << strategy.name;

      options.bind = Bind::none;
      EXPECT_EQ(cpu_counts(strategy, options), std::vector(20, static_cast<int>(before.size()))) << strategy.name;
    }
  }
}

}  // namespace
}  // namespace noisefloor
