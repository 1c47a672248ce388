// Whatever happens to a worker process, the run ends with one result for every task.
// SPDX-License-Identifier: MIT
#include <fcntl.h>
#include <gmock/gmock.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/time.h>

#include <set>
#include <stdexcept>
#include <thread>

#include "faults.hpp"
#include "harness/base/error.hpp"
#include "harness/base/unique_fd.hpp"
#include "harness/workloads/table.hpp"

namespace noisefloor {
namespace {

using ::testing::HasSubstr;
using testing_faults::append;
using testing_faults::expect_each_once;
using testing_faults::Faulty;
using testing_faults::holds;
using testing_faults::in_a_process;
using testing_faults::NotingPool;
using testing_faults::Outcome;
using testing_faults::run;
using testing_faults::survive_poison;
using testing_faults::survive_signal;
using testing_faults::survive_stop;
using testing_faults::workers;

class ProcessPools : public ::testing::TestWithParam<const char*> {};
/// Those whose processes run more than one chunk.
class PoolsThatLast : public ::testing::TestWithParam<const char*> {};

TEST_P(ProcessPools, SurviveAKilledWorker) {
  for (const std::uint32_t chunk_size : {1U, 4U, 30U}) survive_signal(GetParam(), SIGKILL, chunk_size);
}

TEST_P(ProcessPools, SurviveACrash) { survive_signal(GetParam(), SIGSEGV, 1); }

TEST_P(ProcessPools, SurviveEverySignalThatEndsAProcess) {
  for (const int number : {SIGTERM, SIGABRT, SIGPIPE, SIGUSR1, SIGXCPU}) survive_signal(GetParam(), number, 1);
}

TEST_P(ProcessPools, ReplaceAStoppedWorker) { survive_stop(GetParam()); }

TEST_P(ProcessPools, GiveUpATaskThatKillsItsWorkersAndNameIt) {
  for (const std::uint32_t chunk_size : {1U, 4U, 20U}) survive_poison(GetParam(), chunk_size);
}

TEST_P(ProcessPools, SurviveAWorkerThatExits) {
  const Faulty workload(10, [](std::uint32_t task, int before, auto&) {
    if (task == 2 && before == 0) ::_exit(3);
  });
  const NotingPool pool(GetParam(), workload, workers(2));
  const Outcome outcome = run(pool.executor(), 10);
  expect_each_once(outcome, 10);
  EXPECT_TRUE(outcome.failed().empty());
  EXPECT_THAT(pool.all_notes(), HasSubstr("exited with status 3"));
}

TEST_P(ProcessPools, KeepOrderAndWindowWhenTheOldestTaskDies) {
  constexpr std::uint32_t kTasks = 60;
  const Faulty workload(kTasks, [](std::uint32_t task, int before, auto&) {
    if (task % 20 == 0 && before == 0) ::raise(SIGKILL);
  });
  StrategyOptions options = workers(2, 2);
  options.window = 3;
  const NotingPool pool(GetParam(), workload, options);
  std::vector<std::uint32_t> order;
  const DeliveryCount count = deliver(pool.executor(), kTasks, Delivery::ordered, [&](auto results, auto) {
    for (const TaskResult& result : results) order.push_back(result.task);
  });
  ASSERT_EQ(order.size(), kTasks);
  EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
  EXPECT_LE(count.peak_held, options.window * options.chunk_size + options.chunk_size - 1);
  EXPECT_EQ(pool.notes.size(), 3U) << pool.all_notes();
}

TEST_P(ProcessPools, ReportATaskThatThrowsOnceAndKeepItsWorker) {
  const Faulty workload(20, [](std::uint32_t task, int, auto& returned) {
    append(returned, task, task);
    if (task == 4) throw std::runtime_error("four is out");
  });
  const NotingPool pool(GetParam(), workload, workers(2));
  const Outcome outcome = run(pool.executor(), 20);
  expect_each_once(outcome, 20);
  EXPECT_EQ(outcome.failed(), std::vector<std::uint32_t>{4});
  EXPECT_EQ(outcome.returned.at(4), "four is out");
  EXPECT_EQ(workload.begun(4), 1);
  EXPECT_TRUE(pool.notes.empty()) << pool.all_notes();
}

TEST_P(ProcessPools, BringBackResultsLargerThanEveryBuffer) {
  constexpr std::size_t kBytes = (std::size_t{1} << 20) + 3;
  const Faulty workload(8, [](std::uint32_t task, int, auto& returned) { append(returned, kBytes + task, task); });
  for (const std::uint32_t chunk_size : {1U, 3U}) {
    const NotingPool pool(GetParam(), workload, workers(2, chunk_size));
    const Outcome outcome = run(pool.executor(), 8);
    expect_each_once(outcome, 8);
    for (const auto& [task, returned] : outcome.returned) EXPECT_TRUE(holds(returned, kBytes + task, task)) << task;
  }
}

TEST_P(ProcessPools, SurviveADeathInTheMiddleOfALargeResult) {
  // Killed from outside while the worker is blocked in answering: the consumer waits until that is so.
  constexpr std::size_t kBytes = std::size_t{4} << 20;
  const Faulty workload(4, [](std::uint32_t task, int, auto& returned) { append(returned, kBytes, task); });
  const NotingPool pool(GetParam(), workload, workers(2));
  std::set<std::uint32_t> seen;
  bool has_killed = false;
  deliver(pool.executor(), 4, Delivery::unordered, [&](auto results, auto) {
    for (const TaskResult& result : results) EXPECT_TRUE(seen.insert(result.task).second);
    for (std::uint32_t task = 0; task < 4 && !has_killed; ++task) {
      if (seen.contains(task) || workload.begun(task) == 0) continue;
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
      has_killed = ::kill(workload.process(task), SIGKILL) == 0;
    }
  });
  EXPECT_EQ(seen.size(), 4U);
}

TEST_P(ProcessPools, RunNoTaskOneTaskAndFewerTasksThanWorkers) {
  for (const std::uint32_t tasks : {0U, 1U, 3U}) {
    const Faulty workload(tasks, {});
    const NotingPool pool(GetParam(), workload, workers(5));
    for (int again = 0; again < 2; ++again) expect_each_once(run(pool.executor(), tasks), tasks);
  }
}

TEST_P(PoolsThatLast, RunAgainWithTheSameWorkersIfThePoolIsWarm) {
  for (const Pool pool_kind : {Pool::none, Pool::warm, Pool::cold}) {
    const Faulty workload(1, {});
    StrategyOptions options = workers(1);
    options.pool = pool_kind;
    const NotingPool pool(GetParam(), workload, options);
    run(pool.executor(), 1);
    const pid_t first = workload.process(0);
    EXPECT_NE(first, ::getpid());
    EXPECT_EQ(::kill(first, 0) == 0, pool_kind != Pool::cold) << "a cold pool ends with its run";
    run(pool.executor(), 1);
    EXPECT_EQ(workload.process(0) == first, pool_kind != Pool::cold);
  }
}

TEST_P(PoolsThatLast, ReplaceWorkersThatDiedBetweenRuns) {
  const Faulty workload(20, [](auto, auto, auto&) { std::this_thread::sleep_for(std::chrono::milliseconds(1)); });
  const NotingPool pool(GetParam(), workload, workers(2));
  expect_each_once(run(pool.executor(), 20), 20);
  std::set<pid_t> processes;
  for (std::uint32_t task = 0; task < 20; ++task) processes.insert(workload.process(task));
  for (const pid_t process : processes) EXPECT_EQ(::kill(process, SIGKILL), 0);
  const Outcome outcome = run(pool.executor(), 20);
  expect_each_once(outcome, 20);
  EXPECT_TRUE(outcome.failed().empty());
  EXPECT_EQ(pool.notes.size(), processes.size()) << pool.all_notes();
}

TEST_P(PoolsThatLast, ReplaceAWorkerThatWasStoppedBetweenRuns) {
  const Faulty workload(4, {});
  StrategyOptions options = workers(1);
  options.task_timeout = testing_faults::kStandstill;
  const NotingPool pool(GetParam(), workload, options);
  expect_each_once(run(pool.executor(), 4), 4);
  EXPECT_EQ(::kill(workload.process(0), SIGSTOP), 0);
  const Outcome outcome = run(pool.executor(), 4);
  expect_each_once(outcome, 4);
  EXPECT_TRUE(outcome.failed().empty());
  EXPECT_THAT(pool.all_notes(), HasSubstr("made no progress"));
}

TEST_P(ProcessPools, EndWithTheirParent) {
  // Orphans come to this process, which can then wait for them.
  ASSERT_EQ(::prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
  constexpr std::uint32_t kWorkers = 3;
  const Faulty workload(kWorkers, [](auto, auto, auto&) { std::this_thread::sleep_for(std::chrono::seconds(300)); });
  const pid_t parent = ::fork();
  ASSERT_GE(parent, 0);
  if (parent == 0) {
    const NotingPool pool(GetParam(), workload, workers(static_cast<int>(kWorkers)));
    run(pool.executor(), kWorkers);
    ::_exit(0);
  }
  for (std::uint32_t task = 0; task < kWorkers;) {
    if (workload.begun(task) > 0) {
      ++task;
    } else {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }
  EXPECT_EQ(::kill(parent, SIGKILL), 0);
  int status = 0;
  EXPECT_EQ(::waitpid(parent, &status, 0), parent);
  for (std::uint32_t task = 0; task < kWorkers; ++task) {
    // Blocks for as long as an orphan lives: 300 s, if it were not killed.
    EXPECT_EQ(::waitpid(workload.process(task), &status, 0), workload.process(task));
    EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  }
  ::prctl(PR_SET_CHILD_SUBREAPER, 0);
}

TEST_P(ProcessPools, LeaveInterruptsToTheParent) {
  const Faulty workload(4, [](auto, auto, auto&) {
    ::raise(SIGINT);
    ::raise(SIGHUP);
  });
  const NotingPool pool(GetParam(), workload, workers(2));
  expect_each_once(run(pool.executor(), 4), 4);
  EXPECT_TRUE(pool.notes.empty()) << pool.all_notes();
}

TEST_P(ProcessPools, GoOnWhenCallsAreInterrupted) {
  struct sigaction action {
  }, before{};
  static std::atomic<int> alarms = 0;
  action.sa_handler = [](int) { ++alarms; };  // no SA_RESTART
  ASSERT_EQ(::sigaction(SIGALRM, &action, &before), 0);
  const auto start_timer = [](int microseconds) {
    const itimerval every{{0, microseconds}, {0, microseconds}};
    ::setitimer(ITIMER_REAL, &every, nullptr);
  };
  constexpr std::uint32_t kTasks = 400;
  const Faulty workload(kTasks, [&](std::uint32_t task, int, auto& returned) {
    static pid_t has_timer = 0;  // timers are not inherited, nor are handlers
    if (has_timer != ::getpid()) {
      has_timer = ::getpid();
      ::sigaction(SIGALRM, &action, nullptr);
      start_timer(300);
    }
    append(returned, 20'000, task);
  });
  start_timer(300);
  Outcome outcome;
  {
    const NotingPool pool(GetParam(), workload, workers(2, 4));
    outcome = run(pool.executor(), kTasks);
    EXPECT_TRUE(pool.notes.empty()) << pool.all_notes();
  }
  start_timer(0);
  ::sigaction(SIGALRM, &before, nullptr);
  EXPECT_GT(alarms, 0);
  expect_each_once(outcome, kTasks);
  for (const auto& [task, returned] : outcome.returned) ASSERT_TRUE(holds(returned, 20'000, task)) << task;
}

TEST_P(ProcessPools, GiveWorkersNoDescriptorThatIsNotTheirs) {
  const UniqueFd ours(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const Faulty workload(6, [&](auto, auto, auto&) {
    if (::fcntl(ours.get(), F_GETFD) != -1) throw std::runtime_error("has its parent's descriptor");
    int open = 0;
    for (int fd = 3; fd < 1000; ++fd) open += ::fcntl(fd, F_GETFD) != -1 ? 1 : 0;
    if (open > 1) throw std::runtime_error("has " + std::to_string(open) + " descriptors");
  });
  const NotingPool pool(GetParam(), workload, workers(3));
  const Outcome outcome = run(pool.executor(), 6);
  for (const std::uint32_t task : outcome.failed()) ADD_FAILURE() << outcome.returned.at(task);
}

void limit(__rlimit_resource_t what, rlim_t most) {
  const rlimit limits{most, most};
  ASSERT_EQ(::setrlimit(what, &limits), 0);
}

/// From now on no more than `count` descriptors can be opened.
void leave_descriptors(std::size_t count) {
  // The sanitizer of undefined behaviour opens a pipe when it sees a type for the first time: it has seen this one.
  static_cast<void>(Error("seen").what());
  constexpr rlim_t kMost = 200;  // so that it need not open them all
  limit(RLIMIT_NOFILE, kMost);
  std::vector<int> opened;
  for (int fd = 0; fd >= 0;) opened.push_back(fd = ::open("/dev/null", O_RDONLY | O_CLOEXEC));
  for (std::size_t i = 0; i < count && i + 1 < opened.size(); ++i) ::close(opened[i]);
}

/// The superuser has no limit on processes.
void give_up_privileges() {
  constexpr uid_t kNobody = 65534;
  if (::geteuid() == 0) {
    ASSERT_EQ(::setuid(kNobody), 0);
  }
}

/// What making or running says.
std::string message_of(const char* strategy, const Workload& workload, const StrategyOptions& options) {
  try {
    run(make_executor(select_strategy(strategy), workload, options).operator*(), workload.task_count());
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST_P(ProcessPools, AreAnErrorWithoutDescriptors) {
  in_a_process([] {
    leave_descriptors(1);
    const std::string message = message_of(GetParam(), Faulty(8, {}), workers(4));
    EXPECT_THAT(message, HasSubstr(GetParam()));
    EXPECT_THAT(message, HasSubstr("started"));
    EXPECT_THAT(message, HasSubstr("give fewer workers"));
  });
}

TEST_P(ProcessPools, AreAnErrorWhereNothingCanBeForked) {
  in_a_process([] {
    give_up_privileges();
    limit(RLIMIT_NPROC, 0);
    const std::string message = message_of(GetParam(), Faulty(8, {}), workers(4));
    EXPECT_THAT(message, HasSubstr(GetParam()));
    EXPECT_THAT(message, HasSubstr("started"));
    EXPECT_THAT(message, HasSubstr("give fewer workers"));
  });
}

TEST_P(PoolsThatLast, GoOnWithTheWorkersThatThereAre) {
  for (const bool forking_fails : {true, false}) {
    // A worker that has one descriptor leaves it to the next.
    if (!forking_fails && std::string_view(GetParam()) == "fork_pool_shm") continue;
    in_a_process([&] {
      if (forking_fails) give_up_privileges();
      const Faulty workload(40, [](std::uint32_t task, int before, auto&) {
        if (task == 3 && before == 0) ::raise(SIGKILL);
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      });
      const NotingPool pool(GetParam(), workload, workers(3));
      if (forking_fails) {
        limit(RLIMIT_NPROC, 0);
      } else {
        leave_descriptors(0);
      }
      const Outcome outcome = run(pool.executor(), 40);
      expect_each_once(outcome, 40);
      EXPECT_TRUE(outcome.failed().empty());
      EXPECT_THAT(pool.all_notes(), HasSubstr("a worker cannot be started"));
      EXPECT_THAT(pool.all_notes(), HasSubstr("the others go on"));
    });
  }
}

TEST_P(ProcessPools, AreAnErrorWhenTheLastWorkerCannotBeReplaced) {
  in_a_process([] {
    give_up_privileges();
    const Faulty workload(10, [](std::uint32_t task, int, auto&) {
      if (task == 3) {
        const rlimit none{0, 0};
        ::prlimit(::getppid(), RLIMIT_NPROC, &none, nullptr);
        ::raise(SIGKILL);
      }
    });
    EXPECT_THAT(message_of(GetParam(), workload, workers(1)), HasSubstr("no worker is left, and none can be started"));
  });
}

TEST_P(ProcessPools, CountWhatTheirWorkersUse) {
  // Long enough for several of the system's ticks to see each process at work: they tell its time from the system's.
  const auto spin = select_workload("spin").make({.tasks = 8, .task_size = 10'000'000});
  const NotingPool pool(GetParam(), *spin, workers(2));
  run(pool.executor(), 8);
  pool.executor().reset_worker_peaks();
  const WorkerUsage before = pool.executor().worker_usage();
  run(pool.executor(), 8);
  const WorkerUsage after = pool.executor().worker_usage();
  const Usage used = after.usage - before.usage;
  // A step takes a nanosecond or so: no machine does 80 million in a millisecond.
  EXPECT_GT(used.user_cpu_ns, 1'000'000U);
  EXPECT_LT(used.user_cpu_ns, 60'000'000'000U);
  if (after.peak_rss_bytes) {
    EXPECT_GT(*after.peak_rss_bytes, 100'000U);
  }
}

TEST_P(ProcessPools, CountTheMemoryOfEachWorkerAtItsPeak) {
  constexpr std::size_t kBytes = std::size_t{64} << 20;
  const Faulty workload(2, [](std::uint32_t, int before, auto&) {
    if (before != 1) return;
    // The system's, which is gone when freed: an allocator, above all that of a sanitizer, may keep it.
    const SharedMapping memory(kBytes);
    const std::span<char> bytes = memory.as<char>();
    for (std::size_t i = 0; i < bytes.size(); i += 4096) static_cast<volatile char&>(bytes[i]) = 1;
  });
  const NotingPool pool(GetParam(), workload, workers(1));
  const auto peak_of_a_run = [&] {
    pool.executor().reset_worker_peaks();
    run(pool.executor(), 2);
    return pool.executor().worker_usage().peak_rss_bytes;
  };
  const auto before = peak_of_a_run(), large = peak_of_a_run(), after = peak_of_a_run();
  if (!before || !large || !after) GTEST_SKIP() << "the system does not let a process reset its peak";
  // What a process has anyway is small, but not under a sanitizer.
  EXPECT_GE(*large, *before + kBytes * 9 / 10);
  EXPECT_LT(*after, *before + kBytes / 10);
}

TEST_P(ProcessPools, TieTheirWorkersToCpus) {
  for (const Bind bind : {Bind::none, Bind::close, Bind::spread}) {
    const Faulty workload(8, [](auto, auto, std::vector<std::byte>& returned) {
      cpu_set_t cpus;
      ::sched_getaffinity(0, sizeof cpus, &cpus);
      returned.push_back(static_cast<std::byte>(std::min(CPU_COUNT(&cpus), 255)));
    });
    cpu_set_t ours;
    ASSERT_EQ(::sched_getaffinity(0, sizeof ours, &ours), 0);
    StrategyOptions options = workers(2);
    options.bind = bind;
    const NotingPool pool(GetParam(), workload, options);
    const Outcome outcome = run(pool.executor(), 8);
    expect_each_once(outcome, 8);
    const int expected = bind == Bind::none ? std::min(CPU_COUNT(&ours), 255) : 1;
    for (const auto& [task, returned] : outcome.returned) {
      ASSERT_EQ(returned.size(), 1U);
      EXPECT_EQ(static_cast<unsigned char>(returned[0]), expected) << task;
    }
    EXPECT_TRUE(pool.notes.empty()) << pool.all_notes();
  }
}

TEST_P(ProcessPools, RefuseWhatTheyCannotHonour) {
  StrategyOptions guided = workers(2), cold = workers(2), negative = workers(2);
  guided.schedule = Schedule::guided;
  cold.pool = Pool::cold;
  negative.task_timeout = std::chrono::milliseconds(-1);
  const Strategy& strategy = select_strategy(GetParam());
  EXPECT_THAT(strategy.refuse(guided), HasSubstr("hands chunks out"));
  EXPECT_THAT(strategy.refuse(negative), HasSubstr("task_timeout is -1 ms"));
  if (std::string_view(GetParam()) == "process_per_task") {
    EXPECT_THAT(strategy.refuse(cold), HasSubstr("pool"));
  } else {
    EXPECT_EQ(strategy.refuse(cold), "");
  }
}

std::string name_of(const ::testing::TestParamInfo<const char*>& instance) { return instance.param; }
INSTANTIATE_TEST_SUITE_P(Strategies, ProcessPools, ::testing::Values("process_per_task", "fork_pool", "fork_pool_shm"),
                         name_of);
INSTANTIATE_TEST_SUITE_P(Strategies, PoolsThatLast, ::testing::Values("fork_pool", "fork_pool_shm"), name_of);

}  // namespace
}  // namespace noisefloor
