// The faults of process_pool_test a hundred times over: none hangs, none loses a task.
// SPDX-License-Identifier: MIT
#include <random>
#include <thread>

#include "faults.hpp"

namespace noisefloor {
namespace {

using namespace testing_faults;  // NOLINT(google-build-using-namespace): this file is nothing else

constexpr int kTimes = 100;

/// A run that hangs is ended by SIGALRM: the test fails, and ctest says so.
class Repeated : public ::testing::TestWithParam<const char*> {
 protected:
  static void repeat(const std::function<void(int)>& f) {
    constexpr unsigned kDeadlineS = 600;
    for (int time = 0; time < kTimes && !HasFailure(); ++time) {
      SCOPED_TRACE(time);
      ::alarm(kDeadlineS);
      f(time);
    }
    ::alarm(0);
  }
};

TEST_P(Repeated, AKilledWorker) {
  repeat([](int time) { survive_signal(GetParam(), SIGKILL, 1 + static_cast<std::uint32_t>(time) % 7); });
}
TEST_P(Repeated, ACrash) {
  repeat([](int time) { survive_signal(GetParam(), SIGSEGV, 1 + static_cast<std::uint32_t>(time) % 7); });
}
TEST_P(Repeated, AStoppedWorker) {
  repeat([](int) { survive_stop(GetParam()); });
}
TEST_P(Repeated, ATaskThatKillsItsWorkers) {
  repeat([](int time) { survive_poison(GetParam(), 1 + static_cast<std::uint32_t>(time) % 7); });
}

TEST_P(Repeated, WorkersThatAreKilledAtAnyInstruction) {
  // From outside, at random times, while tasks are so short that most of the time is spent between them.
  repeat([](int time) {
    constexpr std::uint32_t kTasks = 20'000;
    const Faulty workload(kTasks, [](std::uint32_t task, int, auto& returned) {
      if (task % 64 == 0) append(returned, 3000, task);
    });
    const bool is_one_shot = std::string_view(GetParam()) == "process_per_task";
    const std::uint32_t tasks_per_chunk = is_one_shot ? 500 : 1 + static_cast<std::uint32_t>(time) % 3;
    const NotingPool pool(GetParam(), workload, workers(2, tasks_per_chunk));
    std::mt19937 generator(static_cast<unsigned>(time));
    std::uniform_int_distribution<std::uint32_t> when(1, kTasks / 8);
    std::vector<int> seen(kTasks);
    std::uint32_t next = when(generator), count = 0;
    deliver(pool.executor(), kTasks, Delivery::unordered, [&](auto results, auto) {
      for (const TaskResult& result : results) {
        ++seen[result.task];
        EXPECT_TRUE(result.status == 0);
        if (++count < next) continue;
        // The process that began this task may be anywhere by now, or be no more.
        next += when(generator);
        const pid_t victim = workload.process(result.task);
        siginfo_t ignored{};
        const bool is_ours =
            victim > 0 && ::waitid(P_PID, static_cast<id_t>(victim), &ignored, WEXITED | WNOHANG | WNOWAIT) == 0;
        if (is_ours) ::kill(victim, SIGKILL);
      }
    });
    EXPECT_EQ(std::count(seen.begin(), seen.end(), 1), kTasks) << pool.all_notes();
  });
}

INSTANTIATE_TEST_SUITE_P(Strategies, Repeated, ::testing::Values("process_per_task", "fork_pool", "fork_pool_shm"),
                         [](const auto& instance) { return std::string(instance.param); });

}  // namespace
}  // namespace noisefloor
