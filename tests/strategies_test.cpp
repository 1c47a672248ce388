// Every strategy runs every task exactly once, whatever the workers, chunks, schedule and delivery.
// SPDX-License-Identifier: MIT
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <barrier>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <limits>
#include <mutex>
#include <new>
#include <ostream>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "harness/base/error.hpp"
#include "harness/base/shared_mapping.hpp"
#include "harness/strategies/deliver.hpp"
#include "harness/strategies/fair_lock.hpp"
#include "harness/strategies/openmp.hpp"
#include "harness/strategies/strategy.hpp"
#include "harness/workloads/table.hpp"

namespace noisefloor {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr std::uint32_t kTasks = 47;
constexpr std::uint32_t kChunkSizes[] = {1, 3, kTasks + 5};
constexpr int kWorkers[] = {1, 2, 5};
constexpr Delivery kDeliveries[] = {Delivery::collected, Delivery::ordered, Delivery::unordered};

std::string message_of(std::uint32_t task) { return std::string(task % 4, static_cast<char>('a' + task % 26)); }

// A value that workers share with this process, whether they are threads or forked.
template <class T>
class Shared {
 public:
  explicit Shared(T value) : memory_(sizeof(std::atomic<T>)) { *this = value; }
  Shared& operator=(T value) {
    get() = value;
    return *this;
  }
  [[nodiscard]] std::atomic<T>& get() const { return memory_.template as<std::atomic<T>>()[0]; }
  operator T() const { return get(); }
  T fetch_add(T value) const { return get().fetch_add(value); }
  void raise_to(T value) const {
    T seen = get();
    while (seen < value && !get().compare_exchange_weak(seen, value)) {
    }
  }

 private:
  SharedMapping memory_;
};

// Tasks that are counted, return task % 4 bytes, and then do what `on_task` says: in stages, in transform.
class Probe : public Workload, private Stages {
 public:
  explicit Probe(std::uint32_t tasks, std::function<void(std::uint32_t)> on_task = {})
      : memory_(tasks * sizeof(std::atomic<int>)),
        runs(memory_.as<std::atomic<int>>()),
        out_of_memory_at(std::numeric_limits<std::uint32_t>::max()),
        on_task_(std::move(on_task)) {}

  [[nodiscard]] std::uint32_t task_count() const override { return static_cast<std::uint32_t>(runs.size()); }
  void run(TaskRange range, std::span<TaskResult> results, std::vector<std::byte>& returned) const override {
    for (std::uint32_t task = range.first; task < range.last; ++task) {
      if (task == out_of_memory_at) throw std::bad_alloc();
    }
    each(range, results, returned, [this](std::uint32_t task, std::vector<std::byte>& bytes) {
      runs[task].fetch_add(1);
      for (const char c : message_of(task)) bytes.push_back(static_cast<std::byte>(c));
      if (on_task_) on_task_(task);
    });
  }
  [[nodiscard]] const Stages* stages() const override { return this; }
  [[nodiscard]] std::uint64_t digest(TaskRange range) const override {
    std::uint64_t sum = 0;
    for (std::uint32_t task = range.first; task < range.last; ++task) sum += std::uint64_t{task} << runs[task].load();
    return sum;
  }
  [[nodiscard]] int total_runs() const {
    int total = 0;
    for (const auto& count : runs) total += count.load();
    return total;
  }

 private:
  SharedMapping memory_;

 public:
  std::span<std::atomic<int>> runs;
  Shared<std::uint32_t> out_of_memory_at;

 private:
  // Two pieces, each the task's number.
  class OpenTask final : public StagedTask {
   public:
    OpenTask(const Probe& probe, std::uint32_t task) : probe_(probe), task_(task) {}
    std::size_t extract(std::span<std::byte> room, Piece& piece) override {
      if (pieces_ == 2) return 0;
      piece.set(pieces_++);
      std::memcpy(room.data(), &task_, sizeof task_);
      return sizeof task_;
    }
    void transform(std::span<std::byte> data, Piece& piece) override { probe_.transform(task_, data, piece); }
    void load(std::span<const std::byte> data, const Piece& piece) override {
      EXPECT_EQ(piece.get<std::uint32_t>(), pieces_ - 1);
      EXPECT_EQ(std::memcmp(data.data(), &task_, data.size()), 0);
    }
    void finish(std::vector<std::byte>& returned) override {
      EXPECT_EQ(pieces_, 2U);
      for (const char c : message_of(task_)) returned.push_back(static_cast<std::byte>(c));
    }

   private:
    const Probe& probe_;
    std::uint32_t task_, pieces_ = 0;
  };

  [[nodiscard]] std::size_t piece_bytes() const noexcept override { return sizeof(std::uint32_t); }
  [[nodiscard]] std::unique_ptr<StagedTask> open(std::uint32_t task) const override {
    return std::make_unique<OpenTask>(*this, task);
  }
  void transform(std::uint32_t task, std::span<std::byte> /*data*/, Piece& piece) const override {
    if (piece.get<std::uint32_t>() != 0) return;
    runs[task].fetch_add(1);
    if (on_task_) on_task_(task);
  }

  std::function<void(std::uint32_t)> on_task_;
};

// What a consumer got, and whether it was ever called by two threads at a time.
struct Received {
  std::vector<TaskResult> results;
  std::vector<std::string> returned;  ///< one per result
  int calls = 0;
  std::atomic<int> inside{0};

  Consumer consumer() {
    return [this](std::span<const TaskResult> chunk, std::span<const std::byte> bytes) {
      EXPECT_EQ(inside.fetch_add(1), 0) << "two threads in the consumer";
      ++calls;
      std::size_t offset = 0;
      for (const TaskResult& result : chunk) {
        results.push_back(result);
        const auto part = bytes.subspan(offset, result.bytes);
        returned.emplace_back(reinterpret_cast<const char*>(part.data()), part.size());
        offset += result.bytes;
      }
      EXPECT_EQ(offset, bytes.size()) << "bytes that belong to no result";
      inside.fetch_sub(1);
    };
  }
  [[nodiscard]] std::vector<std::uint32_t> tasks() const {
    std::vector<std::uint32_t> numbers;
    for (const TaskResult& result : results) numbers.push_back(result.task);
    return numbers;
  }
};

// What came is tasks 0 … count-1, once each, with their own bytes; in task order where that is promised.
void expect_complete(const Received& received, std::uint32_t count, int workers, Delivery delivery) {
  ASSERT_EQ(received.results.size(), count);
  std::vector<std::uint32_t> tasks = received.tasks();
  if (delivery != Delivery::unordered) {
    EXPECT_TRUE(std::is_sorted(tasks.begin(), tasks.end()));
  }
  std::sort(tasks.begin(), tasks.end());
  for (std::uint32_t task = 0; task < count; ++task) ASSERT_EQ(tasks[task], task);
  for (std::size_t i = 0; i < received.results.size(); ++i) {
    EXPECT_EQ(received.returned[i], message_of(received.results[i].task));
    EXPECT_EQ(received.results[i].status, 0);
    EXPECT_LT(received.results[i].worker, workers);
  }
}

struct Way {
  const char* label;
  const char* strategy;
  Schedule schedule;
  bool bounds_window;
  int most_workers = 65535;    ///< that it takes
  bool is_serialised = false;  ///< of several workers one at a time runs a task's transform
};
void PrintTo(const Way& way, std::ostream* out) { *out << way.label; }
constexpr Way kWays[] = {
    {"sequential", "sequential", Schedule::none, true, 1},
    {"thread_per_task", "thread_per_task", Schedule::none, true},
    {"async", "async", Schedule::none, true},
    {"std_thread", "std_thread", Schedule::none, true},
    {"mutex_queue", "mutex_queue", Schedule::none, true},
    {"global_lock", "global_lock", Schedule::none, true, 65535, true},
    {"openmp", "openmp", Schedule::none, false},
    {"openmp_static", "openmp", Schedule::static_, false},
    {"openmp_dynamic", "openmp", Schedule::dynamic, true},
    {"openmp_guided", "openmp", Schedule::guided, false},
    {"openmp_auto", "openmp", Schedule::auto_, false},
    {"openmp_tasks", "openmp_tasks", Schedule::none, false},
    {"openmp_taskloop", "openmp_taskloop", Schedule::none, false},
    {"std_par", "std_par", Schedule::none, false},
    {"tbb", "tbb", Schedule::none, false},
    {"tbb_auto", "tbb", Schedule::auto_, false},
    {"tbb_static", "tbb", Schedule::static_, false},
    {"tbb_simple", "tbb", Schedule::simple, false},
    {"tbb_tasks", "tbb_tasks", Schedule::none, false},
    {"async_io", "async_io", Schedule::none, true, 1},
    {"process_per_task", "process_per_task", Schedule::none, true},
    {"fork_pool", "fork_pool", Schedule::none, true},
    {"fork_pool_shm", "fork_pool_shm", Schedule::none, true},
};

class Strategies : public ::testing::TestWithParam<Way> {
 protected:
  void SetUp() override {
    try {
      select_strategy(GetParam().strategy);
    } catch (const MissingError& error) {
      GTEST_SKIP() << error.what();
    }
  }
  static StrategyOptions options(int workers, std::uint32_t chunk_size) {
    StrategyOptions result;
    result.workers = workers;
    result.chunk_size = chunk_size;
    result.schedule = GetParam().schedule;
    return result;
  }
  static std::unique_ptr<Executor> make(const Workload& workload, const StrategyOptions& options) {
    return make_executor(select_strategy(GetParam().strategy), workload, options);
  }
  /// Calls f with all options that this strategy honours.
  static void for_all_options(const std::function<void(const StrategyOptions&)>& f) {
    for (const int workers : kWorkers) {
      for (const std::uint32_t chunk_size : kChunkSizes) {
        const StrategyOptions some = options(workers, chunk_size);
        if (!select_strategy(GetParam().strategy).refuse(some).empty()) {
          EXPECT_GT(workers, GetParam().most_workers);
          continue;
        }
        SCOPED_TRACE("workers " + std::to_string(workers) + ", chunk size " + std::to_string(chunk_size));
        f(some);
      }
    }
  }
};

TEST_P(Strategies, WriteWhatSequentialWrites) {
  const Strategy& strategy = select_strategy(GetParam().strategy);
  const WorkloadRow& row = select_workload(strategy.needs_stages ? "payload" : "spin");
  const WorkloadOptions size{.tasks = kTasks, .task_size = 100};
  const auto reference = row.make(size);
  make_executor(select_strategy("sequential"), *reference, {})->run([](auto, auto) {});
  const std::uint64_t expected = reference->digest({0, kTasks});
  for_all_options([&](const StrategyOptions& some) {
    for (const Delivery delivery : kDeliveries) {
      const auto workload = row.make(size);
      const auto executor = make(*workload, some);
      const DeliveryCount count = deliver(*executor, kTasks, delivery, [](auto, auto) {});
      EXPECT_EQ(count.results, kTasks);
      EXPECT_EQ(executor->digest(), expected);
    }
  });
}

TEST_P(Strategies, RunEveryTaskOnceAndDeliverEachResultWithItsBytes) {
  for_all_options([](const StrategyOptions& some) {
    for (const Delivery delivery : kDeliveries) {
      const Probe workload(kTasks);
      Received received;
      const DeliveryCount count = deliver(*make(workload, some), kTasks, delivery, received.consumer());
      for (const auto& runs : workload.runs) EXPECT_EQ(runs.load(), 1);
      expect_complete(received, kTasks, some.workers, delivery);
      EXPECT_EQ(count.results, kTasks);
      EXPECT_EQ(count.failed, 0U);
      EXPECT_LE(count.peak_held, kTasks);
      if (delivery == Delivery::collected) {
        EXPECT_EQ(received.calls, 1);
      }
    }
  });
}

TEST_P(Strategies, RunNoTasksAndOneTask) {
  for_all_options([](const StrategyOptions& some) {
    for (const Delivery delivery : kDeliveries) {
      for (const std::uint32_t tasks : {0U, 1U}) {
        const Probe workload(tasks);
        Received received;
        EXPECT_EQ(deliver(*make(workload, some), tasks, delivery, received.consumer()).results, tasks);
        expect_complete(received, tasks, some.workers, delivery);
      }
    }
  });
}

TEST_P(Strategies, RunAgainWithTheSameExecutor) {
  for_all_options([](const StrategyOptions& some) {
    const Probe workload(kTasks);
    const auto executor = make(workload, some);
    constexpr int kRuns = 6;  // back to back: threads that wake up late must not meet the next run half-way
    for (int run = 1; run <= kRuns; ++run) {
      Received received;
      deliver(*executor, kTasks, kDeliveries[run % 3], received.consumer());
      expect_complete(received, kTasks, some.workers, kDeliveries[run % 3]);
      for (const auto& runs : workload.runs) ASSERT_EQ(runs.load(), run);
    }
  });
}

TEST_P(Strategies, PutEveryWorkerToWork) {
  for (const int workers : kWorkers) {
    const StrategyOptions some = options(workers, 1);
    if (!select_strategy(GetParam().strategy).refuse(some).empty()) continue;
    if (GetParam().is_serialised) GTEST_SKIP() << "one worker at a time transforms";
    const Shared arrived(0);  // as many as there are workers, if all run tasks at the same time
    const Probe workload(static_cast<std::uint32_t>(workers), [&](std::uint32_t) {
      arrived.fetch_add(1);
      while (arrived < workers) std::this_thread::yield();
    });
    Received received;
    deliver(*make(workload, some), workload.task_count(), Delivery::unordered, received.consumer());
    std::set<int> seen;
    for (const TaskResult& result : received.results) seen.insert(result.worker);
    EXPECT_EQ(seen.size(), static_cast<std::size_t>(workers));
    EXPECT_EQ(*seen.rbegin(), workers - 1);
  }
}

TEST_P(Strategies, RunAtMostAsManyTasksAtATimeAsThereAreWorkers) {
  for (const int workers : kWorkers) {
    const StrategyOptions some = options(workers, 1);
    if (!select_strategy(GetParam().strategy).refuse(some).empty()) continue;
    const Shared inside(0), most(0);
    const Probe workload(kTasks, [&](std::uint32_t) {
      most.raise_to(inside.fetch_add(1) + 1);
      std::this_thread::sleep_for(std::chrono::microseconds(50));
      inside.fetch_add(-1);
    });
    make(workload, some)->run([](auto, auto) {});
    EXPECT_EQ(workload.total_runs(), static_cast<int>(kTasks));
    EXPECT_LE(most, workers);
  }
}

TEST_P(Strategies, ReportATaskThatThrowsAndRunTheOthers) {
  for_all_options([](const StrategyOptions& some) {
    for (const Delivery delivery : kDeliveries) {
      const Probe workload(kTasks, [](std::uint32_t task) {
        if (task == 7) throw std::runtime_error("seven is out");
        if (task == 46) throw 46;
      });
      Received received;
      const DeliveryCount count = deliver(*make(workload, some), kTasks, delivery, received.consumer());
      EXPECT_EQ(count.results, kTasks);
      EXPECT_EQ(count.failed, 2U);
      for (std::size_t i = 0; i < received.results.size(); ++i) {
        const std::uint32_t task = received.results[i].task;
        EXPECT_EQ(received.results[i].status, task == 7 || task == 46 ? kTaskFailed : 0) << task;
        EXPECT_EQ(received.returned[i], task == 7    ? "seven is out"
                                        : task == 46 ? "unknown exception"
                                                     : message_of(task));
      }
    }
  });
}

TEST_P(Strategies, PassOnWhatEndsTheRunAndCanRunAgain) {
  if (select_strategy(GetParam().strategy).needs_stages) GTEST_SKIP() << "Workload::run() is not called";
  for_all_options([](const StrategyOptions& some) {
    for (const Delivery delivery : kDeliveries) {
      Probe workload(kTasks);
      workload.out_of_memory_at = 20;
      const auto executor = make(workload, some);
      EXPECT_THROW(deliver(*executor, kTasks, delivery, [](auto, auto) {}), std::bad_alloc);
      EXPECT_EQ(workload.runs[20].load(), 0);

      workload.out_of_memory_at = kTasks;
      Received received;
      deliver(*executor, kTasks, delivery, received.consumer());
      expect_complete(received, kTasks, some.workers, delivery);
    }
  });
}

TEST_P(Strategies, PassOnAnExceptionOfTheConsumer) {
  for_all_options([](const StrategyOptions& some) {
    for (const Delivery delivery : kDeliveries) {
      const Probe workload(kTasks);
      const auto executor = make(workload, some);
      EXPECT_THROW(deliver(*executor, kTasks, delivery, [](auto, auto) { throw std::bad_alloc(); }), std::bad_alloc);
    }
  });
}

TEST_P(Strategies, TakeNothingOnceStopped) {
  std::atomic<bool> stop = true;
  for_all_options([&](StrategyOptions some) {
    some.stop = &stop;
    const Probe workload(kTasks);
    EXPECT_EQ(deliver(*make(workload, some), kTasks, Delivery::unordered, [](auto, auto) {}).results, 0U);
    EXPECT_EQ(workload.total_runs(), 0);
  });
}

TEST_P(Strategies, DeliverWhatRanBeforeAStop) {
  constexpr std::uint32_t kMany = 1000;
  for (const int workers : kWorkers) {
    for (const Delivery delivery : kDeliveries) {
      Shared stop(false);
      StrategyOptions some = options(workers, 1);
      some.stop = &stop.get();
      if (!select_strategy(GetParam().strategy).refuse(some).empty()) continue;
      const Shared started(0);  // whichever tasks come first
      const Probe workload(kMany, [&](std::uint32_t) {
        const int before = started.fetch_add(1);
        if (before == 5) stop = true;
        while (before > 5 && !stop) std::this_thread::yield();
      });
      Received received;
      deliver(*make(workload, some), kMany, delivery, received.consumer());
      // Each worker may be in a task, and have passed the check for another, when the flag is raised.
      EXPECT_LE(workload.total_runs(), 6 + 2 * workers);
      EXPECT_EQ(static_cast<int>(received.results.size()), workload.total_runs());
      const std::vector<std::uint32_t> tasks = received.tasks();
      for (const std::uint32_t task : tasks) EXPECT_EQ(workload.runs[task].load(), 1);
      EXPECT_EQ(std::set(tasks.begin(), tasks.end()).size(), tasks.size());
      if (delivery != Delivery::unordered) {
        EXPECT_TRUE(std::is_sorted(tasks.begin(), tasks.end()));
      }
    }
  }
}

TEST_P(Strategies, TakeNoChunkBeyondTheWindow) {
  for (const int workers : kWorkers) {
    for (const std::uint32_t chunk_size : {1U, 3U}) {
      StrategyOptions some = options(workers, chunk_size);
      some.window = 4;
      const std::string refusal = select_strategy(GetParam().strategy).refuse(some);
      if (!GetParam().bounds_window) {
        EXPECT_THAT(refusal, HasSubstr("window"));
      }
      if (!refusal.empty()) continue;
      constexpr std::uint32_t kMany = 100;
      const std::uint32_t reach = (some.window + 1) * chunk_size;  // the oldest chunk and the window
      Shared first_done(false);
      const Shared<std::uint32_t> started(0), farthest(0);
      const Probe workload(kMany, [&](std::uint32_t task) {
        started.fetch_add(1);
        if (task == 0) {
          // Lets the others go as far as they can, and gives them time to go too far.
          while (workers > 1 && !GetParam().is_serialised && started < reach - chunk_size + 1)
            std::this_thread::yield();
          std::this_thread::sleep_for(std::chrono::milliseconds(2));
          first_done = true;
        } else if (!first_done) {
          farthest.raise_to(task);
        }
      });
      Received received;
      const DeliveryCount count = deliver(*make(workload, some), kMany, Delivery::ordered, received.consumer());
      expect_complete(received, kMany, workers, Delivery::ordered);
      EXPECT_LT(farthest, reach);
      EXPECT_LE(count.peak_held, some.window * chunk_size);
    }
  }
}

TEST_P(Strategies, EndAWindowedRunThatCannotGoOn) {
  if (select_strategy(GetParam().strategy).needs_stages) GTEST_SKIP() << "Workload::run() is not called";
  for (const int workers : kWorkers) {
    StrategyOptions some = options(workers, 1);
    some.window = 1;
    if (!select_strategy(GetParam().strategy).refuse(some).empty()) continue;
    Probe workload(kTasks);
    workload.out_of_memory_at = 3;
    const auto executor = make(workload, some);
    EXPECT_THROW(executor->run([](auto, auto) {}), std::bad_alloc);
    workload.out_of_memory_at = kTasks;
    Received received;
    deliver(*executor, kTasks, Delivery::ordered, received.consumer());
    expect_complete(received, kTasks, workers, Delivery::ordered);
  }
}

TEST_P(Strategies, RefuseWorkersAndChunksThatMeanNothing) {
  const Probe workload(kTasks);
  for (const int workers : {0, -1, 65536}) {
    try {
      make(workload, options(workers, 1));
      FAIL() << workers;
    } catch (const UsageError& error) {
      EXPECT_THAT(error.what(), HasSubstr("workers is " + std::to_string(workers)));
    }
  }
  try {
    make(workload, options(1, 0));
    FAIL();
  } catch (const UsageError& error) {
    EXPECT_THAT(error.what(), HasSubstr("chunk_size is 0"));
  }
}

INSTANTIATE_TEST_SUITE_P(Ways, Strategies, ::testing::ValuesIn(kWays),
                         [](const auto& instance) { return std::string(instance.param.label); });

TEST(StrategyTable, NamesAreFoundAndTheNearestIsSuggested) {
  EXPECT_EQ(strategies().front().name, "sequential");
  for (const Strategy& strategy : strategies()) {
    EXPECT_FALSE(strategy.help.empty());
    if (strategy.unavailable.empty()) {
      EXPECT_EQ(&select_strategy(strategy.name), &strategy);
    }
  }
  try {
    select_strategy("opnmp");
    FAIL();
  } catch (const UsageError& error) {
    EXPECT_THAT(error.what(), HasSubstr("unknown strategy 'opnmp': did you mean 'openmp'?"));
  }
}

TEST(StrategyTable, WhatAStrategyCannotHonourIsRefused) {
  StrategyOptions two;
  two.workers = 2;
  EXPECT_THAT(select_strategy("sequential").refuse(two), HasSubstr("one worker, not 2"));
  EXPECT_EQ(select_strategy("std_thread").refuse(two), "");
  StrategyOptions guided;
  guided.schedule = Schedule::guided;
  EXPECT_THAT(select_strategy("sequential").refuse(guided), HasSubstr("schedule"));
  EXPECT_THAT(select_strategy("std_thread").refuse(guided), HasSubstr("schedule dynamic or none"));
  EXPECT_EQ(select_strategy("openmp").refuse(guided), "");
  StrategyOptions dynamic;
  dynamic.schedule = Schedule::dynamic;
  EXPECT_EQ(select_strategy("std_thread").refuse(dynamic), "");
}

TEST(StrategyTable, WhatHandsChunksOutAsItLikesTakesNoScheduleAndBoundsNoWindow) {
  StrategyOptions guided, window;
  guided.schedule = Schedule::guided;
  window.window = 4;
  for (const char* name : {"openmp_tasks", "openmp_taskloop", "std_par", "tbb", "tbb_tasks"}) {
    const auto row =
        std::find_if(strategies().begin(), strategies().end(), [&](const auto& s) { return s.name == name; });
    ASSERT_NE(row, strategies().end()) << name;
    if (!row->unavailable.empty()) continue;
    EXPECT_THAT(row->refuse(guided),
                HasSubstr(name == std::string("tbb") ? "tbb has the partitioners auto, simple and static"
                                                     : std::string(name) + " has no schedule"));
    EXPECT_THAT(row->refuse(window), HasSubstr("cannot bound a window of 4"));
  }
  for (const char* name : {"thread_per_task", "async", "mutex_queue"}) {
    EXPECT_THAT(select_strategy(name).refuse(guided), HasSubstr(std::string(name) + " hands chunks out"));
    EXPECT_EQ(select_strategy(name).refuse(window), "");
  }
}

TEST(StrategyTable, APartitionerIsForOneTbbAlone) {
  StrategyOptions simple;
  simple.schedule = Schedule::simple;
  EXPECT_THAT(select_strategy("openmp").refuse(simple), HasSubstr("simple"));
  EXPECT_THAT(select_strategy("std_thread").refuse(simple), HasSubstr("schedule dynamic or none"));
}

// Three tasks without stages.
class Whole final : public Workload {
 public:
  [[nodiscard]] std::uint32_t task_count() const override { return 3; }
  void run(TaskRange range, std::span<TaskResult> results, std::vector<std::byte>& returned) const override {
    each(range, results, returned, [](auto, auto&) {});
  }
  [[nodiscard]] std::uint64_t digest(TaskRange) const override { return 0; }
};

TEST(StrategyTable, WhatTakesTasksApartRefusesAWorkloadWithoutStages) {
  const Probe staged(kTasks);
  const Whole whole;
  int needing = 0;
  for (const Strategy& strategy : strategies()) {
    if (!strategy.unavailable.empty()) continue;
    if (strategy.make == nullptr) {
      EXPECT_THAT(refuse(strategy, staged, {}), HasSubstr("a program of its own")) << strategy.name;
      continue;
    }
    EXPECT_EQ(refuse(strategy, staged, {}), "") << strategy.name;
    if (!strategy.needs_stages) {
      EXPECT_EQ(refuse(strategy, whole, {}), "") << strategy.name;
      continue;
    }
    ++needing;
    EXPECT_THAT(refuse(strategy, whole, {}),
                HasSubstr(std::string(strategy.name) + " runs extract, transform and load apart"));
    EXPECT_THROW(make_executor(strategy, whole, {}), UsageError);
  }
  EXPECT_GT(needing, 0);
}

TEST(StrategyTable, WhatIsNotInThisBuildIsListedAndRefusedByNameWithTheReason) {
  for (const Strategy& strategy : strategies()) {
    if (strategy.unavailable.empty()) continue;
    try {
      select_strategy(strategy.name);
      FAIL() << strategy.name;
    } catch (const MissingError& error) {
      EXPECT_THAT(error.what(), HasSubstr(std::string(strategy.name) + " cannot run here: "));
      EXPECT_THAT(error.what(), HasSubstr(std::string(strategy.unavailable)));
    }
  }
}

TEST(ThreadsWithoutAPool, GiveEachChunkAThreadOfItsOwn) {
  for (const char* name : {"thread_per_task", "async"}) {
    for (const std::uint32_t chunk_size : {1U, 3U}) {
      std::atomic<std::uint32_t> first_tasks = 0;
      const Probe workload(kTasks, [&](std::uint32_t task) {
        static thread_local std::uint32_t tasks_of_this_thread = 0;
        if (tasks_of_this_thread++ == 0) {
          first_tasks.fetch_add(1);
          EXPECT_EQ(task % chunk_size, 0U);
        }
      });
      StrategyOptions some;
      some.workers = 2;
      some.chunk_size = chunk_size;
      make_executor(select_strategy(name), workload, some)->run([](auto, auto) {});
      EXPECT_EQ(first_tasks, (kTasks + chunk_size - 1) / chunk_size) << name;
    }
  }
}

// While one of these lives no thread can be started: its stack would be larger than any address space.
class NoMoreThreads {
 public:
  NoMoreThreads() {
    ::pthread_getattr_default_np(&before_);
    pthread_attr_t huge;
    ::pthread_attr_init(&huge);
    ::pthread_attr_setstacksize(&huge, std::size_t{1} << 48);
    EXPECT_EQ(::pthread_setattr_default_np(&huge), 0);
    ::pthread_attr_destroy(&huge);
  }
  NoMoreThreads(const NoMoreThreads&) = delete;
  NoMoreThreads& operator=(const NoMoreThreads&) = delete;
  ~NoMoreThreads() {
    ::pthread_setattr_default_np(&before_);
    ::pthread_attr_destroy(&before_);
  }

 private:
  pthread_attr_t before_{};
};

TEST(ThreadsThatCannotBeStarted, EndTheRunOfThoseWithoutAPoolWhichCanRunAgain) {
  for (const char* name : {"thread_per_task", "async"}) {
    for (const std::uint32_t window : {0U, 2U}) {
      const Probe workload(kTasks);
      StrategyOptions some;
      some.workers = 2;
      some.window = window;
      const auto executor = make_executor(select_strategy(name), workload, some);
      try {
        const NoMoreThreads none;
        executor->run([](auto, auto) {});
        FAIL() << name;
      } catch (const Error& error) {
        EXPECT_THAT(error.what(), HasSubstr(std::string(name) + ": no thread can be started"));
        EXPECT_THAT(error.what(), HasSubstr("give fewer workers"));
      }
      EXPECT_EQ(workload.total_runs(), 0);
      Received received;
      deliver(*executor, kTasks, Delivery::ordered, received.consumer());
      expect_complete(received, kTasks, some.workers, Delivery::ordered);
    }
  }
}

TEST(ThreadsThatCannotBeStarted, AreAnErrorOfMakingAPool) {
  const Probe workload(kTasks);
  StrategyOptions some;
  some.workers = 3;
  for (const char* name : {"std_thread", "mutex_queue"}) {
    try {
      const NoMoreThreads none;
      make_executor(select_strategy(name), workload, some);
      FAIL() << name;
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), HasSubstr(std::string(name) + ": thread 1 of "));
    }
  }
}

TEST(OpenMp, IsAnErrorWhereFewerThreadsAreGranted) {
  const Probe workload(kTasks);
  StrategyOptions two;
  two.workers = 2;
  for (const char* name : {"openmp", "openmp_tasks", "openmp_taskloop"}) {
    std::string making, running;
    const auto executor = make_executor(select_strategy(name), workload, two);
    // Inside a parallel region OpenMP grants one thread.
#pragma omp parallel num_threads(2)
    {
#pragma omp single
      {
        try {
          make_executor(select_strategy(name), workload, two);
        } catch (const Error& error) {
          making = error.what();
        }
        try {
          executor->run([](auto, auto) {});
        } catch (const Error& error) {
          running = error.what();
        }
      }
    }
    EXPECT_THAT(making, HasSubstr(std::string(name) + ": 1 threads were granted for 2 workers"));
    EXPECT_EQ(running, making);
    EXPECT_EQ(workload.total_runs(), 0);
  }
}

TEST(OpenMp, TheRuntimeThatAnswersIsTheOneLinked) {
  if (std::getenv("LD_PRELOAD") != nullptr) GTEST_SKIP() << "another runtime may be preloaded";
#ifdef __clang__
  EXPECT_EQ(openmp_runtime(), "libomp");
#else
  EXPECT_EQ(openmp_runtime(), "libgomp");
#endif
}

TEST(OpenMp, AnotherRuntimeOrWaitPolicyThanAskedForIsRefused) {
  for (const char* name : {"openmp", "openmp_tasks", "openmp_taskloop"}) {
    const Strategy& strategy = select_strategy(name);
    StrategyOptions runtime;
    runtime.runtime = openmp_runtime();
    EXPECT_EQ(strategy.refuse(runtime), "");
    runtime.runtime = openmp_runtime() == "libomp" ? "libgomp" : "libomp";
    EXPECT_THAT(strategy.refuse(runtime), HasSubstr(std::string(name) + " runs on " + std::string(openmp_runtime())));

    const char* const set = std::getenv("OMP_WAIT_POLICY");
    const std::string before = set == nullptr ? "" : set;
    StrategyOptions passive;
    passive.wait_policy = "passive";
    ::setenv("OMP_WAIT_POLICY", "PASSIVE", 1);
    EXPECT_EQ(strategy.refuse(passive), "");
    ::setenv("OMP_WAIT_POLICY", "active", 1);
    EXPECT_THAT(strategy.refuse(passive), HasSubstr("OMP_WAIT_POLICY is active in this process, not passive"));
    ::unsetenv("OMP_WAIT_POLICY");
    EXPECT_THAT(strategy.refuse(passive), HasSubstr("OMP_WAIT_POLICY is not set"));
    if (set != nullptr) ::setenv("OMP_WAIT_POLICY", before.c_str(), 1);
  }
}

TEST(GlobalLock, LetsOneWorkerAtATimeTransform) {
  StrategyOptions four;
  four.workers = 4;
  std::atomic<int> inside = 0, most = 0;
  const Probe workload(kTasks, [&](std::uint32_t) {
    most = std::max(most.load(), inside.fetch_add(1) + 1);
    std::this_thread::sleep_for(std::chrono::microseconds(100));
    inside.fetch_sub(1);
  });
  Received received;
  deliver(*make_executor(select_strategy("global_lock"), workload, four), kTasks, Delivery::unordered,
          received.consumer());
  expect_complete(received, kTasks, 4, Delivery::unordered);
  EXPECT_EQ(most, 1);
}

// Workers that meet in extract, which only threads without the lock can.
class Meeting final : public Workload, private Stages {
 public:
  explicit Meeting(int workers) : everyone_(workers), tasks_(static_cast<std::uint32_t>(workers)) {}
  [[nodiscard]] std::uint32_t task_count() const override { return tasks_; }
  void run(TaskRange, std::span<TaskResult>, std::vector<std::byte>&) const override { FAIL() << "not in stages"; }
  [[nodiscard]] std::uint64_t digest(TaskRange) const override { return 0; }
  [[nodiscard]] const Stages* stages() const override { return this; }

 private:
  class OpenTask final : public StagedTask {
   public:
    explicit OpenTask(std::barrier<>& everyone) : everyone_(everyone) {}
    std::size_t extract(std::span<std::byte>, Piece&) override {
      if (!std::exchange(first_, false)) return 0;
      everyone_.arrive_and_wait();
      return 1;
    }
    void transform(std::span<std::byte>, Piece&) override {}
    void load(std::span<const std::byte>, const Piece&) override { everyone_.arrive_and_wait(); }
    void finish(std::vector<std::byte>&) override {}

   private:
    std::barrier<>& everyone_;
    bool first_ = true;
  };
  [[nodiscard]] std::size_t piece_bytes() const noexcept override { return 1; }
  [[nodiscard]] std::unique_ptr<StagedTask> open(std::uint32_t) const override {
    return std::make_unique<OpenTask>(everyone_);
  }
  void transform(std::uint32_t, std::span<std::byte>, Piece&) const override {}

  mutable std::barrier<> everyone_;
  std::uint32_t tasks_;
};

TEST(GlobalLock, IsReleasedForInputAndOutput) {
  StrategyOptions four;
  four.workers = 4;
  const Meeting workload(four.workers);
  const auto executor = make_executor(select_strategy("global_lock"), workload, four);
  EXPECT_EQ(deliver(*executor, 4, Delivery::unordered, [](auto, auto) {}).failed, 0U);
}

TEST(FairLock, IsHeldInTheOrderInWhichItWasAskedFor) {
  constexpr int kThreads = 5;
  FairLock lock(kThreads + 1);
  for (int round = 0; round < 3; ++round) {
    std::vector<int> order;
    lock.lock();
    std::vector<std::jthread> threads;
    for (int i = 0; i < kThreads; ++i) {
      std::atomic<bool> asks = false;
      threads.emplace_back([&, i] {
        asks = true;
        asks.notify_one();
        const std::lock_guard hold(lock);
        order.push_back(i);
      });
      asks.wait(false);
      std::this_thread::sleep_for(std::chrono::milliseconds(5));  // until it sleeps at the lock
    }
    lock.unlock();
    threads.clear();
    EXPECT_THAT(order, ElementsAre(0, 1, 2, 3, 4));
  }
}

// Reports given chunks in a given order.
class Scripted final : public Executor {
 public:
  explicit Scripted(std::vector<TaskRange> chunks) : chunks_(std::move(chunks)) {}
  void run(const OnChunk& on_chunk) override {
    for (const TaskRange chunk : chunks_) {
      std::vector<TaskResult> results(chunk.size());
      std::vector<std::byte> returned;
      const Probe probe(chunk.last);
      probe.run(chunk, results, returned);
      on_chunk(results, returned);
    }
  }
  [[nodiscard]] std::uint64_t digest() const override { return 0; }

 private:
  std::vector<TaskRange> chunks_;
};

TEST(Deliver, OrderedHoldsBackWhatCameTooEarlyAndNoMore) {
  Scripted executor({{3, 5}, {0, 1}, {5, 7}, {1, 3}, {7, 8}});
  Received received;
  const DeliveryCount count = deliver(executor, 8, Delivery::ordered, received.consumer());
  expect_complete(received, 8, 1, Delivery::ordered);
  EXPECT_EQ(count.peak_held, 4U);
}

TEST(Deliver, OrderedTurnsAReversedBatchRound) {
  constexpr std::uint32_t kMany = 1000;  // far more than the buffer begins with
  std::vector<TaskRange> chunks;
  for (std::uint32_t task = kMany; task > 0; --task) chunks.push_back({task - 1, task});
  Scripted executor(chunks);
  Received received;
  const DeliveryCount count = deliver(executor, kMany, Delivery::ordered, received.consumer());
  expect_complete(received, kMany, 1, Delivery::ordered);
  EXPECT_EQ(count.peak_held, kMany - 1);
}

TEST(Deliver, OrderedReusesItsBufferRoundAndRound) {
  std::vector<TaskRange> chunks;
  for (std::uint32_t task = 0; task < 300; task += 3) {
    chunks.push_back({task + 1, task + 3});
    chunks.push_back({task, task + 1});
  }
  Scripted executor(chunks);
  Received received;
  EXPECT_EQ(deliver(executor, 300, Delivery::ordered, received.consumer()).peak_held, 2U);
  expect_complete(received, 300, 1, Delivery::ordered);
}

TEST(Deliver, WhatWasNotRunLeavesAGapAndNothingElse) {
  for (const Delivery delivery : kDeliveries) {
    Scripted executor({{6, 8}, {0, 2}, {4, 5}});
    Received received;
    const DeliveryCount count = deliver(executor, 100, delivery, received.consumer());
    EXPECT_EQ(count.results, 5U);
    if (delivery == Delivery::unordered) {
      EXPECT_THAT(received.tasks(), ElementsAre(6, 7, 0, 1, 4));
    } else {
      EXPECT_THAT(received.tasks(), ElementsAre(0, 1, 4, 6, 7));
    }
    for (std::size_t i = 0; i < received.results.size(); ++i) {
      EXPECT_EQ(received.returned[i], message_of(received.results[i].task));
    }
  }
}

TEST(Deliver, UnorderedHoldsNothingBack) {
  Scripted executor({{2, 4}, {0, 2}});
  Received received;
  const DeliveryCount count = deliver(executor, 4, Delivery::unordered, received.consumer());
  EXPECT_THAT(received.tasks(), ElementsAre(2, 3, 0, 1));
  EXPECT_EQ(received.calls, 2);
  EXPECT_EQ(count.peak_held, 0U);
}

TEST(Deliver, DeliveriesAreFoundByName) {
  for (const DeliveryRow& row : deliveries()) EXPECT_EQ(select_delivery(row.name), row.delivery);
  EXPECT_EQ(deliveries().size(), 3U);
  EXPECT_THROW(select_delivery("orderd"), UsageError);
}

}  // namespace
}  // namespace noisefloor
