// Promise: a file appears under its name complete or not at all.
// SPDX-License-Identifier: MIT
#include "harness/audio/atomic_file.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <sstream>
#include <string>
#include <string_view>

#include "harness/base/error.hpp"
#include "harness/base/host.hpp"
#include "temporary_folder.hpp"

namespace noisefloor {
namespace {

namespace fs = std::filesystem;

void fill(const AtomicFile& file, const std::string& text) {
  ASSERT_EQ(::write(file.fd(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
}

void put(const std::string& path, const std::string& text) { std::ofstream(path) << text; }

std::string content(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string message_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

/// Exit status of `f` run in a process of its own.
int in_child(const std::function<int()>& f) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(f());
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

TEST(AtomicFile, IsNotThereBeforeItIsPublished) {
  const TemporaryFolder folder;
  AtomicFile file(folder / "out");
  fill(file, "text");
  EXPECT_FALSE(fs::exists(folder / "out"));
  file.publish(Publish::fresh, 4);
  EXPECT_EQ(content(folder / "out"), "text");
  EXPECT_EQ(folder.entries(), 1U) << "no temporary may be left";
}

TEST(AtomicFile, DroppedWithoutPublishingLeavesNothing) {
  const TemporaryFolder folder;
  {
    const AtomicFile file(folder / "out");
    fill(file, "half");
    EXPECT_EQ(folder.entries(), 1U);
  }
  EXPECT_EQ(folder.entries(), 0U);
}

TEST(AtomicFile, FreshRefusesANameThatIsTakenAndKeepsItsOwner) {
  const TemporaryFolder folder;
  {
    AtomicFile file(folder / "out");
    fill(file, "new");
    put(folder / "out", "old");  // appears while the file is written
    EXPECT_THAT(message_of([&] { file.publish(Publish::fresh, 3); }), testing::HasSubstr("File exists"));
  }
  EXPECT_EQ(content(folder / "out"), "old");
  EXPECT_EQ(folder.entries(), 1U);
}

TEST(AtomicFile, ReplaceTakesTheOldFilesPlace) {
  const TemporaryFolder folder;
  put(folder / "out", "old and longer");
  AtomicFile file(folder / "out");
  fill(file, "new");
  EXPECT_EQ(content(folder / "out"), "old and longer");
  file.publish(Publish::replace, 3);
  EXPECT_EQ(content(folder / "out"), "new");
  EXPECT_EQ(folder.entries(), 1U) << "the old file must be gone";
}

TEST(AtomicFile, ReplaceWorksWhereNothingIsReplaced) {
  const TemporaryFolder folder;
  AtomicFile file(folder / "out");
  fill(file, "new");
  file.publish(Publish::replace, 3, true);
  EXPECT_EQ(content(folder / "out"), "new");
}

TEST(AtomicFile, NeverReplacesAFolder) {
  const TemporaryFolder folder;
  fs::create_directories(folder / "out/inner");
  {
    AtomicFile file(folder / "out");
    EXPECT_THAT(message_of([&] { file.publish(Publish::replace, 0); }), testing::HasSubstr("Is a directory"));
  }
  EXPECT_TRUE(fs::is_directory(folder / "out/inner"));
  EXPECT_EQ(folder.entries(), 1U);
}

TEST(AtomicFile, DurableFilesAreTheSame) {
  const TemporaryFolder folder;
  AtomicFile file(folder / "out");
  fill(file, "text");
  file.publish(Publish::fresh, 4, true);
  EXPECT_EQ(content(folder / "out"), "text");
}

TEST(AtomicFile, ReservedSpaceBeyondTheEndIsGivenBack) {
  const TemporaryFolder folder;
  AtomicFile file(folder / "out");
  file.reserve(std::uint64_t{8} << 20);
  fill(file, "text");
  file.publish(Publish::fresh, 4);
  struct stat status {};
  ASSERT_EQ(::stat((folder / "out").c_str(), &status), 0);
  EXPECT_EQ(status.st_size, 4);
  EXPECT_LT(status.st_blocks * 512, 1 << 20);
}

TEST(AtomicFile, MoreThanTheDiskHoldsIsRefusedBeforeAnyWork) {
  const TemporaryFolder folder;
  const std::uintmax_t available = fs::space(folder.path()).available;
  AtomicFile file(folder / "out");
  const std::string message = message_of([&] { file.reserve(available + (std::uint64_t{1} << 40)); });
  if (message == "no error") GTEST_SKIP() << "this file system sets no space aside";
  EXPECT_THAT(message, testing::HasSubstr("No space left on device"));
  EXPECT_THAT(message, testing::HasSubstr("out"));
}

TEST(AtomicFile, NamesOfFullLengthFit) {
  const TemporaryFolder folder;
  const std::string name(255, 'n');
  AtomicFile file(folder / name);
  fill(file, "x");
  file.publish(Publish::fresh, 1);
  EXPECT_TRUE(fs::exists(folder / name));
}

TEST(AtomicFile, AMissingFolderIsNamed) {
  const TemporaryFolder folder;
  EXPECT_THAT(message_of([&] { const AtomicFile file(folder / "missing/out"); }),
              testing::AllOf(testing::HasSubstr("missing/out"), testing::HasSubstr("No such file")));
}

TEST(AtomicFile, AWriterKilledInTheMiddleLeavesNothingUnderTheName) {
  const TemporaryFolder folder;
  const int status = in_child([&] {
    const AtomicFile file(folder / "out");
    if (::write(file.fd(), "half", 4) != 4) return 1;
    ::kill(::getpid(), SIGKILL);
    return 2;
  });
  EXPECT_EQ(status, 128 + SIGKILL);
  EXPECT_FALSE(fs::exists(folder / "out"));
  EXPECT_EQ(folder.entries(), 1U) << "the temporary of the dead";
  EXPECT_EQ(remove_stale(folder.path()), 1U);
  EXPECT_EQ(folder.entries(), 0U);
}

TEST(RemoveStale, SparesWhatALivingWriterHolds) {
  const TemporaryFolder folder;
  AtomicFile file(folder / "out");
  fill(file, "text");
  EXPECT_EQ(in_child([&] { return static_cast<int>(remove_stale(folder.path())); }), 0);
  EXPECT_EQ(remove_stale(folder.path()), 0U);
  file.publish(Publish::fresh, 4);
  EXPECT_EQ(content(folder / "out"), "text");
}

/// What a writer on `host` left that works for `owner`.
std::string left_by(const Host& host, Owner owner = kNobody) {
  return "." + host.name + "." + host.boot + "." + (std::ostringstream() << std::hex << owner).str() +
         ".1-0-2.noisefloor-tmp";
}

constexpr std::string_view kOtherBoot = "0123456789ab";

TEST(RemoveStale, LeavesWhatBelongsToAnotherMachine) {
  const TemporaryFolder folder;
  const std::string name = left_by({"elsewhere", std::string(kOtherBoot)}, 7);
  put(folder / name, "half");
  EXPECT_EQ(remove_stale(folder.path()), 0U);
  EXPECT_EQ(remove_stale(folder.path(), 8), 0U);
  EXPECT_TRUE(fs::exists(folder / name));
}

TEST(RemoveStale, RemovesWhatTheSameOwnerLeftOnAnotherMachine) {
  const TemporaryFolder folder;
  put(folder / left_by({"elsewhere", std::string(kOtherBoot)}, 7), "half");
  put(folder / left_by({"elsewhere", std::string(kOtherBoot)}, 8), "half");
  EXPECT_EQ(remove_stale(folder.path(), 7), 1U);
  EXPECT_EQ(folder.entries(), 1U);
}

TEST(RemoveStale, SparesALivingWriterOfTheSameOwnerOnThisMachine) {
  const TemporaryFolder folder;
  AtomicFile file(folder / "out", 7);
  EXPECT_EQ(in_child([&] { return static_cast<int>(remove_stale(folder.path(), 7)); }), 0);
  file.publish(Publish::fresh, 0);
}

TEST(RemoveStale, RemovesOnALocalFileSystemWhatWasLeftBeforeTheLastStartOrByAContainer) {
  const TemporaryFolder folder;
  const int fd = ::open(folder.path().c_str(), O_RDONLY | O_DIRECTORY);
  const bool is_local = is_local_file_system(fd);
  ::close(fd);
  put(folder / left_by({this_host().name, std::string(kOtherBoot)}), "half");
  put(folder / left_by({"container", this_host().boot}), "half");
  EXPECT_EQ(remove_stale(folder.path()), is_local ? 2U : 0U);
}

TEST(RemoveStale, TouchesNothingElse) {
  const TemporaryFolder folder;
  put(folder / "song.wav", "x");
  put(folder / ".noisefloor-tmp", "x");
  put(folder / "a.noisefloor-tmp", "x");
  fs::create_directory(folder / ".folder.noisefloor-tmp");
  put(folder / ".1-2-3.noisefloor-tmp", "x");
  ASSERT_EQ(::mkfifo((folder / left_by(this_host())).c_str(), 0600), 0);
  fs::create_directory(folder / left_by(this_host(), 3));
  EXPECT_EQ(remove_stale(folder.path()), 0U);
  EXPECT_EQ(folder.entries(), 7U);
  EXPECT_EQ(remove_stale(folder / "missing"), 0U);
}

}  // namespace
}  // namespace noisefloor
