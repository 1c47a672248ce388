// Tasks that kill, stop or overload their workers, and what must come back all the same.
// SPDX-License-Identifier: MIT
#pragma once

#include <gtest/gtest.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "harness/base/shared_mapping.hpp"
#include "harness/strategies/deliver.hpp"
#include "harness/strategies/strategy.hpp"

namespace noisefloor::testing_faults {

/// Tasks that do what a function says, and remember in shared memory how often each was begun, and by which process.
class Faulty final : public Workload {
 public:
  /// Called in the worker with the number of times that the task had been begun before.
  using OnTask = std::function<void(std::uint32_t task, int before, std::vector<std::byte>& returned)>;

  Faulty(std::uint32_t tasks, OnTask on_task)
      : tasks_(tasks),
        memory_(std::max<std::size_t>(1, tasks) * sizeof(Record)),
        records_(memory_.as<Record>().first(tasks)),
        on_task_(std::move(on_task)) {}

  [[nodiscard]] std::uint32_t task_count() const override { return tasks_; }
  void run(TaskRange range, std::span<TaskResult> results, std::vector<std::byte>& returned) const override {
    each(range, results, returned, [this](std::uint32_t task, std::vector<std::byte>& bytes) {
      records_[task].process = ::getpid();
      const int before = records_[task].begun.fetch_add(1);
      if (on_task_) on_task_(task, before, bytes);
    });
  }
  [[nodiscard]] std::uint64_t digest(TaskRange) const override { return 0; }

  [[nodiscard]] int begun(std::uint32_t task) const { return records_[task].begun; }
  /// The process that began it last.
  [[nodiscard]] pid_t process(std::uint32_t task) const { return records_[task].process; }

 private:
  struct Record {
    std::atomic<int> begun;
    std::atomic<pid_t> process;
  };

  std::uint32_t tasks_;
  SharedMapping memory_;
  std::span<Record> records_;
  OnTask on_task_;
};

/// What came back of one run.
struct Outcome {
  std::map<std::uint32_t, TaskResult> results;
  std::map<std::uint32_t, std::string> returned;
  std::uint64_t delivered = 0;

  [[nodiscard]] std::vector<std::uint32_t> failed() const {
    std::vector<std::uint32_t> tasks;
    for (const auto& [task, result] : results) {
      if (result.status != 0) tasks.push_back(task);
    }
    return tasks;
  }
};

inline Outcome run(Executor& executor, std::uint32_t tasks, Delivery delivery = Delivery::unordered) {
  Outcome outcome;
  const DeliveryCount count = deliver(executor, tasks, delivery, [&](auto results, auto returned) {
    for (const TaskResult& result : results) {
      outcome.results[result.task] = result;
      const auto part = returned.first(result.bytes);
      outcome.returned[result.task].assign(reinterpret_cast<const char*>(part.data()), part.size());
      returned = returned.subspan(result.bytes);
    }
  });
  outcome.delivered = count.results;
  return outcome;
}

/// Every task has one result.
inline void expect_each_once(const Outcome& outcome, std::uint32_t tasks) {
  EXPECT_EQ(outcome.delivered, tasks) << "as many results as tasks: none twice";
  EXPECT_EQ(outcome.results.size(), tasks);
}

/// An executor with what it noted.
class NotingPool {
 public:
  NotingPool(const char* strategy, const Workload& workload, StrategyOptions options) {
    options.on_note = [this](std::string_view note) { notes.emplace_back(note); };
    executor_ = make_executor(select_strategy(strategy), workload, options);
  }
  [[nodiscard]] Executor& executor() const { return *executor_; }
  [[nodiscard]] std::string all_notes() const {
    std::string all;
    for (const std::string& note : notes) all += note + "\n";
    return all;
  }

  std::vector<std::string> notes;

 private:
  std::unique_ptr<Executor> executor_;
};

/// Runs f in a forked process, with what it limits or loses; fails as f does. Ended after ten minutes.
inline void in_a_process(const std::function<void()>& f) {
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    ::alarm(600);
    try {
      f();
    } catch (const std::exception& error) {
      ADD_FAILURE() << error.what();
    }
    ::_exit(::testing::Test::HasFailure() ? 1 : 0);
  }
  int status = 0;
  pid_t got = -1;
  do {
    got = ::waitpid(child, &status, 0);
  } while (got < 0 && errno == EINTR);
  ASSERT_EQ(got, child);
  EXPECT_TRUE(WIFEXITED(status)) << "killed by signal " << WTERMSIG(status);
  EXPECT_EQ(WIFEXITED(status) ? WEXITSTATUS(status) : 0, 0) << "see above";
}

inline void append(std::vector<std::byte>& bytes, std::size_t count, std::uint32_t seed) {
  for (std::size_t i = 0; i < count; ++i) bytes.push_back(static_cast<std::byte>((seed + i * 31) & 255U));
}

inline bool holds(const std::string& returned, std::size_t count, std::uint32_t seed) {
  std::vector<std::byte> expected;
  append(expected, count, seed);
  return returned.size() == count && std::equal(expected.begin(), expected.end(), returned.begin(),
                                                [](auto a, char b) { return a == static_cast<std::byte>(b); });
}

inline StrategyOptions workers(int count, std::uint32_t chunk_size = 1) {
  StrategyOptions options;
  options.workers = count;
  options.chunk_size = chunk_size;
  return options;
}

// --- The faults, each of which leaves the run complete ---

/// One task's first worker dies of `number` in the middle of it.
inline void survive_signal(const char* strategy, int number, std::uint32_t chunk_size) {
  constexpr std::uint32_t kTasks = 30, kVictim = 5;
  const Faulty workload(kTasks, [number](std::uint32_t task, int before, auto& returned) {
    append(returned, 10, task);
    if (task == kVictim && before == 0) ::raise(number);
  });
  const NotingPool pool(strategy, workload, workers(2, chunk_size));
  const Outcome outcome = run(pool.executor(), kTasks);
  expect_each_once(outcome, kTasks);
  EXPECT_EQ(outcome.failed(), std::vector<std::uint32_t>{});
  for (const auto& [task, returned] : outcome.returned) EXPECT_TRUE(holds(returned, 10, task)) << task;
  EXPECT_EQ(workload.begun(kVictim), 2);
  ASSERT_EQ(pool.notes.size(), 1U) << pool.all_notes();
  EXPECT_NE(pool.notes[0].find("was killed by signal " + std::to_string(number)), std::string::npos) << pool.notes[0];
  EXPECT_NE(pool.notes[0].find("running task"), std::string::npos) << pool.notes[0];
}

/// Until a worker that stands still is replaced. Long enough for one that only waits for a CPU on a busy machine.
constexpr std::chrono::seconds kStandstill{3};

/// One task's first worker is stopped in the middle of it.
inline void survive_stop(const char* strategy) {
  constexpr std::uint32_t kTasks = 12, kVictim = 3;
  const Faulty workload(kTasks, [](std::uint32_t task, int before, auto&) {
    if (task == kVictim && before == 0) ::raise(SIGSTOP);
  });
  StrategyOptions options = workers(2);
  options.task_timeout = kStandstill;
  const NotingPool pool(strategy, workload, options);
  const Outcome outcome = run(pool.executor(), kTasks);
  expect_each_once(outcome, kTasks);
  EXPECT_EQ(outcome.failed(), std::vector<std::uint32_t>{});
  EXPECT_EQ(workload.begun(kVictim), 2);
  // On a busy machine another worker may have been too slow as well.
  ASSERT_GE(pool.notes.size(), 1U);
  EXPECT_NE(pool.all_notes().find("made no progress for 3 s, and was killed running task 3"), std::string::npos)
      << pool.all_notes();
}

/// A task kills every worker that runs it.
inline void survive_poison(const char* strategy, std::uint32_t chunk_size) {
  constexpr std::uint32_t kTasks = 20, kPoison = 7;
  const Faulty workload(kTasks, [](std::uint32_t task, int, auto&) {
    if (task == kPoison) ::raise(SIGSEGV);
  });
  const NotingPool pool(strategy, workload, workers(2, chunk_size));
  const Outcome outcome = run(pool.executor(), kTasks);
  expect_each_once(outcome, kTasks);
  EXPECT_EQ(outcome.failed(), std::vector<std::uint32_t>{kPoison});
  EXPECT_EQ(workload.begun(kPoison), 3);
  EXPECT_NE(outcome.returned.at(kPoison).find("task 7 is given up: 3 workers died running it; the last one was killed "
                                              "by signal 11"),
            std::string::npos)
      << outcome.returned.at(kPoison);
  EXPECT_EQ(pool.notes.size(), 3U) << pool.all_notes();
}

}  // namespace noisefloor::testing_faults
