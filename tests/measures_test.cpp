// Every measure sees what provokes it: memory, faults, waiting, computing, in threads and in worker processes.
// SPDX-License-Identifier: MIT
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "harness/measure/columns.hpp"
#include "harness/measure/counters.hpp"
#include "harness/measure/launch.hpp"
#include "harness/measure/pitfall.hpp"
#include "harness/measure/probes.hpp"
#include "harness/strategies/strategy.hpp"

namespace noisefloor {
namespace {

using std::chrono::milliseconds;

std::uint64_t thread_cpu_ns() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000U + static_cast<std::uint64_t>(time.tv_nsec);
}

void burn_user(milliseconds how_long) {
  const std::uint64_t end = thread_cpu_ns() + static_cast<std::uint64_t>(how_long.count()) * 1'000'000U;
  std::atomic<std::uint64_t> sink{0};
  while (thread_cpu_ns() < end) {
    for (int i = 0; i < 100'000; ++i) sink.fetch_add(1, std::memory_order_relaxed);
  }
}

void burn_system(milliseconds how_long) {
  const std::uint64_t end = thread_cpu_ns() + static_cast<std::uint64_t>(how_long.count()) * 1'000'000U;
  const int fd = ::open("/dev/zero", O_RDONLY | O_CLOEXEC);
  std::vector<char> buffer(std::size_t{1} << 20U);
  while (thread_cpu_ns() < end) {
    for (int i = 0; i < 10; ++i) EXPECT_GT(::read(fd, buffer.data(), buffer.size()), 0);
  }
  ::close(fd);
}

// Behind the back of the thread sanitizer, whose notes on every page are pages as well: not instrumented, and mapped by
// system calls that it does not see.
__attribute__((no_sanitize("thread"))) void touch(std::size_t bytes) {
  const long address = ::syscall(SYS_mmap, nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0L);
  ASSERT_NE(address, -1);
  void* memory = reinterpret_cast<void*>(address);  // NOLINT(performance-no-int-to-ptr)
  ::madvise(memory, bytes, MADV_NOHUGEPAGE);
  for (std::size_t i = 0; i < bytes; i += 4096) static_cast<volatile char*>(memory)[i] = 1;
  ::syscall(SYS_munmap, memory, bytes);
}

TEST(Measures, CpuTimeInUserModeIsThatOfAllThreads) {
  const Usage before = process_usage();
  std::thread other([] { burn_user(milliseconds(60)); });
  burn_user(milliseconds(60));
  other.join();
  const Usage used = process_usage() - before;
  EXPECT_GE(used.user_cpu_ns + used.system_cpu_ns, 115'000'000U);
  EXPECT_GT(used.user_cpu_ns, used.system_cpu_ns);
}

// The kernel books what a running thread has used at its ticks, every 4 ms or so, unless it is asked.
TEST(Measures, CpuTimeOfAThreadThatIsRunningIsNotLate) {
  const auto total_ns = [] {
    const Usage usage = process_usage();
    return static_cast<std::int64_t>(usage.user_cpu_ns + usage.system_cpu_ns);
  };
  const std::int64_t before = total_ns() - static_cast<std::int64_t>(thread_cpu_ns());
  std::atomic<bool> is_over{false};
  std::jthread spinning([&] {
    while (!is_over.load(std::memory_order_relaxed)) {
    }
  });
  clockid_t its{};
  ASSERT_EQ(::pthread_getcpuclockid(spinning.native_handle(), &its), 0);
  std::vector<std::int64_t> late;
  for (int i = 0; i < 41; ++i) {
    std::this_thread::sleep_for(std::chrono::microseconds(1700));  // another place between two ticks
    const std::int64_t told = total_ns();
    timespec used{};
    ::clock_gettime(its, &used);
    const std::int64_t truth = used.tv_sec * 1'000'000'000L + used.tv_nsec + static_cast<std::int64_t>(thread_cpu_ns());
    late.push_back(truth + before - told);
  }
  is_over = true;
  std::nth_element(late.begin(), late.begin() + 20, late.end());
  EXPECT_LT(late[20], 300'000);
}

TEST(Measures, CpuTimeInTheKernelIsToldApart) {
  const Usage before = process_usage();
  burn_system(milliseconds(80));
  const Usage used = process_usage() - before;
  EXPECT_GT(used.system_cpu_ns, used.user_cpu_ns);
  EXPECT_GE(used.user_cpu_ns + used.system_cpu_ns, 75'000'000U);
}

TEST(Measures, PagesThatAreTouchedAreMinorFaultsAndPeakMemory) {
  constexpr std::size_t kBytes = 200U << 20U;
  ASSERT_TRUE(reset_peak_rss());
  const std::uint64_t peak_before = peak_rss_bytes().value();
  const Usage before = process_usage();
  touch(kBytes);
  const Usage used = process_usage() - before;
  EXPECT_GE(used.minor_faults, kBytes / 4096);
  EXPECT_LT(used.minor_faults, kBytes / 4096 + 1000);
  const std::uint64_t peak = peak_rss_bytes().value();
  EXPECT_GE(peak, peak_before + kBytes - (8U << 20U));
  EXPECT_LE(peak, peak_before + kBytes + (8U << 20U));
  ASSERT_TRUE(reset_peak_rss());
  EXPECT_LT(peak_rss_bytes().value(), peak_before + (16U << 20U)) << "the peak starts anew";
}

TEST(Measures, AMappedFileThatIsNotInMemoryIsAMajorFault) {
  std::string path = (std::filesystem::current_path() / "measures_test.XXXXXX").string();
  const int fd = ::mkostemp(path.data(), O_CLOEXEC);
  ASSERT_GE(fd, 0);
  constexpr std::size_t kBytes = 4U << 20U;
  const std::vector<char> content(kBytes, 'x');
  ASSERT_EQ(::write(fd, content.data(), kBytes), static_cast<ssize_t>(kBytes));
  ASSERT_EQ(::fsync(fd), 0);
  ::posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
  void* memory = ::mmap(nullptr, kBytes, PROT_READ, MAP_PRIVATE, fd, 0);
  ASSERT_NE(memory, MAP_FAILED);
  ::madvise(memory, kBytes, MADV_RANDOM);
  std::vector<unsigned char> resident(kBytes / 4096);
  ASSERT_EQ(::mincore(memory, kBytes, resident.data()), 0);
  std::size_t absent = 0;
  for (const unsigned char page : resident) absent += (page & 1U) == 0 ? 1U : 0U;
  const Usage before = process_usage();
  for (std::size_t i = 0; i < kBytes; i += 4096) static_cast<void>(static_cast<volatile char*>(memory)[i]);
  const Usage used = process_usage() - before;
  ::munmap(memory, kBytes);
  ::close(fd);
  ::unlink(path.c_str());
  if (absent == 0) GTEST_SKIP() << "this file system keeps its files in memory: no major fault can be made";
  EXPECT_GT(used.major_faults, 0U);
}

TEST(Measures, WaitingIsAVoluntarySwitch) {
  const Usage before = process_usage();
  for (int i = 0; i < 20; ++i) std::this_thread::sleep_for(milliseconds(1));
  const Usage used = process_usage() - before;
  EXPECT_GE(used.voluntary_switches, 20U);
  EXPECT_LT(used.voluntary_switches, 60U);
}

TEST(Measures, LosingTheCpuIsAnInvoluntarySwitch) {
  cpu_set_t all;
  ASSERT_EQ(::sched_getaffinity(0, sizeof all, &all), 0);
  int first = 0;
  while (!CPU_ISSET(first, &all)) ++first;
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(first, &one);
  ASSERT_EQ(::sched_setaffinity(0, sizeof one, &one), 0);
  const Usage before = process_usage();
  std::thread rival([] { burn_user(milliseconds(100)); });  // on the same CPU
  burn_user(milliseconds(100));
  rival.join();
  const Usage used = process_usage() - before;
  ASSERT_EQ(::sched_setaffinity(0, sizeof all, &all), 0);
  EXPECT_GE(used.involuntary_switches, 5U);
}

TEST(Measures, StealCanBeReadAndOnlyGrows) {
  const auto before = steal_ticks();
  ASSERT_TRUE(before.has_value());
  burn_user(milliseconds(20));
  EXPECT_GE(steal_ticks().value(), *before);
}

// Hardware events may be missing on a virtual machine; the kernel's own are counted in the same way.
const CounterEvent kTaskClock{PERF_TYPE_SOFTWARE, PERF_COUNT_SW_TASK_CLOCK};

TEST(Counter, CountsThreadsAndProcessesThatAreStartedLater) {
  const Counter counter(kTaskClock);
  if (!counter.unavailable().empty()) GTEST_SKIP() << counter.unavailable();
  const auto spent = [&](const auto& work) {
    const std::uint64_t before = counter.read().value();
    work();
    return counter.read().value() - before;
  };
  EXPECT_GE(spent([] { burn_user(milliseconds(30)); }), 29'000'000U);
  EXPECT_GE(spent([] { std::thread([] { burn_user(milliseconds(30)); }).join(); }), 29'000'000U);
  EXPECT_GE(spent([] {
              const pid_t child = ::fork();
              if (child == 0) {
                burn_user(milliseconds(30));
                ::_exit(0);
              }
              ASSERT_EQ(::waitpid(child, nullptr, 0), child);
            }),
            29'000'000U);
  // One that still lives, as the workers of a pool do.
  std::atomic<int> stage{0};
  std::thread pool([&] {
    burn_user(milliseconds(30));
    stage = 1;
    while (stage == 1) std::this_thread::sleep_for(milliseconds(1));
  });
  const std::uint64_t before = counter.read().value();
  while (stage != 1) std::this_thread::sleep_for(milliseconds(1));
  EXPECT_GE(counter.read().value() - before, 20'000'000U);
  stage = 2;
  pool.join();
}

TEST(Counter, WhatCannotBeCountedSaysWhyAndIsEmpty) {
  const Counter counter({0xFFFFFFU, 0});
  EXPECT_NE(counter.unavailable(), "");
  EXPECT_FALSE(counter.read().has_value());
}

TEST(Counter, InstructionsAreCountedOrTheColumnSaysWhyNot) {
  const auto rows = launch({.cell = parse_cell("workload=spin,tasks=4,task_size=100000,workers=2,strategy=std_thread"),
                            .iterations = 3,
                            .repetitions = 1,
                            .warmups = 0});
  ASSERT_EQ(rows.at(0)["status"], "ok");
  for (const Column& column : columns()) {
    if (column.name != "instructions" && column.name != "cycles") continue;
    const std::string& value = rows.at(0)[column.name];
    EXPECT_EQ(value.empty(), !column.unavailable.empty()) << column.unavailable;
    EXPECT_EQ(column.unavailable, counters_unavailable());
    if (value.empty()) continue;
    EXPECT_GE(std::stoull(value), 1'200'000U) << "a step of the chain is an instruction at least";
  }
}

std::uint64_t number(const Row& row, const char* column) { return std::stoull(row[column]); }

Row one_row(const std::string& cell, std::uint32_t iterations = 1) {
  return launch({.cell = parse_cell(cell), .iterations = iterations, .repetitions = 1, .warmups = 1}).at(0);
}

TEST(Measures, ARowTellsWaitingFromComputing) {
  const Row waits = one_row("workload=wait,tasks=4,task_size=20000000,workers=2,strategy=std_thread");
  EXPECT_GE(number(waits, "wall_ns"), 40'000'000U);
  EXPECT_LT(std::stod(waits["cpu_percent"]), 20.0);
  EXPECT_GE(number(waits, "voluntary_switches"), 4U);
  EXPECT_GE(number(waits, "first_result_ns"), 20'000'000U);
  EXPECT_LT(number(waits, "first_result_ns"), number(waits, "wall_ns")) << "the second two come later";
  const Row computes = one_row("workload=spin,tasks=1,task_size=20000000");
  EXPECT_GE(number(computes, "user_cpu_ns") + number(computes, "system_cpu_ns"), number(computes, "wall_ns") / 20)
      << "a busy machine may share its CPUs";
  EXPECT_LE(std::stod(computes["cpu_percent"]), 110.0) << "one thread";
}

// fork_pool's workers are processes of their own: their memory, CPU time and faults are in the row all the same.
TEST(Measures, ARowHoldsWhatWorkerProcessesUse) {
  // The small one first: workers begin with what their parent holds.
  const Row small = one_row("workload=payload,tasks=8,task_size=1000,workers=2,strategy=fork_pool");
  const Row forked = one_row("workload=payload,tasks=8,task_size=25000000,workers=2,strategy=fork_pool");
  ASSERT_EQ(forked["status"], "ok") << forked["message"];
  EXPECT_GT(number(forked, "peak_rss_bytes"), number(small, "peak_rss_bytes") + 25'000'000U);
  EXPECT_GT(number(forked, "user_cpu_ns") + number(forked, "system_cpu_ns"), 0U);
  const Row spins = one_row("workload=spin,tasks=2,task_size=40000000,workers=2,strategy=fork_pool");
  ASSERT_EQ(spins["status"], "ok") << spins["message"];
  // The chain takes at least 0.2 ns a step on any CPU, and the parent does none of it.
  EXPECT_GE(number(spins, "user_cpu_ns"), 16'000'000U);
}

}  // namespace
}  // namespace noisefloor
