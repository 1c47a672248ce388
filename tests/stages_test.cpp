// Stages taken one by one write and return what run() does, also when transform runs in another process.
// SPDX-License-Identifier: MIT
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "harness/audio/signals.hpp"
#include "harness/base/error.hpp"
#include "harness/base/shared_mapping.hpp"
#include "harness/workloads/etl.hpp"
#include "harness/workloads/payload.hpp"
#include "harness/workloads/table.hpp"
#include "temporary_folder.hpp"

namespace noisefloor {
namespace {

using ::testing::HasSubstr;

constexpr std::uint32_t kTasks = 5;

struct Case {
  const char* label;
  const char* workload;
  const char* format;
  std::uint64_t task_size;
};
void PrintTo(const Case& which, std::ostream* out) { *out << which.label; }

// The long ones have several pieces, the last one shorter.
constexpr Case kCases[] = {
    {"etl_int16", "etl", "int16", 300'001},
    {"etl_float32", "etl", "float32", 150'000},
    {"etl_small", "etl", "int16", 10},
    {"copy", "copy", "int16", 300'001},
    {"payload", "payload", "int16", 600'003},
    {"payload_of_whole_pieces", "payload", "int16", 2 * kLargestPieceBytes},
    {"payload_of_one_byte", "payload", "int16", 1},
    {"wait", "wait", "int16", 1000},
};

// How a piece is transformed: in the task, through Stages, or there in a forked process.
enum class Where : std::uint8_t { task, stages, process };
constexpr Where kEverywhere[] = {Where::task, Where::stages, Where::process};

// In a process that knows the workload from before the fork, and the piece by its bytes.
void transform_elsewhere(const Stages& stages, std::uint32_t task, std::span<std::byte> data, Piece& piece) {
  const SharedMapping shared_data(data.size());
  const SharedMapping shared_piece(sizeof(Piece));
  const std::span<std::byte> there = shared_data.as<std::byte>().first(data.size());
  Piece& piece_there = shared_piece.as<Piece>()[0];
  std::copy(data.begin(), data.end(), there.begin());
  piece_there = piece;
  const pid_t child = ::fork();
  if (child == 0) {
    stages.transform(task, there, piece_there);
    ::_exit(0);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_EQ(status, 0);
  std::copy(there.begin(), there.end(), data.begin());
  piece = piece_there;
}

std::vector<std::byte> run_in_stages(const Workload& workload, std::uint32_t task, Where where) {
  const Stages& stages = *workload.stages();
  EXPECT_LE(stages.piece_bytes(), kLargestPieceBytes);
  std::vector<std::byte> room(stages.piece_bytes());
  const std::unique_ptr<StagedTask> open = stages.open(task);
  Piece piece;
  while (const std::size_t bytes = open->extract(room, piece)) {
    EXPECT_LE(bytes, room.size());
    const std::span data = std::span(room).first(bytes);
    if (where == Where::task) open->transform(data, piece);
    if (where == Where::stages) stages.transform(task, data, piece);
    if (where == Where::process) transform_elsewhere(stages, task, data, piece);
    open->load(data, piece);
  }
  std::vector<std::byte> returned;
  open->finish(returned);
  return returned;
}

std::vector<std::byte> run_whole(const Workload& workload, std::uint32_t task) {
  TaskResult result;
  std::vector<std::byte> returned;
  workload.run({task, task + 1}, {&result, 1}, returned);
  EXPECT_EQ(result.status, 0);
  return returned;
}

class StagesOf : public ::testing::TestWithParam<Case> {
 protected:
  StagesOf() { ::setenv("NOISEFLOOR_CACHE", cache_.path().c_str(), 1); }
  static std::unique_ptr<Workload> make() {
    WorkloadOptions options{.tasks = kTasks, .task_size = GetParam().task_size};
    options.kernel = &select_kernel("auto");
    options.format = GetParam().format;
    return select_workload(GetParam().workload).make(options);
  }

 private:
  TemporaryFolder cache_;
};

TEST_P(StagesOf, WriteAndReturnWhatRunDoesWhereverTransformRuns) {
  const auto workload = make();
  ASSERT_NE(workload->stages(), nullptr);
  workload->prepare(1);
  workload->begin(0);
  std::vector<std::vector<std::byte>> expected;
  for (std::uint32_t task = 0; task < kTasks; ++task) expected.push_back(run_whole(*workload, task));
  const std::uint64_t digest = workload->digest({0, kTasks});
  workload->clean();
  for (const Where where : kEverywhere) {
    workload->prepare(1);
    workload->begin(0);
    for (std::uint32_t task = 0; task < kTasks; ++task) {
      EXPECT_EQ(run_in_stages(*workload, task, where), expected[task]) << task;
    }
    EXPECT_EQ(workload->digest({0, kTasks}), digest);
    workload->clean();
  }
}

TEST_P(StagesOf, LeaveNothingOfATaskThatIsAbandoned) {
  const auto workload = make();
  workload->prepare(1);
  workload->begin(0);
  for (std::uint32_t task = 0; task < kTasks; ++task) {
    const std::unique_ptr<StagedTask> open = workload->stages()->open(task);
    std::vector<std::byte> room(workload->stages()->piece_bytes());
    Piece piece;
    const std::size_t bytes = open->extract(room, piece);
    EXPECT_GT(bytes, 0U);
    open->transform(std::span(room).first(bytes), piece);
    if (task % 2 == 0 && GetParam().workload != std::string("wait")) open->load(std::span(room).first(bytes), piece);
  }
  for (std::uint32_t task = 0; task < kTasks; ++task)
    EXPECT_THROW(static_cast<void>(workload->digest({task, task + 1})), Error);
  // The same tasks can be run now, although every name must be new.
  for (std::uint32_t task = 0; task < kTasks; ++task) run_whole(*workload, task);
  workload->clean();
}

INSTANTIATE_TEST_SUITE_P(Workloads, StagesOf, ::testing::ValuesIn(kCases),
                         [](const auto& instance) { return std::string(instance.param.label); });

TEST(Stages, AreToldOfByTheWorkloadsThatHaveThem) {
  const TemporaryFolder cache;
  ::setenv("NOISEFLOOR_CACHE", cache.path().c_str(), 1);
  for (const WorkloadRow& row : workloads()) {
    if (!row.needs.empty()) continue;  // it depends on what the user brings
    WorkloadOptions options{.tasks = 2, .task_size = 100};
    options.kernel = &select_kernel("auto");
    const bool expected =
        std::any_of(std::begin(kCases), std::end(kCases), [&](const Case& some) { return row.name == some.workload; });
    EXPECT_EQ(row.make(options)->stages() != nullptr, expected) << row.name;
  }
}

// Files of the ETL outside the measured form.
class EtlStages : public ::testing::Test {
 protected:
  EtlStages() {
    ::setenv("NOISEFLOOR_CACHE", (folder_.path() + "/cache").c_str(), 1);
    input_ = test_signals(1, 300'001, "int16").front();
    output_root_ = folder_.path() + "/out";
    std::filesystem::create_directory(output_root_);
  }
  [[nodiscard]] EtlOptions options() const {
    EtlOptions some;
    some.kernel = &select_kernel("auto");
    some.amplitude = 0.003;
    some.output_root = output_root_;
    return some;
  }
  [[nodiscard]] std::size_t files() const { return folder_.entries("out"); }

  TemporaryFolder folder_;
  std::string input_, output_root_;
};

TEST_F(EtlStages, ReachTheRatioThatRunReachesAlthoughTransformIsElsewhere) {
  EtlOptions some = options();
  some.snr = SnrRange{20, 30};
  const EtlWorkload workload({{.input = input_, .output = "a.wav", .stream = 1}}, some);
  const EtlOutcome expected = etl_outcome(run_whole(workload, 0));
  EXPECT_GT(expected.snr_db_achieved, 19);
  const std::uint64_t digest = workload.digest({0, 1});
  for (const Where where : kEverywhere) {
    std::filesystem::remove(output_root_ + "/a.wav");
    const EtlOutcome outcome = etl_outcome(run_in_stages(workload, 0, where));
    EXPECT_EQ(outcome.snr_db_achieved, expected.snr_db_achieved);
    EXPECT_EQ(outcome.clipped, expected.clipped);
    EXPECT_EQ(workload.digest({0, 1}), digest);
  }
}

TEST_F(EtlStages, CountSamplesThatSaturateElsewhere) {
  EtlOptions some = options();
  some.amplitude = 2;
  const EtlWorkload workload({{.input = input_, .output = "a.wav", .stream = 1}}, some);
  const EtlOutcome expected = etl_outcome(run_whole(workload, 0));
  EXPECT_GT(expected.clipped, 1000U);
  std::filesystem::remove(output_root_ + "/a.wav");
  EXPECT_EQ(etl_outcome(run_in_stages(workload, 0, Where::process)).clipped, expected.clipped);
}

TEST_F(EtlStages, HoldATemporaryFileUntilTheTaskIsAbandoned) {
  const EtlWorkload workload({{.input = input_, .output = "a.wav", .stream = 1}}, options());
  {
    const auto open = workload.stages()->open(0);
    EXPECT_EQ(files(), 1U);
  }
  EXPECT_EQ(files(), 0U);
}

TEST_F(EtlStages, RefuseToOpenWhatCannotBeReadOrWritten) {
  const EtlWorkload workload({{.input = folder_.path() + "/missing.wav", .output = "a.wav", .stream = 1},
                              {.input = input_, .output = "there.wav", .stream = 1}},
                             options());
  std::ofstream(output_root_ + "/there.wav") << "earlier";
  const auto message_of = [&](std::uint32_t task) -> std::string {
    try {
      static_cast<void>(workload.stages()->open(task));
    } catch (const Error& error) {
      return error.what();
    }
    return {};
  };
  EXPECT_THAT(message_of(0), HasSubstr("missing.wav"));
  EXPECT_THAT(message_of(1), HasSubstr("there.wav' exists"));
  EXPECT_EQ(files(), 1U);
}

TEST_F(EtlStages, TellWhatTheyWaitForWhereSamplesAreStoredAsTheyAre) {
  const std::vector<std::string> inputs = {input_, test_signals(1, 1000, "float32").front()};
  for (const std::string& input : inputs) {
    const EtlWorkload workload({{.input = input, .output = input == input_ ? "a.wav" : "b.wav", .stream = 1}},
                               options());
    std::vector<std::byte> room(workload.stages()->piece_bytes());
    const auto open = workload.stages()->open(0);
    Piece piece;
    Wait wait;
    while (const std::size_t bytes = open->begin_extract(room, piece, wait)) {
      const std::span data = std::span(room).first(bytes);
      ASSERT_EQ(wait.what, Wait::For::read);
      ASSERT_EQ(wait.data.data(), data.data());
      ASSERT_EQ(::pread(wait.fd, wait.data.data(), wait.data.size(), static_cast<off_t>(wait.offset)),
                static_cast<ssize_t>(bytes));
      open->end_wait(0);
      open->transform(data, piece);
      open->begin_load(data, piece, wait);
      ASSERT_EQ(wait.what, Wait::For::write);
      ASSERT_EQ(wait.data.size(), bytes);
      ASSERT_EQ(::pwrite(wait.fd, wait.data.data(), wait.data.size(), static_cast<off_t>(wait.offset)),
                static_cast<ssize_t>(bytes));
      open->end_wait(0);
    }
    std::vector<std::byte> returned;
    open->finish(returned);
    const std::uint64_t digest = workload.digest({0, 1});
    std::filesystem::remove_all(output_root_);
    std::filesystem::create_directory(output_root_);
    run_whole(workload, 0);
    EXPECT_EQ(workload.digest({0, 1}), digest);
    EXPECT_THROW(open->end_wait(ENOSPC), Error);
  }
}

TEST_F(EtlStages, TellTimesOfEveryStage) {
  EtlWorkload workload({{.input = input_, .output = "a.wav", .stream = 1}}, options());
  workload.prepare(1);
  run_in_stages(workload, 0, Where::stages);
  const auto times = workload.stage_times();
  ASSERT_TRUE(times.has_value());
  EXPECT_GT(times->extract_ns, 0U);
  EXPECT_GT(times->transform_ns, 0U);
  EXPECT_GT(times->load_ns, 0U);
}

}  // namespace
}  // namespace noisefloor
