// Disturbance is what others took from a launch: the arithmetic on made-up readings, and launches beside busy
// neighbours. SPDX-License-Identifier: MIT
#include "harness/measure/disturbance.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <ctime>
#include <memory>
#include <new>
#include <string>
#include <thread>
#include <vector>

#include "harness/base/limits.hpp"
#include "harness/measure/columns.hpp"
#include "harness/measure/launch.hpp"
#include "harness/measure/probes.hpp"

namespace noisefloor {
namespace {

using ::testing::HasSubstr;

constexpr std::uint64_t kMs = 1'000'000;

/// A repetition of so many ms; `cpu` by all threads, `delay` their run delay.
DisturbanceReading repetition(std::uint64_t wall, std::uint64_t cpu, std::uint64_t delay) {
  DisturbanceReading read{.wall_ns = wall * kMs, .usage = {}, .pressure_ns = {}};
  read.usage.user_cpu_ns = cpu * kMs;
  read.usage.run_delay_ns = delay * kMs;
  return read;
}

/// `cpus` CPUs for so many ms, of which others used, the hypervisor took and nobody used so much; the rest is ours.
TimedPart timed_part(std::uint32_t cpus, std::uint64_t span, std::uint64_t own, std::uint64_t others,
                     std::uint64_t stolen = 0) {
  const std::uint64_t idle = cpus * span - own - others - stolen;
  return {{cpus * span * kMs, idle * kMs, stolen * kMs, cpus}, own * kMs};
}

std::vector<Disturbance> of(const std::vector<DisturbanceReading>& readings, const TimedPart& part,
                            const std::string& unavailable = "") {
  return disturbances(readings, part, unavailable);
}

/// In ms, rounded.
std::uint64_t ms(const std::optional<std::uint64_t>& ns) { return (ns.value() + kMs / 2) / kMs; }

TEST(Disturbance, OfAnIdleMachineIsNothing) {
  const auto rows = of({repetition(100, 100, 0), repetition(100, 100, 0)}, timed_part(2, 200, 200, 0));
  for (const Disturbance& row : rows) {
    EXPECT_EQ(row.run_delay_ns, 0U);
    EXPECT_EQ(row.others_cpu_ns, 0U);
    EXPECT_EQ(row.disturbed_ns, 0U);
    EXPECT_EQ(row.note, "");
  }
}

TEST(Disturbance, ANeighbourOnOurCpuTakesHalf) {
  const auto rows = of({repetition(1000, 500, 500)}, timed_part(1, 1000, 500, 500));
  EXPECT_EQ(ms(rows.at(0).run_delay_ns), 500U);
  EXPECT_EQ(ms(rows.at(0).others_cpu_ns), 500U);
  EXPECT_EQ(ms(rows.at(0).disturbed_ns), 490U) << "less one tick, which may be an error of rounding";
}

TEST(Disturbance, ANeighbourOnTheOtherCpuTakesNothing) {
  const auto rows = of({repetition(1000, 1000, 0)}, timed_part(2, 1000, 1000, 1000));
  EXPECT_EQ(ms(rows.at(0).others_cpu_ns), 1000U);
  EXPECT_EQ(rows.at(0).disturbed_ns, 0U);
}

TEST(Disturbance, OwnThreadsThatWaitForEachOtherAreNotDisturbed) {
  // Eight threads on two CPUs for 100 ms, nobody else there: 600 ms of waiting.
  auto rows = of({repetition(100, 200, 600)}, timed_part(2, 100, 200, 0));
  EXPECT_EQ(ms(rows.at(0).run_delay_ns), 600U);
  EXPECT_EQ(rows.at(0).disturbed_ns, 0U);
  // /proc/stat is wrong by a few ticks: what the launch used itself cannot have been taken from it.
  rows = of({repetition(100, 200, 600)}, timed_part(2, 130, 200, 60));
  EXPECT_EQ(rows.at(0).disturbed_ns, 0U);
  // A neighbour takes a quarter of both CPUs.
  rows = of({repetition(1000, 1500, 6500)}, timed_part(2, 1000, 1500, 500));
  EXPECT_EQ(ms(rows.at(0).disturbed_ns), 486U);
}

TEST(Disturbance, IsSharedAmongRepetitionsByWhatEachWanted) {
  // A burst of 50 ms in the second of three.
  const auto rows =
      of({repetition(100, 100, 0), repetition(150, 100, 50), repetition(100, 100, 0)}, timed_part(1, 360, 300, 60));
  EXPECT_EQ(rows.at(0).disturbed_ns, 0U);
  EXPECT_EQ(ms(rows.at(1).disturbed_ns), 50U);
  EXPECT_EQ(rows.at(2).disturbed_ns, 0U);
  EXPECT_GE(*rows.at(1).others_cpu_ns, *rows.at(1).disturbed_ns);
  std::uint64_t others = 0;
  for (const Disturbance& row : rows) others += *row.others_cpu_ns;
  EXPECT_LE(others, 60 * kMs);
  EXPECT_GE(others, 58 * kMs);  // 350 of 360 ms are timed
}

TEST(Disturbance, WhatOthersUsedBetweenTheRepetitionsIsNotInTheRows) {
  // 100 ms timed of 1000, in which others always used one of two CPUs; the own thread was never kept from the other.
  const auto rows = of({repetition(50, 50, 0), repetition(50, 50, 0)}, timed_part(2, 1000, 1000, 1000));
  EXPECT_EQ(ms(rows.at(0).others_cpu_ns), 50U);
  EXPECT_EQ(ms(rows.at(1).others_cpu_ns), 50U);
}

TEST(Disturbance, LessThanATickOfOthersIsRounding) {
  const auto rows = of({repetition(20, 18, 2)}, timed_part(2, 20, 18, 9));
  EXPECT_EQ(rows.at(0).disturbed_ns, 0U);
}

TEST(Disturbance, WhatTheHypervisorTookIsInItByTheLaunchsShareOfTheWork) {
  const auto rows = of({repetition(1000, 900, 0)}, timed_part(2, 1000, 900, 300, 100));
  EXPECT_EQ(ms(rows.at(0).disturbed_ns), 75U);
  const auto asleep = of({repetition(1000, 0, 0)}, timed_part(2, 1000, 0, 300, 100));
  EXPECT_EQ(asleep.at(0).disturbed_ns, 0U) << "it wanted nothing";
}

TEST(Disturbance, ThreadsThatEndedUntoldAreMarked) {
  DisturbanceReading read = repetition(1000, 500, 10);
  read.usage.untold_cpu_ns = 400 * kMs;
  auto row = of({read}, timed_part(1, 1000, 500, 500)).at(0);
  EXPECT_THAT(row.note, HasSubstr("run_delay_ns is a lower bound"));
  EXPECT_EQ(ms(row.disturbed_ns), 10U);
  // The machine's pressure stands in for them.
  read.pressure_ns = 900 * kMs;
  row = of({read}, timed_part(1, 1000, 500, 500)).at(0);
  EXPECT_THAT(row.note, HasSubstr("pressure"));
  EXPECT_EQ(ms(row.run_delay_ns), 10U);
  EXPECT_EQ(ms(row.disturbed_ns), 490U);
  // One that did next to nothing does not matter.
  read.usage.untold_cpu_ns = 4 * kMs;
  row = of({read}, timed_part(1, 1000, 500, 500)).at(0);
  EXPECT_EQ(row.note, "");
}

TEST(Disturbance, WhatIsNotKnownIsEmptyWithTheReason) {
  auto row = of({repetition(100, 50, 0)}, timed_part(2, 100, 50, 100), "no schedstat here").at(0);
  EXPECT_FALSE(row.run_delay_ns.has_value());
  EXPECT_FALSE(row.disturbed_ns.has_value());
  EXPECT_EQ(ms(row.others_cpu_ns), 100U) << "this is known all the same";
  EXPECT_EQ(row.note, "no schedstat here");
  TimedPart part = timed_part(2, 100, 50, 100);
  part.cpus.cpus = 0;
  row = of({repetition(100, 50, 30)}, part).at(0);
  EXPECT_EQ(ms(row.run_delay_ns), 30U);
  EXPECT_FALSE(row.others_cpu_ns.has_value());
  EXPECT_FALSE(row.disturbed_ns.has_value());
  EXPECT_THAT(row.note, HasSubstr("/proc/stat"));
}

TEST(Disturbance, CountersThatWentBackAreNothing) {
  DisturbanceReading read = repetition(100, 100, 0);
  read.usage.run_delay_ns = static_cast<std::uint64_t>(-3);
  const auto row = of({read}, timed_part(1, 100, 100, 0)).at(0);
  EXPECT_EQ(row.run_delay_ns, 0U);
  EXPECT_EQ(row.disturbed_ns, 0U);
}

TEST(Disturbance, NeverExceedsItsBounds) {
  for (const std::uint64_t cpu : {10U, 400U, 1000U, 2000U}) {
    for (const std::uint64_t delay : {0U, 5U, 300U, 5000U}) {
      for (const std::uint64_t others : {0U, 8U, 12U, 500U}) {
        for (const std::uint64_t stolen : {0U, 10U, 100U}) {
          const auto rows = of({repetition(1000, cpu, delay), repetition(1000, cpu, 2 * delay)},
                               timed_part(2, 3000, 2 * cpu, others, stolen));
          for (const Disturbance& row : rows) {
            EXPECT_LE(*row.disturbed_ns, *row.run_delay_ns + stolen * kMs);
            EXPECT_LE(*row.disturbed_ns, *row.others_cpu_ns + stolen * kMs);
          }
          EXPECT_LE(*rows[0].others_cpu_ns + *rows[1].others_cpu_ns, others * kMs + 1);
        }
      }
    }
  }
}

// --- Live ---
//
// The tests hold on an idle machine and on a busy one: they pin themselves to the CPU of a neighbour of their own, and
// compare with what that neighbour really used. A thread that always has work waits whenever the neighbour runs.

std::uint64_t clock_ns(clockid_t clock) {
  timespec time{};
  ::clock_gettime(clock, &time);
  return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000U + static_cast<std::uint64_t>(time.tv_nsec);
}

void burn(std::uint64_t ns) {
  for (const std::uint64_t end = clock_ns(CLOCK_THREAD_CPUTIME_ID) + ns; clock_ns(CLOCK_THREAD_CPUTIME_ID) < end;) {
  }
}

/// Ties the calling thread, and what it starts.
void tie(const std::vector<int>& cpus) {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (const int cpu : cpus) CPU_SET(static_cast<unsigned>(cpu), &set);
  ASSERT_EQ(::sched_setaffinity(0, sizeof set, &set), 0);
}

/// A process that works on one CPU as long as this lives: always, or `burst_ns` of CPU time and as long asleep, in
/// turn.
class Neighbour {
 public:
  explicit Neighbour(int cpu, std::uint64_t burst_ns = 0) {
    void* const memory =
        ::mmap(nullptr, sizeof(std::atomic<bool>), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    auto* const works = new (memory) std::atomic<bool>(false);
    pid_ = ::fork();
    if (pid_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      tie({cpu});
      for (;;) {
        burn(burst_ns != 0 ? burst_ns : kMs);
        works->store(true);
        const timespec rest{0, static_cast<long>(burst_ns)};
        if (burst_ns != 0) ::nanosleep(&rest, nullptr);
      }
    }
    while (!works->load()) std::this_thread::yield();
    ::munmap(memory, sizeof(std::atomic<bool>));
    ::clock_getcpuclockid(pid_, &clock_);
  }
  Neighbour(const Neighbour&) = delete;
  Neighbour& operator=(const Neighbour&) = delete;
  ~Neighbour() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }

  [[nodiscard]] std::uint64_t cpu_ns() const { return clock_ns(clock_); }

 private:
  pid_t pid_ = -1;
  clockid_t clock_{};
};

std::uint64_t sum_of(const std::vector<Row>& rows, const char* column) {
  std::uint64_t sum = 0;
  for (const Row& row : rows) {
    EXPECT_EQ(row["status"], "ok") << row["message"];
    EXPECT_NE(row[column], "") << column << ": " << row["disturbance_note"];
    if (!row[column].empty()) sum += std::stoull(row[column]);
  }
  return sum;
}

class BesideNeighbours : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!run_delay_unavailable().empty()) GTEST_SKIP() << run_delay_unavailable();
    if (cpu_times(given_cpus()).cpus == 0) GTEST_SKIP() << "/proc/stat does not tell of each CPU";
    if (cgroup_quota()) GTEST_SKIP() << "a cgroup quota stops neighbours, too";
  }
  void TearDown() override { tie(given_cpus()); }

  static std::vector<Row> measure(const std::string& cell, std::uint32_t iterations, std::uint64_t digest) {
    return launch({.cell = parse_cell(cell),
                   .iterations = iterations,
                   .repetitions = 3,
                   .warmups = 0,
                   .expected_digest = digest});
  }
  /// So that nothing but what is timed runs beside the neighbour.
  static std::uint64_t digest_of(const std::string& cell) {
    const auto rows = launch({.cell = parse_cell(cell), .iterations = 1, .repetitions = 1, .warmups = 0});
    return std::stoull(rows.at(0)["digest"], nullptr, 16);
  }

  /// Measures beside a neighbour on the same CPU, and expects to see what it took.
  static std::vector<Row> expect_to_see(std::uint64_t burst_ns, const std::string& cell, std::uint32_t iterations) {
    const std::uint64_t digest = digest_of(cell);
    tie({given_cpus().front()});
    const Neighbour neighbour(given_cpus().front(), burst_ns);
    const std::uint64_t before = neighbour.cpu_ns();
    auto rows = measure(cell, iterations, digest);
    const std::uint64_t took = neighbour.cpu_ns() - before;
    EXPECT_GT(took, 10 * kMs) << "the neighbour must have worked";
    EXPECT_GE(sum_of(rows, "run_delay_ns"), took / 10 * 7) << cell;
    EXPECT_GE(sum_of(rows, "others_cpu_ns") + 4 * tick_ns(), took / 10 * 7) << cell;
    EXPECT_GE(sum_of(rows, "disturbed_ns") + 4 * tick_ns(), took / 10 * 7) << cell;
    for (const Row& row : rows) {
      EXPECT_LE(std::stoull(row["disturbed_ns"]),
                std::stoull(row["run_delay_ns"]) + std::stoull(row["steal_ticks"]) * tick_ns() + 2 * tick_ns());
      EXPECT_EQ(row["disturbance_note"], "") << cell;
    }
    return rows;
  }
};

TEST_F(BesideNeighbours, OneThatAlwaysWorksOnOurCpuIsSeen) { expect_to_see(0, "workload=spin,task_size=10000000", 10); }

TEST_F(BesideNeighbours, BurstsOf50MsAreSeen) { expect_to_see(50 * kMs, "workload=spin,task_size=10000000", 10); }

TEST_F(BesideNeighbours, ThreadsAndProcessesThatEndTellWhatTheyWaited) {
  for (const char* cell : {"workload=spin,tasks=4,task_size=10000000,strategy=thread_per_task",
                           "workload=spin,tasks=4,task_size=10000000,strategy=async",
                           "workload=spin,tasks=4,task_size=10000000,strategy=process_per_task",
                           "workload=spin,tasks=4,task_size=10000000,strategy=fork_pool,pool=cold",
                           "workload=spin,tasks=4,task_size=10000000,strategy=fork_pool_shm",
                           "workload=spin,tasks=4,task_size=10000000,strategy=openmp"}) {
    expect_to_see(0, cell, 1);
  }
}

TEST_F(BesideNeighbours, OnesOnAllCpusAreSeen) {
  const std::string cell =
      "workload=spin,tasks=64,task_size=2000000,strategy=std_thread,workers=" + std::to_string(allowed_cpus());
  const std::uint64_t digest = digest_of(cell);
  std::vector<std::unique_ptr<Neighbour>> neighbours;
  for (const int cpu : given_cpus()) neighbours.push_back(std::make_unique<Neighbour>(cpu));
  const auto rows = measure(cell, 1, digest);
  const std::uint64_t wall = sum_of(rows, "wall_ns"), disturbed = sum_of(rows, "disturbed_ns");
  EXPECT_GE(2 * disturbed + 6 * tick_ns(), wall / 10 * 5 * static_cast<std::uint64_t>(allowed_cpus()))
      << "each CPU is shared with one neighbour at least: half is gone, of which half is demanded here";
}

TEST_F(BesideNeighbours, OneOnAnotherCpuIsNoneOfOurs) {
  if (allowed_cpus() < 2) GTEST_SKIP() << "one CPU";
  const std::string cell = "workload=spin,task_size=10000000";
  const std::uint64_t digest = digest_of(cell);
  tie({given_cpus().front()});
  const Neighbour neighbour(given_cpus().back());
  const std::uint64_t before = neighbour.cpu_ns();
  const auto rows = measure(cell, 10, digest);
  const std::uint64_t took = neighbour.cpu_ns() - before;
  EXPECT_GE(sum_of(rows, "others_cpu_ns") + 4 * tick_ns(), took / 10 * 7);
  // Others may run on this CPU all the same: what the kernel made us wait is the measure, not more.
  EXPECT_LE(sum_of(rows, "disturbed_ns"),
            sum_of(rows, "run_delay_ns") + sum_of(rows, "steal_ticks") * tick_ns() + 2 * tick_ns());
}

TEST_F(BesideNeighbours, OwnWorkersThatWaitForEachOtherAreNotTakenForOthers) {
  const int workers = 4 * allowed_cpus();
  const std::string cell =
      "workload=spin,tasks=64,task_size=4000000,strategy=std_thread,workers=" + std::to_string(workers);
  const std::uint64_t digest = digest_of(cell);
  const CpuTimes before = cpu_times(given_cpus());
  const Usage own_before = process_usage();
  const auto rows = measure(cell, 1, digest);
  const std::uint64_t own = (process_usage() - own_before).cpu_ns();
  const CpuTimes cpus = cpu_times(given_cpus()) - before;
  const std::uint64_t not_others = cpus.idle_ns + own;
  const std::uint64_t others = cpus.available_ns > not_others ? cpus.available_ns - not_others : 0;  // and steal
  const std::uint64_t wall = sum_of(rows, "wall_ns"), delay = sum_of(rows, "run_delay_ns"),
                      disturbed = sum_of(rows, "disturbed_ns");
  EXPECT_GE(delay, wall) << "four workers share a CPU";
  EXPECT_LE(disturbed, others + 6 * tick_ns()) << "what nobody else used was not taken from us";
  EXPECT_LE(2 * disturbed, delay);
}

TEST(RunDelay, OfAThreadThatEndsWithoutTellingIsMissedByItsCpuTime) {
  const auto end_a_thread = [](bool tells) {
    const Usage before = process_usage();
    const auto made = std::chrono::steady_clock::now();
    std::thread([&] {
      burn(50 * kMs);
      if (tells) tell_end_of_thread(made);
    }).join();
    return process_usage() - before;
  };
  EXPECT_GE(end_a_thread(false).untold_cpu_ns, static_cast<std::int64_t>(45 * kMs));
  EXPECT_LE(end_a_thread(true).untold_cpu_ns, static_cast<std::int64_t>(2 * kMs));
}

TEST(RunDelay, OfAShortThreadThatDidNotWaitCostsNoRead) {
  const Usage before = process_usage();
  std::thread([] { tell_end_of_thread(std::chrono::steady_clock::now()); }).join();
  EXPECT_LE((process_usage() - before).untold_cpu_ns, static_cast<std::int64_t>(kMs));
}

TEST(CpuTimes, AreThoseOfTheCpusAskedFor) {
  const std::string stat =
      "cpu  60 0 60 605 60 0 0 6 0 0\n"
      "cpu0 10 0 10 100 10 1 1 1 0 0\n"
      "cpu1 20 0 20 200 20 2 2 2 0 0\n"
      "cpu10 30 0 30 300 30 3 3 3 0 0\n"
      "intr 1 2 3\n";
  const CpuTimes times = cpu_times(std::vector<int>{0, 10}, stat, 5);
  EXPECT_EQ(times.cpus, 2U);
  EXPECT_EQ(times.available_ns, 10U);
  EXPECT_EQ(times.idle_ns, 440 * tick_ns());
  EXPECT_EQ(times.stolen_ns, 4 * tick_ns());
  EXPECT_EQ(cpu_times(std::vector<int>{0, 1, 10}, stat, 5).idle_ns, 665 * tick_ns()) << "of all, the line of the sum";
  EXPECT_EQ(cpu_times(std::vector<int>{0, 2}, stat, 5).cpus, 0U) << "one of them is not told of";
  EXPECT_EQ(cpu_times(std::vector<int>{0}, "cpu 1 2 3\ncpu0 1 2 3", 5).cpus, 0U);
}

TEST(Look, SeesWhoeverElseWorks) {
  if (cpu_times(given_cpus()).cpus == 0) GTEST_SKIP() << "/proc/stat does not tell of each CPU";
  if (cgroup_quota()) GTEST_SKIP() << "a cgroup quota stops neighbours, too";
  std::vector<std::unique_ptr<Neighbour>> neighbours;
  for (const int cpu : given_cpus()) neighbours.push_back(std::make_unique<Neighbour>(cpu));
  const MachineUse seen = look(std::chrono::milliseconds(200));
  EXPECT_EQ(seen.cpus, allowed_cpus());
  EXPECT_GE(seen.seconds, 0.2);
  // Each CPU has work all the time, whosever: what is neither stolen nor ours is others'.
  EXPECT_GE(seen.others_cpus.value() + seen.stolen_cpus.value(), 0.8 * allowed_cpus());
  EXPECT_LE(seen.others_cpus.value() + seen.stolen_cpus.value(), 1.1 * allowed_cpus());
  if (seen.pressure) {
    EXPECT_GE(*seen.pressure, 0.0);
    EXPECT_LE(*seen.pressure, 1.0);
  }
  EXPECT_GE(seen.load.value(), 0.0);
}

TEST(GivenCpus, AreThoseThatTheProcessWasStartedWith) {
  const int count = allowed_cpus();
  tie({given_cpus().back()});  // as OpenMP's runtimes do before main()
  EXPECT_EQ(allowed_cpus(), count);
  use_given_cpus();
  cpu_set_t now;
  ASSERT_EQ(::sched_getaffinity(0, sizeof now, &now), 0);
  EXPECT_EQ(CPU_COUNT(&now), count);
}

}  // namespace
}  // namespace noisefloor
