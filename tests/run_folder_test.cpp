// A run's folder: its name, its place and the link to the latest.
// SPDX-License-Identifier: MIT
#include "harness/sweep/run_folder.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "harness/base/error.hpp"

namespace noisefloor {
namespace {

namespace fs = std::filesystem;

class RunFolder : public ::testing::Test {
 protected:
  RunFolder() {
    std::string name = (fs::temp_directory_path() / "run_folder_test.XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp");
    folder_ = fs::canonical(name).string();
  }
  ~RunFolder() override { fs::remove_all(folder_); }
  std::string folder_;
};

TEST_F(RunFolder, IsCalledAfterTimeCommitAndMachine) {
  const auto moment = std::chrono::system_clock::from_time_t(1'700'000'000);
  EXPECT_EQ(run_name(moment, "0123456789abcdef", "fedcba98"), "20231114T221320Z-01234567-fedcba98");
  EXPECT_EQ(run_name(moment, "unknown", "fedcba98"), "20231114T221320Z-unknown-fedcba98");
}

TEST_F(RunFolder, TwoRunsOfOneSecondDoNotShareAFolder) {
  const std::string one = make_run_folder(folder_ + "/a/b", "x");
  EXPECT_EQ(one, folder_ + "/a/b/x");
  EXPECT_EQ(make_run_folder(folder_ + "/a/b", "x"), folder_ + "/a/b/x-2");
  EXPECT_EQ(make_run_folder(folder_ + "/a/b", "x"), folder_ + "/a/b/x-3");
}

TEST_F(RunFolder, AParentThatIsAFileIsAnError) {
  std::ofstream(folder_ + "/file") << "x";
  EXPECT_THROW(make_run_folder(folder_ + "/file", "x"), Error);
  EXPECT_THROW(make_run_folder(folder_ + "/file/below", "x"), Error);
}

TEST_F(RunFolder, LatestPointsToTheNewestRunOfResults) {
  const std::string one = make_run_folder(folder_ + "/results/runs", "one");
  point_latest_to(one);
  EXPECT_EQ(fs::read_symlink(folder_ + "/results/latest"), "runs/one");
  point_latest_to(make_run_folder(folder_ + "/results/runs", "two"));
  EXPECT_EQ(fs::canonical(folder_ + "/results/latest"), folder_ + "/results/runs/two");
  point_latest_to(make_run_folder(folder_ + "/elsewhere", "three"));
  EXPECT_FALSE(fs::exists(folder_ + "/latest"));
}

TEST_F(RunFolder, AFileIsReplacedAsAWholeOrNotAtAll) {
  const std::string path = folder_ + "/plan.json";
  replace_file(path, "old");
  replace_file(path, "new");
  std::ifstream file(path);
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(file), {}), "new");
  fs::create_directory(folder_ + "/taken");
  fs::create_directory(folder_ + "/taken/full");
  EXPECT_THROW(replace_file(folder_ + "/taken", "x"), Error);
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), fs::directory_iterator()), 2) << "no temporary file is left";
}

TEST_F(RunFolder, DefaultsToResultsInTheSourceTree) {
  fs::create_directories(folder_ + "/tree/benchmarks/sweeps");
  fs::create_directories(folder_ + "/tree/harness/sweep");
  std::ofstream(folder_ + "/tree/harness/sweep/sweep_file.cpp") << "";
  // This test's own program lies deeper in a build folder than the program does, or outside of the tree.
  EXPECT_EQ(default_parent(folder_ + "/tree/harness"), folder_ + "/tree/results/runs");
  EXPECT_EQ(default_parent(folder_), folder_);
}

}  // namespace
}  // namespace noisefloor
