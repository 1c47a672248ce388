// With ship = samples the parent reads and writes, and the outputs are those of workers that do all of it.
// SPDX-License-Identifier: MIT
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <numeric>
#include <ostream>
#include <stdexcept>
#include <string>
#include <vector>

#include "faults.hpp"
#include "harness/base/error.hpp"
#include "harness/workloads/table.hpp"
#include "temporary_folder.hpp"

namespace noisefloor {
namespace {

using ::testing::HasSubstr;
using testing_faults::expect_each_once;
using testing_faults::NotingPool;
using testing_faults::Outcome;
using testing_faults::run;

constexpr std::size_t kPieceBytes = 100'000;
constexpr int kPieces = 3;

/// Tasks of three pieces; task t returns the sum of its bytes, which transform has increased by one each.
class Staged final : public Workload, private Stages {
 public:
  using OnPiece = std::function<void(std::uint32_t task, int before)>;
  /// `on_piece` is called in the worker with how often the task's second piece was begun before.
  Staged(std::uint32_t tasks, OnPiece on_piece)
      : tasks_(tasks),
        memory_(tasks * sizeof(std::atomic<int>)),
        begun_(memory_.as<std::atomic<int>>()),
        on_piece_(std::move(on_piece)) {}

  [[nodiscard]] std::uint32_t task_count() const override { return tasks_; }
  void run(TaskRange, std::span<TaskResult>, std::vector<std::byte>&) const override { std::abort(); }
  [[nodiscard]] std::uint64_t digest(TaskRange) const override { return 0; }
  [[nodiscard]] const Stages* stages() const override { return this; }
  [[nodiscard]] int begun(std::uint32_t task) const { return begun_[task]; }
  static std::string expected(std::uint32_t task) { return std::to_string(kPieces * kPieceBytes * (task % 200 + 1)); }

  std::uint32_t bad_open = ~0U, bad_extract = ~0U, bad_load = ~0U, bad_finish = ~0U;

 private:
  class Task final : public StagedTask {
   public:
    Task(const Staged& workload, std::uint32_t task) : workload_(workload), task_(task) {
      if (task == workload.bad_open) throw std::runtime_error("cannot be opened");
    }
    std::size_t extract(std::span<std::byte> room, Piece& piece) override {
      if (task_ == workload_.bad_extract) throw std::runtime_error("cannot be read");
      if (pieces_ == kPieces) return 0;
      piece.set(pieces_++);
      std::fill_n(room.begin(), kPieceBytes, static_cast<std::byte>(task_ % 200));
      return kPieceBytes;
    }
    void transform(std::span<std::byte> data, Piece& piece) override { workload_.transform(task_, data, piece); }
    void load(std::span<const std::byte> data, const Piece& piece) override {
      if (task_ == workload_.bad_load) throw std::runtime_error("cannot be written");
      if (piece.get<int>() != pieces_ - 1 + 1000) throw std::runtime_error("what transform found was lost");
      for (const std::byte byte : data) sum_ += std::to_integer<std::uint64_t>(byte);
    }
    void finish(std::vector<std::byte>& returned) override {
      if (task_ == workload_.bad_finish) throw std::runtime_error("cannot be finished");
      for (const char c : std::to_string(sum_)) returned.push_back(static_cast<std::byte>(c));
    }

   private:
    const Staged& workload_;
    std::uint32_t task_;
    int pieces_ = 0;
    std::uint64_t sum_ = 0;
  };

  [[nodiscard]] std::size_t piece_bytes() const noexcept override { return kPieceBytes; }
  [[nodiscard]] std::unique_ptr<StagedTask> open(std::uint32_t task) const override {
    return std::make_unique<Task>(*this, task);
  }
  void transform(std::uint32_t task, std::span<std::byte> data, Piece& piece) const override {
    const int number = piece.get<int>();
    if (number == 1) {
      const int before = begun_[task].fetch_add(1);
      if (on_piece_) on_piece_(task, before);
    }
    for (std::byte& byte : data) byte = static_cast<std::byte>(std::to_integer<unsigned>(byte) + 1U);
    piece.set(number + 1000);
  }

  std::uint32_t tasks_;
  SharedMapping memory_;
  std::span<std::atomic<int>> begun_;
  OnPiece on_piece_;
};

struct Way {
  const char* label;
  Transport transport;
};
void PrintTo(const Way& way, std::ostream* out) { *out << way.label; }
constexpr Way kWays[] = {{"default", Transport::none},
                         {"pipe", Transport::pipe},
                         {"socket", Transport::socket},
                         {"shm", Transport::shm},
                         {"shm_in_place", Transport::shm_in_place}};

class ShippedSamples : public ::testing::TestWithParam<Way> {
 protected:
  static StrategyOptions options(int workers, std::uint32_t chunk_size = 1) {
    StrategyOptions result = testing_faults::workers(workers, chunk_size);
    result.ship = Ship::samples;
    result.transport = GetParam().transport;
    return result;
  }
};

TEST_P(ShippedSamples, GiveTheOutputsAndResultsOfShippedNames) {
  const TemporaryFolder cache;
  ::setenv("NOISEFLOOR_CACHE", cache.path().c_str(), 1);
  constexpr std::uint32_t kTasks = 5;
  for (const auto& [name, task_size] :
       {std::pair{"etl", 300'001}, {"copy", 150'000}, {"payload", 600'003}, {"wait", 1000}}) {
    SCOPED_TRACE(name);
    WorkloadOptions what{.tasks = kTasks, .task_size = static_cast<std::uint64_t>(task_size)};
    what.kernel = &select_kernel("auto");
    what.format = "int16";
    const auto workload = select_workload(name).make(what);
    workload->prepare(1);
    workload->begin(0);
    const Outcome expected = run(*make_executor(select_strategy("sequential"), *workload, {}), kTasks);
    const std::uint64_t digest = workload->digest({0, kTasks});
    for (const int workers : {1, 2, 7}) {
      for (const std::uint32_t chunk_size : {1U, 3U, 9U}) {
        workload->prepare(1);
        workload->begin(0);
        const NotingPool pool("fork_pool", *workload, options(workers, chunk_size));
        const Outcome outcome = run(pool.executor(), kTasks, Delivery::ordered);
        expect_each_once(outcome, kTasks);
        EXPECT_EQ(outcome.failed(), std::vector<std::uint32_t>{});
        EXPECT_EQ(outcome.returned, expected.returned);
        EXPECT_EQ(pool.executor().digest(), digest);
      }
    }
    workload->clean();
  }
}

TEST_P(ShippedSamples, RunAgainAndWithPoolsThatAreColdOrWarm) {
  for (const Pool pool_kind : {Pool::none, Pool::warm, Pool::cold}) {
    const Staged workload(30, {});
    StrategyOptions some = options(2, 4);
    some.pool = pool_kind;
    some.window = 3;
    const NotingPool pool("fork_pool", workload, some);
    for (int again = 0; again < 3; ++again) {
      const Outcome outcome = run(pool.executor(), 30, Delivery::ordered);
      expect_each_once(outcome, 30);
      for (const auto& [task, returned] : outcome.returned) EXPECT_EQ(returned, Staged::expected(task));
    }
    EXPECT_TRUE(pool.notes.empty()) << pool.all_notes();
  }
}

TEST_P(ShippedSamples, SurviveAKilledWorker) {
  for (const std::uint32_t chunk_size : {1U, 4U, 20U}) {
    const Staged workload(20, [](std::uint32_t task, int before) {
      if (task % 7 == 5 && before == 0) ::raise(SIGKILL);
    });
    const NotingPool pool("fork_pool", workload, options(2, chunk_size));
    const Outcome outcome = run(pool.executor(), 20);
    expect_each_once(outcome, 20);
    for (const auto& [task, returned] : outcome.returned) EXPECT_EQ(returned, Staged::expected(task)) << task;
    // Once more where task 5 was done and its worker died of task 12 before the parent had the answer.
    EXPECT_GE(workload.begun(5), 2);
    EXPECT_EQ(pool.notes.size(), 3U) << pool.all_notes();
    EXPECT_THAT(pool.all_notes(), HasSubstr("was killed by signal 9 (Killed) running task 5;"));
  }
}

TEST_P(ShippedSamples, ReplaceAStoppedWorker) {
  const Staged workload(6, [](std::uint32_t task, int before) {
    if (task == 3 && before == 0) ::raise(SIGSTOP);
  });
  StrategyOptions some = options(2);
  some.task_timeout = testing_faults::kStandstill;
  const NotingPool pool("fork_pool", workload, some);
  const Outcome outcome = run(pool.executor(), 6);
  expect_each_once(outcome, 6);
  EXPECT_EQ(outcome.failed(), std::vector<std::uint32_t>{});
  EXPECT_THAT(pool.all_notes(), HasSubstr("made no progress for 3 s, and was killed running task 3"));
}

TEST_P(ShippedSamples, GiveUpATaskThatKillsItsWorkersAndNameIt) {
  for (const std::uint32_t chunk_size : {1U, 5U}) {
    const Staged workload(10, [](std::uint32_t task, int) {
      if (task == 4) ::raise(SIGSEGV);
    });
    const NotingPool pool("fork_pool", workload, options(2, chunk_size));
    const Outcome outcome = run(pool.executor(), 10);
    expect_each_once(outcome, 10);
    EXPECT_EQ(outcome.failed(), std::vector<std::uint32_t>{4});
    EXPECT_THAT(outcome.returned.at(4), HasSubstr("task 4 is given up: 3 workers died running it"));
    EXPECT_EQ(workload.begun(4), 3);
  }
}

TEST_P(ShippedSamples, ReportWhicheverStageThrowsAndRunTheOthers) {
  for (const std::uint32_t chunk_size : {1U, 12U}) {
    Staged workload(12, [](std::uint32_t task, int) {
      if (task == 3) throw std::runtime_error("cannot be transformed");
    });
    workload.bad_open = 0;
    workload.bad_extract = 5;
    workload.bad_load = 7;
    workload.bad_finish = 11;
    const NotingPool pool("fork_pool", workload, options(2, chunk_size));
    const Outcome outcome = run(pool.executor(), 12);
    expect_each_once(outcome, 12);
    EXPECT_EQ(outcome.failed(), (std::vector<std::uint32_t>{0, 3, 5, 7, 11}));
    EXPECT_EQ(outcome.returned.at(0), "cannot be opened");
    EXPECT_EQ(outcome.returned.at(3), "cannot be transformed");
    EXPECT_EQ(outcome.returned.at(5), "cannot be read");
    EXPECT_EQ(outcome.returned.at(7), "cannot be written");
    EXPECT_EQ(outcome.returned.at(11), "cannot be finished");
    for (const std::uint32_t task : {1U, 2U, 4U, 6U, 10U}) {
      EXPECT_EQ(outcome.returned.at(task), Staged::expected(task));
    }
    EXPECT_TRUE(pool.notes.empty()) << pool.all_notes();
  }
}

TEST_P(ShippedSamples, CountWhatTheirWorkersUse) {
  const Staged workload(40, {});
  const NotingPool pool("fork_pool", workload, options(2));
  pool.executor().reset_worker_peaks();
  const Usage before = pool.executor().worker_usage().usage;
  run(pool.executor(), 40);
  const WorkerUsage after = pool.executor().worker_usage();
  const Usage used = after.usage - before;
  EXPECT_GT(used.user_cpu_ns + used.system_cpu_ns, 0U);
  EXPECT_GT(used.voluntary_switches + used.involuntary_switches + used.minor_faults, 0U);
}

INSTANTIATE_TEST_SUITE_P(Transports, ShippedSamples, ::testing::ValuesIn(kWays),
                         [](const auto& instance) { return std::string(instance.param.label); });

TEST(Ship, IsRefusedWhereItMeansNothing) {
  StrategyOptions transport;
  transport.transport = Transport::pipe;
  EXPECT_THAT(select_strategy("fork_pool").refuse(transport), HasSubstr("give ship samples"));
  StrategyOptions samples;
  samples.ship = Ship::samples;
  for (const char* name : {"sequential", "std_thread", "process_per_task", "fork_pool_shm"}) {
    EXPECT_THAT(select_strategy(name).refuse(samples), HasSubstr("ship")) << name;
  }
  const auto spin = select_workload("spin").make({.tasks = 2, .task_size = 10});
  try {
    make_executor(select_strategy("fork_pool"), *spin, samples);
    FAIL();
  } catch (const UsageError& error) {
    EXPECT_THAT(error.what(), HasSubstr("stages"));
  }
}

}  // namespace
}  // namespace noisefloor
