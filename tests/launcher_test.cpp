// Launches of hostile programs: shell scripts that crash, hang, tear their output or leave others behind.
// SPDX-License-Identifier: MIT
#include "harness/sweep/launcher.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

#include "harness/base/error.hpp"

namespace noisefloor {
namespace {

using std::chrono::milliseconds;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string row_line(const std::string& status = "ok") {
  Row row;
  row["status"] = status;
  row["wall_ns"] = "5000000";
  return csv_line(row);
}

class LauncherTest : public ::testing::Test {
 protected:
  LauncherTest() {
    std::string name = (std::filesystem::temp_directory_path() / "launcher_test.XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp");
    folder_ = name;
    std::ofstream(folder_ + "/good.csv") << csv_header() << '\n' << row_line() << '\n' << row_line() << '\n';
    std::ofstream(folder_ + "/wrong.csv") << csv_header() << '\n'
                                          << row_line() << '\n'
                                          << row_line("wrong_output") << '\n';
    std::ofstream(folder_ + "/torn.csv") << csv_header() << '\n' << row_line() << '\n' << row_line().substr(0, 20);
    std::ofstream(folder_ + "/skipped.csv") << csv_header() << '\n' << row_line("skipped") << '\n';
  }
  ~LauncherTest() override { std::filesystem::remove_all(folder_); }

  /// Runs `script` (in the test's folder) as the program.
  LaunchOutcome launch(const std::string& script, milliseconds deadline = std::chrono::minutes(10), int interrupt = -1,
                       std::size_t padding = 0) {
    const std::string path = folder_ + "/program";
    std::ofstream(path) << "#!/bin/sh\ncd '" << folder_ << "'\n" << script << '\n';
    ::chmod(path.c_str(), 0755);
    ProcessLauncher launcher(path, interrupt);
    LaunchRequest request;
    request.options.repetitions = 2;
    request.options.expected_digest = 0xabcU;
    request.deadline = deadline;
    request.padding_bytes = padding;
    return launcher.launch(request);
  }

  std::string text(const std::string& name) const {
    std::ifstream file(folder_ + "/" + name);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  }

  /// Whether the process whose id `name` holds is gone. Its id may be taken by another one meanwhile, but
  /// not by one that is our descendant: that is what is asked.
  bool gone(const std::string& name) const {
    const std::string id = text(name);
    EXPECT_NE(id, "") << "the script did not get so far";
    return id.empty() || ::kill(static_cast<pid_t>(std::stol(id)), 0) != 0;
  }

  std::string folder_;
};

TEST_F(LauncherTest, ReadsTheRowsOfALaunch) {
  const LaunchOutcome outcome = launch("cat good.csv");
  EXPECT_EQ(outcome.end, LaunchEnd::finished) << outcome.message;
  ASSERT_EQ(outcome.rows.size(), 2U);
  EXPECT_EQ(outcome.rows[1]["wall_ns"], "5000000");
}

TEST_F(LauncherTest, PassesTheCellAndTheCountsOn) {
  const LaunchOutcome outcome = launch("printf '%s\\n' \"$@\" > arguments; cat good.csv");
  ASSERT_EQ(outcome.end, LaunchEnd::finished);
  const std::string arguments = text("arguments");
  EXPECT_THAT(arguments, StartsWith("launch\n--protocol\n1\n--cell\nworkload=etl,"));
  EXPECT_THAT(arguments, HasSubstr("--iterations\n0\n--repetitions\n2\n--warmups\n2\n--seed\n1\n"));
  EXPECT_THAT(arguments, HasSubstr("--expect\n0000000000000abc\n"));
}

TEST_F(LauncherTest, GivesALaunchNoInputAndAPaddedEnvironment) {
  ::setenv("NOISEFLOOR_PADDING", "from outside", 1);
  const LaunchOutcome outcome = launch("printf %s \"$NOISEFLOOR_PADDING\" > padding; cat > input; cat good.csv",
                                       std::chrono::seconds(20), -1, 321);
  ::unsetenv("NOISEFLOOR_PADDING");
  ASSERT_EQ(outcome.end, LaunchEnd::finished) << outcome.message;
  EXPECT_EQ(text("padding"), std::string(321, 'x'));
  EXPECT_EQ(text("input"), "");
}

TEST_F(LauncherTest, ASkippedRowIsEnough) {
  const LaunchOutcome outcome = launch("cat skipped.csv");
  ASSERT_EQ(outcome.end, LaunchEnd::finished) << outcome.message;
  EXPECT_EQ(outcome.rows.size(), 1U);
}

TEST_F(LauncherTest, RowsThatTellOfAWrongOutputAreKeptWithItsExitStatus) {
  EXPECT_EQ(launch("cat wrong.csv; exit 1").end, LaunchEnd::finished);
  EXPECT_EQ(launch("cat good.csv; exit 1").end, LaunchEnd::failed) << "it failed, and its rows do not say why";
  EXPECT_EQ(launch("cat wrong.csv; exit 2").end, LaunchEnd::failed);
}

TEST_F(LauncherTest, ACrashIsAFailureWithTheSignalsName) {
  const LaunchOutcome outcome = launch("cat good.csv; echo 'stack smashed' >&2; kill -SEGV $$");
  EXPECT_EQ(outcome.end, LaunchEnd::failed);
  EXPECT_TRUE(outcome.rows.empty());
  EXPECT_EQ(outcome.message, "ended by SIGSEGV: stack smashed");
}

TEST_F(LauncherTest, AnExitStatusIsAFailureWithTheLastThingSaid) {
  const LaunchOutcome outcome = launch("echo first >&2; echo 'the disk is full' >&2; echo >&2; exit 3");
  EXPECT_EQ(outcome.end, LaunchEnd::failed);
  EXPECT_EQ(outcome.message, "exit status 3: the disk is full");
}

TEST_F(LauncherTest, TornOrMissingOrForeignOutputIsAFailure) {
  EXPECT_THAT(launch("cat torn.csv").message, StartsWith("its output is torn"));
  EXPECT_THAT(launch("exit 0").message, HasSubstr("printed nothing"));
  EXPECT_THAT(launch("echo hello").message, HasSubstr("no table of observations"));
  EXPECT_THAT(launch("cat good.csv; tail -n 1 good.csv").message, HasSubstr("3 rows for 2 repetitions"));
  EXPECT_THAT(launch("cat good.csv; echo 1,2").message, HasSubstr("2 fields"));
  EXPECT_EQ(launch("cat torn.csv").end, LaunchEnd::failed);
}

TEST_F(LauncherTest, ALaunchThatNeverStopsTalkingIsEnded) {
  const LaunchOutcome outcome = launch("exec cat /dev/zero");
  EXPECT_EQ(outcome.end, LaunchEnd::failed);
  EXPECT_THAT(outcome.message, HasSubstr("it printed more than"));
}

TEST_F(LauncherTest, AnOverrunEndsWithAllDescendantsEvenThoseInSessionsOfTheirOwn) {
  const LaunchOutcome outcome = launch(
      "trap '' TERM INT HUP\n"
      "setsid sh -c 'trap \"\" TERM INT HUP; echo $$ > far; while :; do sleep 1; done' &\n"
      "sh -c 'trap \"\" TERM INT HUP; echo $$ > near; while :; do sleep 1; done' &\n"
      "echo $$ > self\n"
      "while [ ! -s far ] || [ ! -s near ]; do sleep 0.01; done\n"
      "echo 'I go on' >&2\n"
      "while :; do sleep 1; done",
      milliseconds(5000));
  EXPECT_EQ(outcome.end, LaunchEnd::timeout);
  EXPECT_EQ(outcome.message, "killed at its deadline of 5.0 s: I go on");
  EXPECT_TRUE(gone("self"));
  EXPECT_TRUE(gone("near"));
  EXPECT_TRUE(gone("far"));
}

TEST_F(LauncherTest, ALaunchThatShallEndMayTidyUp) {
  const LaunchOutcome outcome = launch(
      "trap 'seq 100000; echo tidied > tidied; echo bye >&2; exit 0' TERM\n"
      "echo 'I go on' >&2\n"
      "while :; do sleep 0.01; done",
      milliseconds(5000));
  EXPECT_EQ(outcome.end, LaunchEnd::timeout);
  EXPECT_EQ(text("tidied"), "tidied\n");
  EXPECT_EQ(outcome.message, "killed at its deadline of 5.0 s: I go on");
}

TEST_F(LauncherTest, WhatALaunchThatFailedWroteIsRemoved) {
  const std::string cache = folder_ + "/cache";
  const char* before = std::getenv("NOISEFLOOR_CACHE");
  const std::string kept = before != nullptr ? before : "";
  ::setenv("NOISEFLOOR_CACHE", cache.c_str(), 1);
  // As a rank that was killed leaves it, whose mpirun then says so by its exit status.
  const LaunchOutcome outcome =
      launch("mkdir -p cache/output/999999999-0/0; echo > cache/output/999999999-0/0/x; exit 1");
  before != nullptr ? ::setenv("NOISEFLOOR_CACHE", kept.c_str(), 1) : ::unsetenv("NOISEFLOOR_CACHE");
  EXPECT_EQ(outcome.end, LaunchEnd::failed);
  EXPECT_TRUE(std::filesystem::is_directory(cache + "/output")) << "or nothing was tested";
  EXPECT_TRUE(std::filesystem::is_empty(cache + "/output"));
}

TEST_F(LauncherTest, WhatALaunchLeavesBehindIsGoneBeforeTheNextOne) {
  // It holds the pipes open, too: the launch is over all the same.
  const LaunchOutcome outcome = launch(
      "setsid sh -c 'trap \"\" TERM; echo $$ > left; while :; do sleep 1; done' &\n"
      "while [ ! -s left ]; do sleep 0.01; done\n"
      "cat good.csv");
  EXPECT_EQ(outcome.end, LaunchEnd::finished) << outcome.message;
  EXPECT_TRUE(gone("left"));
  EXPECT_GE(outcome.duration, ChildRunner::kGrace) << "it was given time to end by itself";
}

TEST_F(LauncherTest, ChildrenFromBeforeAreLeftAlone) {
  const pid_t before = ::fork();
  ASSERT_GE(before, 0);
  if (before == 0) {
    ::pause();
    ::_exit(0);
  }
  EXPECT_EQ(launch("cat good.csv").end, LaunchEnd::finished);
  EXPECT_EQ(::waitpid(before, nullptr, WNOHANG), 0) << "still there";
  ::kill(before, SIGKILL);
  ::waitpid(before, nullptr, 0);
}

TEST_F(LauncherTest, AnInterruptEndsTheLaunch) {
  const UniqueFd event(::eventfd(0, EFD_CLOEXEC));
  std::thread later([&] {
    while (text("self").empty()) std::this_thread::sleep_for(milliseconds(5));
    const std::uint64_t one = 1;
    EXPECT_EQ(::write(event.get(), &one, sizeof one), static_cast<ssize_t>(sizeof one));
  });
  const LaunchOutcome outcome = launch("echo $$ > self; exec sleep 3600", std::chrono::minutes(10), event.get());
  later.join();
  EXPECT_EQ(outcome.end, LaunchEnd::interrupted);
  EXPECT_TRUE(gone("self"));
}

TEST_F(LauncherTest, ALaunchThatEndedInTimeIsNoOverrunBecauseTheEngineWasStopped) {
  constexpr milliseconds kDeadline(5000);
  const pid_t engine = ::fork();
  ASSERT_GE(engine, 0);
  if (engine == 0) {
    LaunchOutcome outcome;
    try {
      outcome = launch("echo $$ > self; while [ ! -e go ]; do sleep 0.01; done; cat good.csv; echo > done", kDeadline);
    } catch (...) {
    }
    ::_exit(outcome.end == LaunchEnd::finished ? 0 : outcome.end == LaunchEnd::timeout ? 1 : 2);
  }
  while (text("self").empty()) std::this_thread::sleep_for(milliseconds(1));
  ::kill(engine, SIGSTOP);
  std::ofstream(folder_ + "/go") << '\n';
  while (text("done").empty()) std::this_thread::sleep_for(milliseconds(1));
  std::this_thread::sleep_for(kDeadline + milliseconds(100));  // beyond the deadline, which began before
  ::kill(engine, SIGCONT);
  int status = -1;
  ASSERT_EQ(::waitpid(engine, &status, 0), engine);
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST_F(LauncherTest, ALaunchDiesWithTheProcessThatStartedIt) {
  const pid_t engine = ::fork();
  ASSERT_GE(engine, 0);
  if (engine == 0) {
    try {
      launch("echo $$ > self; exec sleep 3600", std::chrono::minutes(10));
    } catch (...) {
    }
    ::_exit(0);
  }
  while (text("self").empty()) std::this_thread::sleep_for(milliseconds(5));
  ::kill(engine, SIGKILL);
  ASSERT_EQ(::waitpid(engine, nullptr, 0), engine);
  // The orphan's end is reaped by this process (a reaper since it made a launcher) or by init.
  const auto patience = std::chrono::steady_clock::now() + std::chrono::minutes(10);
  while (!gone("self") && std::chrono::steady_clock::now() < patience) {
    ::waitpid(-1, nullptr, WNOHANG);
    std::this_thread::sleep_for(milliseconds(5));
  }
  EXPECT_TRUE(gone("self"));
}

TEST_F(LauncherTest, AProgramThatCannotBeStartedIsAnError) {
  ProcessLauncher launcher(folder_ + "/none");
  try {
    launcher.launch({});
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), AllOf(HasSubstr(folder_ + "/none"), HasSubstr("No such file")));
  }
}

TEST(Interrupt, ASignalIsARequestAndIsHandledAsBeforeAfterwards) {
  struct sigaction before = {};
  ::sigaction(SIGTERM, nullptr, &before);
  {
    const Interrupt interrupt;
    EXPECT_FALSE(Interrupt::requested());
    ::raise(SIGTERM);
    EXPECT_TRUE(Interrupt::requested());
    std::uint64_t count = 0;
    EXPECT_EQ(::read(interrupt.fd(), &count, sizeof count), static_cast<ssize_t>(sizeof count));
  }
  struct sigaction after = {};
  ::sigaction(SIGTERM, nullptr, &after);
  EXPECT_EQ(after.sa_handler, before.sa_handler);
  const Interrupt again;
  EXPECT_FALSE(Interrupt::requested());
}

}  // namespace
}  // namespace noisefloor
