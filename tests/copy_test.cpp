// Promise: a copy moves the bytes of the ETL and no others, and output modes do what they are called.
// SPDX-License-Identifier: MIT
#include "harness/workloads/copy.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "harness/audio/signals.hpp"
#include "harness/base/error.hpp"
#include "harness/workloads/etl.hpp"
#include "harness/workloads/file_tasks.hpp"
#include "temporary_folder.hpp"

namespace noisefloor {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

constexpr std::uint32_t kTasks = 3;
constexpr std::uint64_t kFrames = 200'001;  // several pieces, the last one short and odd

std::string content(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void overwrite(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

ino_t inode(const std::string& path) {
  struct stat status {};
  EXPECT_EQ(::stat(path.c_str(), &status), 0) << path;
  return status.st_ino;
}

/// Messages of the tasks of `range`; empty where a task was done.
std::vector<std::string> run(const Workload& workload, TaskRange range) {
  std::vector<TaskResult> results(range.size());
  std::vector<std::byte> returned;
  workload.run(range, results, returned);
  std::vector<std::string> messages;
  std::size_t at = 0;
  for (const TaskResult& result : results) {
    const auto* text = reinterpret_cast<const char*>(returned.data()) + at;
    at += result.bytes;
    messages.emplace_back(result.status == 0 ? std::string() : std::string(text, result.bytes));
  }
  return messages;
}

class Copy : public testing::Test {
 protected:
  Copy() { ::setenv("NOISEFLOOR_CACHE", (folder_ / "cache").c_str(), 1); }
  ~Copy() override { ::unsetenv("NOISEFLOOR_CACHE"); }

  static WorkloadOptions options(const std::string& mode = "new", const std::string& format = "int16") {
    WorkloadOptions result;
    result.tasks = kTasks;
    result.task_size = kFrames;
    result.kernel = &select_kernel("scalar");  // for the ETL; a copy has no use for it
    result.format = format;
    result.output_mode = mode;
    return result;
  }

  /// The one output folder of the one workload that lives.
  [[nodiscard]] std::string outputs() const {
    const fs::path parent = folder_ / "cache/output";
    const fs::path scratch = *fs::directory_iterator(parent);
    return scratch / "0000";
  }

  TemporaryFolder folder_;
};

TEST_F(Copy, WritesTheBytesOfTheInputsAndDigestsThem) {
  for (const char* format : {"int16", "float32"}) {
    const std::vector<std::string> inputs = test_signals(kTasks, kFrames, format);
    const auto workload = make_copy(options("new", format));
    workload->prepare(1);
    workload->begin(0);
    EXPECT_THROW(static_cast<void>(workload->digest({0, kTasks})), Error) << "nothing ran";
    EXPECT_THAT(run(*workload, {0, kTasks}), ::testing::Each(""));
    std::uint64_t expected = 0, bytes = 0;
    for (std::uint32_t task = 0; task < kTasks; ++task) {
      const std::string output = outputs() + inputs[task].substr(inputs[task].rfind('/'));
      EXPECT_TRUE(content(output) == content(inputs[task])) << output;
      expected += digest_of_file(inputs[task], task);
      bytes += fs::file_size(inputs[task]);
    }
    EXPECT_EQ(workload->digest({0, kTasks}), expected);
    EXPECT_EQ(workload->digest({0, 1}) + workload->digest({1, kTasks}), expected);
    EXPECT_EQ(workload->volume().bytes_read, bytes);
    EXPECT_EQ(workload->volume().bytes_written, bytes);
    EXPECT_EQ(workload->volume().samples, kTasks * kFrames);
    EXPECT_EQ(std::distance(fs::directory_iterator(outputs()), {}), kTasks) << "and no temporary";
  }
}

TEST_F(Copy, OutputModesWriteTheSameBytesEachInItsWay) {
  for (auto* make : {make_copy, make_etl}) {
    const auto fresh = make(options());
    fresh->prepare(1);
    fresh->begin(0);
    EXPECT_THAT(run(*fresh, {0, kTasks}), ::testing::Each(""));
    const std::uint64_t expected = fresh->digest({0, kTasks});
    EXPECT_THAT(run(*fresh, {0, 1}), ::testing::Each(HasSubstr("exists"))) << "`new` means new";
    fresh->clean();

    for (const std::string mode : {"replace", "in_place"}) {
      const auto workload = make(options(mode));
      workload->prepare(1);
      workload->begin(0);
      const fs::path folder = folder_ / "cache/output";
      std::string output;
      for (const auto& entry : fs::recursive_directory_iterator(folder)) {
        if (entry.path().filename() == "0001.wav") output = entry.path();
      }
      ASSERT_FALSE(output.empty()) << "an earlier output is there";
      EXPECT_NE(workload->digest({0, kTasks}), expected) << "and is not taken for the new one";
      const ino_t before = inode(output);
      EXPECT_THAT(run(*workload, {0, kTasks}), ::testing::Each("")) << mode;
      EXPECT_EQ(workload->digest({0, kTasks}), expected) << mode;
      EXPECT_EQ(inode(output) == before, mode == "in_place") << mode;
    }
  }
}

TEST_F(Copy, InPlaceNeedsTheOutputAndGivesItItsNewLength) {
  for (auto* make : {make_copy, make_etl}) {
    const auto workload = make(options("in_place"));
    workload->prepare(1);
    workload->begin(0);
    const std::string name = outputs() + "/0001.wav";
    EXPECT_THAT(run(*workload, {1, 2}), ::testing::Each(""));
    const std::string expected = content(name);
    overwrite(name, std::string(expected.size() + 5000, 'x'));
    EXPECT_THAT(run(*workload, {1, 2}), ::testing::Each(""));
    EXPECT_TRUE(content(name) == expected) << "it was longer";
    overwrite(name, "short");
    EXPECT_THAT(run(*workload, {1, 2}), ::testing::Each(""));
    EXPECT_TRUE(content(name) == expected) << "it was shorter";
    fs::remove(name);
    EXPECT_THAT(run(*workload, {0, kTasks}),
                ::testing::ElementsAre("", AllOf(HasSubstr("0001.wav"), HasSubstr("No such file")), ""));
    fs::create_symlink("0000.wav", name);
    EXPECT_THAT(run(*workload, {1, 2}), ::testing::Each(HasSubstr("0001.wav"))) << "a link leads elsewhere";
  }
}

TEST_F(Copy, ABadInputFailsItsOwnTaskAndLeavesNothing) {
  const std::vector<std::string> inputs = test_signals(kTasks, kFrames, "int16");
  const auto workload = make_copy(options());
  workload->prepare(1);
  workload->begin(0);
  fs::remove(inputs[0]);
  fs::remove(inputs[1]);
  fs::create_directory(inputs[1]);  // opens, but cannot be read
  EXPECT_THAT(run(*workload, {0, kTasks}),
              ::testing::ElementsAre(HasSubstr("0000.wav"), HasSubstr("Is a directory"), ""));
  EXPECT_EQ(std::distance(fs::directory_iterator(outputs()), {}), 1) << "the good one alone";
}

TEST_F(Copy, StageTimesHaveNoTransform) {
  const auto workload = make_copy(options());
  workload->prepare(1);
  run(*workload, {0, kTasks});
  EXPECT_GT(workload->stage_times()->extract_ns, 0U);
  EXPECT_EQ(workload->stage_times()->transform_ns, 0U);
  EXPECT_GT(workload->stage_times()->load_ns, 0U);
  workload->prepare(1);
  EXPECT_EQ(workload->stage_times()->load_ns, 0U) << "since the last prepare()";
}

TEST_F(Copy, RefusesAnUnknownOutputModeAndSuggestsTheNearest) {
  try {
    static_cast<void>(make_copy(options("inplace")));
    FAIL() << "an unknown output mode was taken";
  } catch (const UsageError& error) {
    EXPECT_THAT(error.what(), AllOf(HasSubstr("'inplace'"), HasSubstr("in_place"), HasSubstr("replace")));
  }
}

TEST_F(Copy, FoldersGoWithTheWorkload) {
  {
    const auto workload = make_copy(options());
    workload->prepare(2);
    workload->begin(1);
    run(*workload, {0, kTasks});
    EXPECT_EQ(workload->digestible_iterations(2), 2U);
  }
  EXPECT_TRUE(fs::is_empty(folder_ / "cache/output"));
}

}  // namespace
}  // namespace noisefloor
