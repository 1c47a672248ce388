// async_io keeps many tasks in flight in one thread, and writes what run() writes.
// SPDX-License-Identifier: MIT
#include "harness/strategies/async_io.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <memory>
#include <ostream>
#include <set>
#include <string>
#include <vector>

#include "harness/audio/signals.hpp"
#include "harness/base/error.hpp"
#include "harness/base/unique_fd.hpp"
#include "harness/strategies/deliver.hpp"
#include "harness/strategies/strategy.hpp"
#include "harness/workloads/etl.hpp"
#include "harness/workloads/table.hpp"
#include "temporary_folder.hpp"

namespace noisefloor {
namespace {

using ::testing::Each;
using ::testing::HasSubstr;

class AsyncIo : public ::testing::Test {
 protected:
  void SetUp() override {
    try {
      strategy = &select_strategy("async_io");
    } catch (const MissingError& error) {
      GTEST_SKIP() << error.what();
    }
    ::setenv("NOISEFLOOR_CACHE", (folder / "cache").c_str(), 1);
  }
  TemporaryFolder folder;
  const Strategy* strategy = nullptr;
};

TEST_F(AsyncIo, IsOneWorker) {
  StrategyOptions two;
  two.workers = 2;
  EXPECT_THAT(strategy->refuse(two), HasSubstr("async_io is one worker, not 2"));
}

TEST_F(AsyncIo, WritesWhatSequentialWrites) {
  struct Case {
    const char* workload;
    const char* format;
    const char* output_mode;
    std::uint64_t task_size;
  };
  constexpr std::uint32_t kTasks = 11;  // more than are in flight
  for (const Case& which : {Case{"etl", "int16", "new", 300'001}, Case{"etl", "float32", "new", 150'000},
                            Case{"etl", "int16", "replace", 200'000}, Case{"etl", "int16", "in_place", 200'000},
                            Case{"etl", "int16", "new", 10}, Case{"copy", "int16", "new", 300'001},
                            Case{"wait", "int16", "", 100'000}, Case{"payload", "int16", "", 300'000}}) {
    WorkloadOptions options{.tasks = kTasks, .task_size = which.task_size};
    options.kernel = &select_kernel("auto");
    options.format = which.format;
    if (*which.output_mode != '\0') options.output_mode = which.output_mode;
    std::uint64_t expected = 0;
    for (const char* name : {"sequential", "async_io"}) {
      for (const std::uint32_t chunk_size : {1U, 3U, 100U}) {
        if (expected != 0 && name == std::string("sequential")) continue;
        SCOPED_TRACE(std::string(which.workload) + " by " + name + ", chunk size " + std::to_string(chunk_size));
        const auto workload = select_workload(which.workload).make(options);
        StrategyOptions how;
        how.chunk_size = chunk_size;
        const auto executor = make_executor(select_strategy(name), *workload, how);
        workload->prepare(2);
        for (const std::uint32_t iteration : {0U, 1U}) {
          workload->begin(iteration);
          std::string message;
          const DeliveryCount count = deliver(*executor, kTasks, Delivery::collected, [&](auto results, auto returned) {
            if (!results.empty() && results.front().status != 0) {
              message.assign(reinterpret_cast<const char*>(returned.data()), results.front().bytes);
            }
          });
          EXPECT_EQ(count.failed, 0U) << message;
          if (expected == 0) expected = executor->digest();
          EXPECT_EQ(executor->digest(), expected);
        }
        workload->clean();
      }
    }
  }
}

// Each task reads a byte that comes only when all tasks wait for theirs.
class Waiting final : public Workload, private Stages {
 public:
  explicit Waiting(std::uint32_t tasks) : tasks_(tasks) {
    int ends[2];
    EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    from_.reset(ends[0]);
    to_.reset(ends[1]);
  }
  [[nodiscard]] std::uint32_t task_count() const override { return tasks_; }
  void run(TaskRange, std::span<TaskResult>, std::vector<std::byte>&) const override { FAIL() << "not in stages"; }
  [[nodiscard]] std::uint64_t digest(TaskRange) const override { return 0; }
  [[nodiscard]] const Stages* stages() const override { return this; }

 private:
  class OpenTask final : public StagedTask {
   public:
    explicit OpenTask(const Waiting& workload) : workload_(workload) {}
    std::size_t extract(std::span<std::byte>, Piece&) override { return 0; }
    std::size_t begin_extract(std::span<std::byte> room, Piece&, Wait& wait) override {
      if (!std::exchange(first_, false)) return 0;
      wait = {Wait::For::read, workload_.from_.get(), ~std::uint64_t{0}, room.first(1), 0};
      if (++workload_.waiting_ == workload_.tasks_) {
        const std::vector<char> bytes(workload_.tasks_, 'x');
        EXPECT_EQ(::write(workload_.to_.get(), bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
      }
      return 1;
    }
    void transform(std::span<std::byte> data, Piece&) override { EXPECT_EQ(data.front(), std::byte{'x'}); }
    void load(std::span<const std::byte>, const Piece&) override {}
    void finish(std::vector<std::byte>&) override {}

   private:
    const Waiting& workload_;
    bool first_ = true;
  };
  [[nodiscard]] std::size_t piece_bytes() const noexcept override { return 1; }
  [[nodiscard]] std::unique_ptr<StagedTask> open(std::uint32_t) const override {
    return std::make_unique<OpenTask>(*this);
  }
  void transform(std::uint32_t, std::span<std::byte>, Piece&) const override {}

  std::uint32_t tasks_;
  UniqueFd from_, to_;
  mutable std::uint32_t waiting_ = 0;
};

TEST_F(AsyncIo, KeepsManyTasksWaitingAtATime) {
  const Waiting workload(200);
  const auto executor = make_executor(*strategy, workload, {});
  const DeliveryCount count = deliver(*executor, 200, Delivery::unordered, [](auto, auto) {});
  EXPECT_EQ(count.results, 200U);
  EXPECT_EQ(count.failed, 0U);
}

// Files that can grow to 100,000 bytes at most, as long as this lives.
class SmallFiles {
 public:
  SmallFiles() {
    std::signal(SIGXFSZ, SIG_IGN);
    ::getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit small{100'000, before_.rlim_max};
    EXPECT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  }
  SmallFiles(const SmallFiles&) = delete;
  SmallFiles& operator=(const SmallFiles&) = delete;
  ~SmallFiles() { ::setrlimit(RLIMIT_FSIZE, &before_); }

 private:
  rlimit before_{};
};

TEST_F(AsyncIo, FailsTheTaskWhoseWritesFailAndLeavesNothingOfIt) {
  const std::string long_input = test_signals(1, 120'000, "int16").front();  // one piece, too long to be written
  const std::string short_input = test_signals(1, 1000, "int16").front();
  const std::string output = folder / "out";
  std::filesystem::create_directory(output);
  EtlOptions options;
  options.kernel = &select_kernel("auto");
  options.amplitude = 0.003;
  options.output_root = output;
  const EtlWorkload workload({{.input = long_input, .output = "long.wav", .stream = 1},
                              {.input = folder / "missing.wav", .output = "missing.wav", .stream = 2},
                              {.input = short_input, .output = "short.wav", .stream = 3}},
                             options);
  std::vector<std::string> messages(3);
  {
    const SmallFiles limit;
    const auto executor = make_executor(*strategy, workload, {});
    const DeliveryCount count = deliver(*executor, 3, Delivery::unordered, [&](auto results, auto returned) {
      if (results.front().status == 0) return;
      messages[results.front().task].assign(reinterpret_cast<const char*>(returned.data()), returned.size());
    });
    EXPECT_EQ(count.failed, 2U);
  }
  EXPECT_THAT(messages[0], HasSubstr("long.wav': File too large"));
  EXPECT_THAT(messages[1], HasSubstr("missing.wav': No such file"));
  EXPECT_EQ(messages[2], "");
  EXPECT_EQ(folder.entries("out"), 1U);
}

TEST_F(AsyncIo, ReachesARatioToTheLevelAsSequentialDoes) {
  const std::string input = test_signals(1, 300'001, "int16").front();
  const std::string output = folder / "out";
  std::filesystem::create_directory(output);
  EtlOptions options;
  options.kernel = &select_kernel("auto");
  options.snr = SnrRange{20, 30};
  options.output_root = output;
  options.output_mode = OutputMode::replace;
  const EtlWorkload workload({{.input = input, .output = "a.wav", .stream = 1}}, options);
  std::set<double> reached;
  std::set<std::uint64_t> digests;
  for (const char* name : {"sequential", "async_io"}) {
    const auto executor = make_executor(select_strategy(name), workload, {});
    const DeliveryCount count = deliver(*executor, 1, Delivery::unordered, [&](auto results, auto returned) {
      ASSERT_EQ(results.front().status, 0);
      reached.insert(etl_outcome(returned).snr_db_achieved);
    });
    EXPECT_EQ(count.failed, 0U);
    digests.insert(executor->digest());
  }
  EXPECT_EQ(reached.size(), 1U);
  EXPECT_EQ(digests.size(), 1U);
}

TEST_F(AsyncIo, CountsTheTimeOfEveryStage) {
  WorkloadOptions options{.tasks = 3, .task_size = 300'001};
  options.kernel = &select_kernel("auto");
  const auto workload = select_workload("etl").make(options);
  workload->prepare(1);
  workload->begin(0);
  deliver(*make_executor(*strategy, *workload, {}), 3, Delivery::unordered, [](auto, auto) {});
  const auto times = workload->stage_times();
  ASSERT_TRUE(times.has_value());
  EXPECT_GT(times->extract_ns, 0U);
  EXPECT_GT(times->transform_ns, 0U);
  EXPECT_GT(times->load_ns, 0U);
  workload->clean();
}

}  // namespace
}  // namespace noisefloor
