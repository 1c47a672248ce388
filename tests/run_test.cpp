// `noisefloor run` as a user sees it: what it prints, leaves behind and exits with.
// SPDX-License-Identifier: MIT
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "harness/measure/columns.hpp"

namespace noisefloor {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

struct Result {
  int status = -1;
  std::string out, err;
};

class RunTest : public ::testing::Test {
 protected:
  RunTest() {
    std::string name = (fs::temp_directory_path() / "run_test.XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp");
    folder_ = fs::canonical(name).string();
    ::setenv("NOISEFLOOR_CACHE", (folder_ + "/cache").c_str(), 1);
    ::unsetenv("NOISEFLOOR_SWEEPS");
  }
  ~RunTest() override { fs::remove_all(folder_); }

  void write(const std::string& name, const std::string& text) const { std::ofstream(folder_ + "/" + name) << text; }

  std::string read(const std::string& path) const {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  }

  /// Starts the program in the test's folder. What it prints goes into a file there, or to `out`; nowhere if
  /// that is empty: its standard output is closed.
  pid_t start(std::vector<std::string> words, const char* standard_output = "out") const {
    words.insert(words.begin(), NOISEFLOOR_PROGRAM);
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    const pid_t child = ::fork();
    if (child == 0) {
      if (::chdir(folder_.c_str()) != 0) ::_exit(126);
      const int err = ::open("err", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
      if (::dup2(err, 2) < 0) ::_exit(126);
      if (*standard_output == '\0') {
        ::close(1);
      } else if (::dup2(::open(standard_output, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), 1) < 0) {
        ::_exit(126);
      }
      ::execv(arguments[0], arguments.data());
      ::_exit(127);
    }
    return child;
  }

  Result finish(pid_t child) const {
    int status = 0;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    return {WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status), read(folder_ + "/out"),
            read(folder_ + "/err")};
  }

  Result program(const std::vector<std::string>& words, const char* standard_output = "out") const {
    return finish(start(words, standard_output));
  }

  /// Of first attempts: what is measured again, and how often, depends on what else this machine does.
  std::vector<Row> rows(const std::string& run) const {
    std::ifstream file(run + "/observations.csv");
    std::string line;
    std::getline(file, line);
    EXPECT_EQ(line, csv_header());
    const auto header = csv_split(line);
    std::vector<Row> result;
    while (std::getline(file, line)) {
      Row row = csv_row(header, line);
      if (row["attempt"] == "0") result.push_back(std::move(row));
    }
    return result;
  }

  /// Until a run below runs/ has 3 rows; at most ten minutes.
  void wait_for_rows() const {
    const auto has_rows = [&] {
      std::error_code ignored;
      for (const auto& entry : fs::directory_iterator(folder_ + "/runs", ignored)) {
        if (fs::exists(entry.path() / "observations.csv") && rows(entry.path().string()).size() >= 3) return true;
      }
      return false;
    };
    const auto patience = std::chrono::steady_clock::now() + std::chrono::minutes(10);
    while (!has_rows() && std::chrono::steady_clock::now() < patience)
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }

  std::string folder_;
};

const std::string kTiny = R"(
rounds = 2
repetitions = 2
warmups = 0
[base]
workload = "spin"
tasks = 8
task_size = 1000
[[group]]
name = "a"
strategy = ["sequential", "openmp"]
[[group]]
name = "b"
strategy = "sequential"
workers = 2
)";

TEST_F(RunTest, LeavesAFolderWithPlanMachineAndRows) {
  write("tiny.toml", kTiny);
  const Result result = program({"run", "tiny.toml", "--out", "runs", "--seed", "5"});
  ASSERT_EQ(result.status, 0) << result.err;
  EXPECT_THAT(result.out, StartsWith("runs/20"));
  EXPECT_EQ(result.out.back(), '\n');
  EXPECT_EQ(result.out.find('\n'), result.out.size() - 1) << "the folder's path is all that goes to standard output";
  EXPECT_THAT(result.err, HasSubstr("sequential"));
  const std::string run = folder_ + "/" + result.out.substr(0, result.out.size() - 1);

  const auto plan = nlohmann::json::parse(read(run + "/plan.json"));
  EXPECT_EQ(plan.at("seed"), 5);
  EXPECT_EQ(plan.at("command").at(2), "tiny.toml");
  ASSERT_EQ(plan.at("cell").size(), 3U);
  EXPECT_GT(plan.at("cell").at(0).at("iterations"), 0);
  const auto machine = nlohmann::json::parse(read(run + "/machine.json"));

  std::map<std::string, int> by_status;
  std::map<std::string, std::set<std::string>> task_ns;
  std::set<std::string> digests;
  for (const Row& row : rows(run)) {
    ++by_status[row["status"]];
    EXPECT_EQ(row["run_id"], fs::path(run).filename().string());
    EXPECT_EQ(row["machine_id"], machine.at("machine_id").get<std::string>());
    EXPECT_EQ(row["arm"], "head");
    EXPECT_EQ(row["seed"], "5");
    if (row["status"] != "ok") continue;
    task_ns[row["task_size"]].insert(row["task_ns"]);
    digests.insert(row["digest"]);
    EXPECT_EQ(row["iterations"], plan.at("cell").at(row["strategy"] == "openmp" ? 1 : 0).at("iterations").dump());
  }
  EXPECT_EQ(by_status, (std::map<std::string, int>{{"ok", 8}, {"skipped", 1}}));
  EXPECT_EQ(task_ns["1000"].size(), 1U);
  EXPECT_EQ(digests.size(), 1U);
}

TEST_F(RunTest, TwoBuildsAndACopyTakeTurnsFromPathsOfEqualLength) {
  write("tiny.toml", kTiny);
  const Result result = program({"run", "tiny.toml", "--out", "runs", "--base", NOISEFLOOR_PROGRAM, "--control"});
  ASSERT_EQ(result.status, 0) << result.err;
  const std::string run = folder_ + "/" + result.out.substr(0, result.out.size() - 1);
  std::map<std::string, int> ok;
  std::set<std::string> builds;
  for (const Row& row : rows(run)) {
    if (row["status"] == "ok") ++ok[row["arm"]];
    builds.insert(row["build_id"]);
  }
  EXPECT_EQ(ok, (std::map<std::string, int>{{"head", 8}, {"base", 8}, {"base2", 8}}));
  EXPECT_EQ(builds.size(), 1U) << "the same program thrice";
  const auto plan = nlohmann::json::parse(read(run + "/plan.json"));
  ASSERT_EQ(plan.at("arm").size(), 3U);
  std::set<std::string> programs;
  for (std::size_t i = 0; i < 3; ++i) {
    programs.insert(plan.at("arm").at(i).at("program"));
    EXPECT_EQ(plan.at("arm").at(i).at("build_id"), *builds.begin());
  }
  EXPECT_EQ(programs, (std::set<std::string>{run + "/bin/head/noisefloor", run + "/bin/base/noisefloor",
                                             run + "/bin/bas2/noisefloor"}));
  EXPECT_FALSE(fs::exists(run + "/bin")) << "the copies are no result";
}

TEST_F(RunTest, HeadIsAnotherProgramWhereOneIsGiven) {
  write("tiny.toml", kTiny);
  fs::copy_file(NOISEFLOOR_PROGRAM, folder_ + "/other");
  // The linker's build id, in a note of 20 bytes by "GNU": another one.
  std::string bytes = read(folder_ + "/other");
  const std::size_t note = bytes.find(std::string("\x14\0\0\0\3\0\0\0GNU\0", 12));
  ASSERT_NE(note, std::string::npos);
  bytes[note + 12] = static_cast<char>(bytes[note + 12] ^ 1);
  std::ofstream(folder_ + "/other", std::ios::binary) << bytes;
  const Result result = program({"run", "tiny.toml", "--out", "runs", "--head", "other", "--base", NOISEFLOOR_PROGRAM});
  ASSERT_EQ(result.status, 0) << result.err;
  std::map<std::string, std::set<std::string>> builds;
  for (const Row& row : rows(folder_ + "/" + result.out.substr(0, result.out.size() - 1))) {
    builds[row["arm"]].insert(row["build_id"]);
  }
  ASSERT_EQ(builds["head"].size(), 1U);
  ASSERT_EQ(builds["base"].size(), 1U);
  EXPECT_NE(*builds["head"].begin(), *builds["base"].begin());
}

TEST_F(RunTest, ABaseThatCannotBeMeasuredIsMissing) {
  write("tiny.toml", kTiny);
  write("other", "#!/bin/sh\necho 'launch protocol 1 is asked for, this build speaks 2' >&2; exit 3\n");
  write("text", "no program\n");
  fs::permissions(folder_ + "/other", fs::perms::owner_all);
  for (const auto& [base, said] : std::map<std::string, std::string>{
           {"other", "this build speaks 2"}, {"text", "Permission denied"}, {"none", "No such file"}}) {
    const Result result = program({"run", "tiny.toml", "--out", "runs", "--base", base});
    EXPECT_EQ(result.status, 3) << base;
    EXPECT_THAT(result.err, HasSubstr(said));
  }
  EXPECT_FALSE(fs::exists(folder_ + "/runs"));
}

TEST_F(RunTest, DryRunPrintsTheCellsAndLeavesNothing) {
  write("tiny.toml", kTiny);
  // --out: where no earlier run is, whatever lies in the tree.
  const Result result =
      program({"run", "tiny.toml", "--dry-run", "--set", "strategy=openmp", "--filter", "workers=1", "--out", "runs"});
  EXPECT_EQ(result.status, 0);
  EXPECT_THAT(result.out, StartsWith("sweep=tiny.a,workload=spin,strategy=openmp,"));
  EXPECT_EQ(result.out.find('\n'), result.out.size() - 1);
  EXPECT_THAT(result.err, AllOf(HasSubstr("1 cells, 2 launches"),
                                HasSubstr("about 1 s: 1 cells from their tasks, of which one of a kind was timed"),
                                HasSubstr("disk: about 0 bytes"), HasSubstr("memory: about")));
  EXPECT_FALSE(fs::exists(folder_ + "/cache"));
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), fs::directory_iterator()), 3);  // tiny.toml, out, err
}

TEST_F(RunTest, WhatCannotBeMeantExitsWithTwoAndSaysWhy) {
  write("tiny.toml", kTiny);
  write("wrong.toml", "rounds = 1\n[[group]]\nworkers = 0\n");
  const std::vector<std::pair<std::vector<std::string>, std::string>> cases = {
      {{"run"}, "SWEEP"},
      {{"run", "quik"}, "did you mean 'quick'"},
      {{"run", "none.toml"}, "No such file"},
      {{"run", "wrong.toml"}, "wrong.toml:3:11: "},
      {{"run", "tiny.toml", "--set", "strategy=opnmp"}, "did you mean 'openmp'"},
      {{"run", "tiny.toml", "--set", "chunk_size=9"}, "chunk_size 9 is larger than tasks 8"},
      {{"run", "tiny.toml", "--filter", "nothing"}, "no cell is left"},
      {{"run", "tiny.toml", "--filter", "["}, "no regular expression"},
      {{"run", "tiny.toml", "--rounds", "0"}, "rounds"},
      {{"run", "tiny.toml", "--seed", "-1"}, "seed"},
      {{"run", "tiny.toml", "--seed", "9223372036854775808"}, "seed"},
      {{"run", "tiny.toml", "--progress", "baar"}, "did you mean 'bar'"},
      {{"run", "tiny.toml", "tiny.toml"}, "given twice"},
      {{"run", "tiny.toml", "--control"}, "--base BIN"},
      {{"run", "tiny.toml", "--head", "x"}, "--base BIN"},
      {{"run", "tiny.toml", "--resume", "x"}, "--resume"},
      {{"run", "--resume", "x", "--rounds", "3"}, "--resume"},
      {{"run", "--resume", "none"}, "--resume none: No such file"},
      {{"run", "--resume", "."}, "not the folder of a run"},
      {{"run", "tiny.toml", "--budget", "3"}, "--budget 3: '3' is no duration"},
  };
  for (const auto& [words, said] : cases) {
    const Result result = program(words);
    EXPECT_EQ(result.status, 2) << words.back() << ": " << result.err;
    EXPECT_THAT(result.err, HasSubstr(said));
    EXPECT_EQ(result.out, "");
  }
  EXPECT_FALSE(fs::exists(folder_ + "/results"));
}

TEST_F(RunTest, WhatCannotBePrintedIsNoSuccess) {
  write("tiny.toml", kTiny);
  for (const char* where : {"/dev/full", ""}) {
    for (const std::vector<std::string>& words : std::vector<std::vector<std::string>>{
             {"list"}, {"--version"}, {"--help"}, {"doctor"}, {"run", "tiny.toml", "--dry-run"}}) {
      const Result result = program(words, where);
      EXPECT_EQ(result.status, 1) << words.front() << " to '" << where << "'";
      EXPECT_THAT(result.err, HasSubstr(*where == '\0' ? "Bad file descriptor" : "No space left on device"));
    }
  }
}

TEST_F(RunTest, WithoutStandardOutputTheFilesOfTheRunHoldNothingElse) {
  write("tiny.toml", kTiny);
  const Result result = program({"run", "tiny.toml", "--out", "runs"}, "");
  EXPECT_EQ(result.status, 1) << result.err;
  for (const auto& entry : fs::directory_iterator(folder_ + "/runs")) {
    EXPECT_EQ(rows(entry.path().string()).size(), 9U);
    EXPECT_TRUE(nlohmann::json::accept(read((entry.path() / "machine.json").string())));
    EXPECT_TRUE(nlohmann::json::accept(read((entry.path() / "plan.json").string())));
  }
}

TEST_F(RunTest, WhatPinsOpenMpsThreadsIsNoHindrance) {
  write("tiny.toml", kTiny);
  for (const char* name : {"OMP_PROC_BIND", "OMP_PLACES", "GOMP_CPU_AFFINITY"}) {
    ::setenv(name, std::string(name) == "OMP_PROC_BIND" ? "true" : "{0}", 1);
    const Result result = program({"run", "tiny.toml", "--dry-run"});
    ::unsetenv(name);
    EXPECT_EQ(result.status, 0) << name << ": " << result.err;
  }
}

TEST_F(RunTest, AForcedKernelThatCannotRunEndsTheCallBeforeAnythingIsMeasured) {
  write("tiny.toml", "[[group]]\nworkload = \"noise\"\ntasks = 2\n");
  ::setenv("NOISEFLOOR_KERNEL", "sclar", 1);
  const Result unknown = program({"run", "tiny.toml", "--out", "runs"});
  EXPECT_EQ(unknown.status, 2);
  EXPECT_THAT(unknown.err, AllOf(HasSubstr("NOISEFLOOR_KERNEL is set"), HasSubstr("did you mean 'scalar'")));
#if defined(__x86_64__)
  ::setenv("NOISEFLOOR_KERNEL", "neon64", 1);
  const Result unavailable = program({"run", "tiny.toml", "--out", "runs"});
  EXPECT_EQ(unavailable.status, 3);
  EXPECT_THAT(unavailable.err, HasSubstr("needs an AArch64 CPU"));
#endif
  ::unsetenv("NOISEFLOOR_KERNEL");
  EXPECT_FALSE(fs::exists(folder_ + "/runs"));
}

TEST_F(RunTest, NamesThatAreNoTextStillMakeJson) {
  ::setenv("NOISEFLOOR_CACHE", (folder_ + "/cache\xff").c_str(), 1);
  ::setenv("NOISEFLOOR_SWEEPS", folder_.c_str(), 1);
  write("a\xff.toml", kTiny);
  for (const std::vector<std::string>& words :
       std::vector<std::vector<std::string>>{{"doctor", "--json"}, {"list", "sweeps", "--json"}, {"list", "--json"}}) {
    const Result result = program(words);
    EXPECT_EQ(result.status, 0) << result.err;
    EXPECT_TRUE(nlohmann::json::accept(result.out)) << words.front();
  }
  ::unsetenv("NOISEFLOOR_SWEEPS");
}

TEST_F(RunTest, ABudgetLeavesOutWhatDoesNotFitAndSaysSo) {
  write("tiny.toml", kTiny);
  const Result result = program({"run", "tiny.toml", "--out", "runs", "--rounds", "1000", "--budget", "2s"});
  EXPECT_THAT(result.err, HasSubstr("budget 2 s: "));
  const std::string run = folder_ + "/" + result.out.substr(0, result.out.size() - 1);
  std::map<std::string, std::set<std::string>> rounds;
  std::size_t left_out = 0;
  for (const Row& row : rows(run)) {
    if (row["status"] == "ok") rounds[row["cell_id"]].insert(row["round"]);
    left_out += row["message"].starts_with("budget: ");
  }
  for (const auto& [cell, seen] : rounds) EXPECT_LT(seen.size(), 1000U);
  // On a machine that is busy enough not one launch of a cell fits.
  EXPECT_EQ(result.status, rounds.empty() ? 2 : 0) << result.err;
  EXPECT_GT(rounds.size() + left_out, 0U);
}

TEST_F(RunTest, RowsTellTheWaitPolicyInForce) {
  write("tiny.toml", kTiny);
  ::setenv("OMP_WAIT_POLICY", "ACTIVE", 1);
  const Result result = program({"run", "tiny.toml", "--out", "runs"});
  ::unsetenv("OMP_WAIT_POLICY");
  ASSERT_EQ(result.status, 0) << result.err;
  for (const Row& row : rows(folder_ + "/" + result.out.substr(0, result.out.size() - 1))) {
    if (row["status"] != "ok") continue;
    EXPECT_EQ(row["wait_policy"], row["strategy"] == "openmp" ? "active" : "");
  }
}

TEST_F(RunTest, ABudgetIsKeptByTheCallThatGoesOn) {
  write("tiny.toml", kTiny);
  const Result made = program({"run", "tiny.toml", "--out", "runs", "--rounds", "40", "--budget", "1h"});
  ASSERT_EQ(made.status, 0) << made.err;
  const std::string run = made.out.substr(0, made.out.size() - 1);
  const auto plan = nlohmann::json::parse(read(folder_ + "/" + run + "/plan.json"));
  EXPECT_EQ(plan.at("budget_ns"), std::int64_t{3600} * 1'000'000'000);
  EXPECT_GT(plan.at("spent_ns"), 0);
  const Result again = program({"run", "--resume", run});
  EXPECT_EQ(again.status, 0) << again.err;
  EXPECT_THAT(again.err, HasSubstr("budget 1 h 00 min: "));
  const Result other = program({"run", "--resume", run, "--budget", "2h"});
  EXPECT_EQ(other.status, 0) << other.err;
  EXPECT_THAT(other.err, HasSubstr("budget 2 h 00 min: "));
  const Result wrong = program({"run", "--resume", run, "--budget", "2"});
  EXPECT_EQ(wrong.status, 2);
  EXPECT_THAT(wrong.err, HasSubstr("--budget 2: '2' is no duration"));
}

TEST_F(RunTest, KilledAtAnyMomentARunGoesOnWithoutLossOrDouble) {
  write("long.toml",
        "rounds = 6\nrepetitions = 2\nwarmups = 0\n[[group]]\nworkload = \"spin\"\ntasks = 4\ntask_size = 1000\n"
        "strategy = [\"sequential\", \"openmp\", \"std_thread\"]\nworkers = [1, 2]\n");
  const auto folder_of_run = [&]() -> std::string {
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator(folder_ + "/runs", ignored)) {
      if (fs::exists(entry.path() / "plan.json")) return entry.path().string();
    }
    return {};
  };
  std::vector<std::string> words = {"run", "long.toml", "--out", "runs", "--seed", "3", "--base", NOISEFLOOR_PROGRAM};
  int kills = 0;
  Result result;
  const auto size = [&]() -> std::uintmax_t {
    std::error_code absent;
    const auto bytes = fs::file_size(folder_of_run() + "/observations.csv", absent);
    return absent ? 0 : bytes;
  };
  for (;;) {
    const std::uintmax_t before = size();
    const pid_t child = start(words);
    int status = 0;
    pid_t ended = 0;
    // The first is killed as soon as there is a plan, the others after some more launches, in the middle of one.
    while ((ended = ::waitpid(child, &status, WNOHANG)) == 0 &&
           (folder_of_run().empty() || (kills > 0 && size() < before + 9000))) {
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    if (ended == child) {
      ASSERT_EQ(WEXITSTATUS(status), 0) << read(folder_ + "/err");
      break;
    }
    ::kill(child, SIGKILL);
    finish(child);
    ++kills;
    words = {"run", "--resume", folder_of_run()};
  }
  EXPECT_GT(kills, 2);
  std::map<std::string, int> seen;
  std::set<std::string> orders;
  std::size_t skipped = 0;
  const auto all = rows(folder_of_run());
  for (const Row& row : all) {
    ++seen[row["cell_id"] + row["arm"] + row["round"] + "/" + row["repetition"]];
    orders.insert(row["order"]);
    skipped += row["status"] == "skipped" ? 1 : 0;
  }
  EXPECT_EQ(skipped, 2U) << "sequential with two workers, in each arm";
  EXPECT_EQ(all.size(), 5U * 6 * 2 * 2 + 2);
  EXPECT_EQ(seen.size(), all.size()) << "none doubled";
  EXPECT_EQ(orders.size(), 5U * 6 * 2 + 2);
  EXPECT_FALSE(fs::exists(folder_of_run() + "/bin"));
  EXPECT_TRUE(nlohmann::json::accept(read(folder_of_run() + "/benchmark.json")));
  EXPECT_TRUE(nlohmann::json::accept(read(folder_of_run() + "/benchmark-base.json")));

  // Nothing is left to do: what is said is said again.
  const std::string before = read(folder_of_run() + "/observations.csv");
  EXPECT_EQ(program({"run", "--resume", folder_of_run()}).status, 0);
  EXPECT_EQ(read(folder_of_run() + "/observations.csv"), before);
}

TEST_F(RunTest, ARunOfAnotherBuildOrMachineIsNotContinued) {
  write("tiny.toml", kTiny);
  const Result made = program({"run", "tiny.toml", "--out", "runs"});
  const std::string run = folder_ + "/" + made.out.substr(0, made.out.size() - 1);
  const std::string plan = read(run + "/plan.json");
  const std::string observations = read(run + "/observations.csv");
  const auto with = [&](const std::string& name, const std::string& value) {
    std::string text = plan;
    const std::size_t at = text.find("\"" + name + "\": \"") + name.size() + 5;
    text.replace(at, text.find('"', at) - at, value);
    std::ofstream(run + "/plan.json") << text;
    return program({"run", "--resume", run});
  };
  const Result build = with("build_id", "0123456789abcdef");
  EXPECT_EQ(build.status, 2);
  EXPECT_THAT(build.err, AllOf(HasSubstr("made by build 0123456789abcdef"), HasSubstr("start a new run")));
  auto machine = nlohmann::json::parse(read(run + "/machine.json"));
  const auto model = machine["cpu"]["model"];
  machine["cpu"]["model"] = "another CPU";
  std::ofstream(run + "/machine.json") << machine;
  const Result other = with("machine_id", "01234567");
  EXPECT_EQ(other.status, 2);
  EXPECT_THAT(other.err, AllOf(HasSubstr("made on machine 01234567"), HasSubstr("cpu/model was \"another CPU\"")));
  std::ofstream(run + "/plan.json") << plan.substr(0, plan.find("seed"));
  const Result torn = program({"run", "--resume", run});
  EXPECT_EQ(torn.status, 2);
  EXPECT_THAT(torn.err, HasSubstr("plan.json:"));
  std::ofstream(run + "/plan.json") << plan;
  machine["cpu"]["model"] = model;
  std::ofstream(run + "/machine.json") << machine;
  ::setenv("OMP_WAIT_POLICY", "active", 1);
  const Result environment = program({"run", "--resume", run});
  ::unsetenv("OMP_WAIT_POLICY");
  EXPECT_EQ(environment.status, 2);
  EXPECT_THAT(environment.err,
              AllOf(HasSubstr("another environment: environment was"), HasSubstr("\"OMP_WAIT_POLICY\":\"active\"")));
  EXPECT_EQ(program({"run", "--resume", run}).status, 0);
  std::ofstream(run + "/machine.json") << "{\n\"cpu\": oops\n}\n";
  const Result broken = program({"run", "--resume", run});
  EXPECT_EQ(broken.status, 2);
  EXPECT_THAT(broken.err, AllOf(HasSubstr("machine.json"), HasSubstr("line 2")));
  EXPECT_EQ(read(run + "/observations.csv"), observations);
}

TEST_F(RunTest, AnInterruptLeavesNoOutputOfTheLaunchThatItEnded) {
  write("long.toml",
        "rounds = 1\nrepetitions = 10000\nwarmups = 0\n[[group]]\nworkload = \"etl\"\ntasks = 2\ntask_size = 1000\n");
  const pid_t child = start({"run", "long.toml", "--out", "runs"});
  const std::string outputs = folder_ + "/cache/output";
  const auto patience = std::chrono::steady_clock::now() + std::chrono::minutes(10);
  std::error_code ignored;
  while ((!fs::exists(outputs) || fs::is_empty(outputs, ignored)) && std::chrono::steady_clock::now() < patience)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  ::kill(child, SIGINT);
  const Result result = finish(child);
  EXPECT_EQ(result.status, 130) << result.err;
  EXPECT_TRUE(fs::is_directory(outputs)) << "or nothing was tested";
  EXPECT_TRUE(fs::is_empty(outputs));
}

TEST_F(RunTest, WhatNeedsNoFilesNeedsNoCache) {
  write("tiny.toml", "[[group]]\nworkload = \"spin\"\ntasks = 2\ntask_size = 10\n");
  const char* home = std::getenv("HOME");
  const std::string kept = home != nullptr ? home : "";
  for (const char* name : {"NOISEFLOOR_CACHE", "XDG_CACHE_HOME", "HOME"}) ::unsetenv(name);
  EXPECT_EQ(program({"doctor"}).status, 0);
  const Result run = program({"run", "tiny.toml", "--rounds", "1", "--out", "runs"});
  EXPECT_EQ(run.status, 0) << run.err;
  EXPECT_EQ(program({"run", "tiny.toml", "--dry-run"}).status, 0);
  const Result files = program({"launch", "--cell", "workload=etl,tasks=1,task_size=10"});
  EXPECT_NE(files.status, 0);
  EXPECT_THAT(files.out + files.err, HasSubstr("NOISEFLOOR_CACHE"));
  if (home != nullptr) ::setenv("HOME", kept.c_str(), 1);
}

TEST_F(RunTest, ACacheThatCannotBeMadeIsNamedWithItsVariable) {
  write("file", "");
  ::setenv("NOISEFLOOR_CACHE", (folder_ + "/file/cache").c_str(), 1);
  const Result result = program({"launch", "--cell", "workload=etl,tasks=1,task_size=10"});
  EXPECT_NE(result.status, 0);
  EXPECT_THAT(result.out + result.err, AllOf(HasSubstr(folder_ + "/file/cache"), HasSubstr("NOISEFLOOR_CACHE")));
}

TEST_F(RunTest, ADiskThatIsFullStopsTheRunWithWholeRowsAndItGoesOnWhenThereIsRoom) {
  write("tiny.toml", kTiny);
  const pid_t limited = ::fork();
  ASSERT_GE(limited, 0);
  if (limited == 0) {
    // Room for the facts of the machine, and for a part of the rows.
    const rlimit limit{9000, 9000};
    ::setenv("TMPDIR", "/proc/none", 1);  // the thread sanitizer maps a file that it writes there: cut short, it kills
    if (::chdir(folder_.c_str()) != 0 || ::setrlimit(RLIMIT_FSIZE, &limit) != 0) ::_exit(126);
    const int out = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
    const int err = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (::dup2(out, 1) < 0 || ::dup2(err, 2) < 0) ::_exit(126);
    ::execl(NOISEFLOOR_PROGRAM, NOISEFLOOR_PROGRAM, "run", "tiny.toml", "--out", "runs", "--rounds", "20", nullptr);
    ::_exit(127);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(limited, &status, 0), limited);
  EXPECT_EQ(WEXITSTATUS(status), 1);
  std::string run;
  for (const auto& entry : fs::directory_iterator(folder_ + "/runs")) run = entry.path().string();
  ASSERT_NE(run, "");
  if (!fs::exists(run + "/observations.csv")) GTEST_FAIL() << "the limit was too small for the facts";
  const std::string text = read(run + "/observations.csv");
  EXPECT_EQ(text.back(), '\n');
  const auto before = rows(run);
  EXPECT_GT(before.size(), 0U);
  EXPECT_LT(before.size(), 81U);
  const Result resumed = program({"run", "--resume", run});
  EXPECT_EQ(resumed.status, 0) << resumed.err;
  EXPECT_EQ(rows(run).size(), 81U);
}

TEST_F(RunTest, AFolderThatCannotBeMadeIsNamed) {
  write("tiny.toml", kTiny);
  for (const char* out : {"tiny.toml", "/proc/none"}) {
    const Result result = program({"run", "tiny.toml", "--out", out});
    EXPECT_EQ(result.status, 1) << out;
    EXPECT_THAT(result.err, AllOf(HasSubstr(out), HasSubstr("--out")));
  }
}

// The test's own cache names them: whatever was started here, and by whom it was adopted since.
std::size_t processes_with_cache(const std::string& cache) {
  std::size_t count = 0;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator("/proc", ignored)) {
    std::ifstream file(entry.path() / "environ", std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    std::ifstream command(entry.path() / "cmdline", std::ios::binary);
    std::string word;
    std::getline(command, word, '\0');
    count += word == NOISEFLOOR_PROGRAM && text.find("NOISEFLOOR_CACHE=" + cache) != std::string::npos ? 1U : 0U;
  }
  return count;
}

TEST_F(RunTest, NothingIsLeftRunningHoweverTheRunIsEnded) {
  write("long.toml",
        "[[group]]\nworkload = \"spin\"\ntasks = 2\ntask_size = 20000000000\nstrategy = \"fork_pool\"\nworkers = 2\n");
  for (const int signal : {SIGINT, SIGTERM, SIGKILL}) {
    const pid_t child = start({"run", "long.toml", "--out", "runs"});
    const auto patience = std::chrono::steady_clock::now() + std::chrono::minutes(10);
    while (processes_with_cache(folder_ + "/cache") < 2 && std::chrono::steady_clock::now() < patience) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    EXPECT_GE(processes_with_cache(folder_ + "/cache"), 2U) << "the run and its launch";
    ::kill(child, signal);
    const Result result = finish(child);
    EXPECT_EQ(result.status, signal == SIGKILL ? 1000 + SIGKILL : 130);
    const auto end = std::chrono::steady_clock::now() + std::chrono::minutes(10);
    while (processes_with_cache(folder_ + "/cache") != 0 && std::chrono::steady_clock::now() < end) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    EXPECT_EQ(processes_with_cache(folder_ + "/cache"), 0U) << "after signal " << signal;
  }
}

const std::string kLong =
    "rounds = 1000\nrepetitions = 1\nwarmups = 0\n[[group]]\nworkload = \"spin\"\ntasks = 2\ntask_size = 1000\n";

TEST_F(RunTest, AnInterruptKeepsTheRowsAndExitsWith130) {
  write("long.toml", kLong);
  const pid_t child = start({"run", "long.toml", "--out", "runs"});
  wait_for_rows();
  ::kill(child, SIGINT);
  const Result result = finish(child);
  EXPECT_EQ(result.status, 130) << result.err;
  EXPECT_THAT(result.err, HasSubstr("interrupted"));
  ASSERT_THAT(result.out, StartsWith("runs/"));
  const auto kept = rows(folder_ + "/" + result.out.substr(0, result.out.size() - 1));
  EXPECT_GE(kept.size(), 3U);
  for (const Row& row : kept) EXPECT_EQ(row["status"], "ok");
  EXPECT_THAT(result.err, HasSubstr("--resume runs/"));
}

TEST_F(RunTest, ARunBesideAnotherIsToldThatBothAreWrong) {
  write("long.toml", kLong);
  write("tiny.toml", kTiny);
  const pid_t other = start({"run", "long.toml", "--out", "runs"}, "other");
  wait_for_rows();
  fs::rename(folder_ + "/err", folder_ + "/other.err");
  const Result result = program({"run", "tiny.toml", "--out", "second"});
  ::kill(other, SIGINT);
  ::waitpid(other, nullptr, 0);
  EXPECT_EQ(result.status, 0);
  EXPECT_THAT(result.err, HasSubstr("another noisefloor run is measuring"));
}

}  // namespace
}  // namespace noisefloor
