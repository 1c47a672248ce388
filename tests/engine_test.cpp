// The engine, with a launcher that only pretends and a clock that stands still.
// SPDX-License-Identifier: MIT
#include "harness/sweep/engine.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "harness/base/error.hpp"
#include "harness/sweep/calibration.hpp"

namespace noisefloor {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::Each;
using ::testing::HasSubstr;

constexpr std::uint64_t kDigest = 0x1234;
constexpr std::uint64_t kNaiveDigest = 0x9999;

/// Answers every request with good rows, unless told otherwise; remembers all requests.
class FakeLauncher : public Launcher {
 public:
  LaunchOutcome launch(const LaunchRequest& request) override {
    requests.push_back(request);
    LaunchOutcome outcome = good(request);
    if (change) change(request, outcome);
    now += outcome.duration;
    return outcome;
  }

  static LaunchOutcome good(const LaunchRequest& request) {
    LaunchOutcome outcome;
    outcome.end = LaunchEnd::finished;
    outcome.duration = milliseconds(100);
    const Cell& cell = request.options.cell;
    for (int i = 0; i < request.options.repetitions; ++i) {
      Row row;
      for (const Axis& axis : axes()) row[axis.name] = axis.get(cell);
      if (cell.kernel == "auto") row["kernel"] = "avx2";
      row["cell_id"] = cell_id(cell);
      row["repetition"] = std::to_string(i);
      row["iterations"] = std::to_string(request.options.iterations != 0 ? request.options.iterations : 4);
      row["wall_ns"] = std::to_string(std::uint64_t{4} * cell.tasks * cell.task_size * 10'000U);
      row["digest"] = fmt::format("{:016x}", cell.kernel == "naive" ? kNaiveDigest : kDigest);
      row["status"] = "ok";
      outcome.rows.push_back(row);
    }
    return outcome;
  }

  [[nodiscard]] std::vector<LaunchRequest> first() const {
    std::vector<LaunchRequest> result;
    for (const auto& request : requests) {
      if (request.options.iterations == 0) result.push_back(request);
    }
    return result;
  }
  [[nodiscard]] std::vector<LaunchRequest> rounds() const {
    return {requests.begin() + static_cast<std::ptrdiff_t>(first().size()), requests.end()};
  }

  std::vector<LaunchRequest> requests;
  std::chrono::nanoseconds now{0};  ///< a clock that only launches move
  std::function<void(const LaunchRequest&, LaunchOutcome&)> change;
};

class Memory : public RowSink {
 public:
  void append(std::span<const Row> some) override { rows.insert(rows.end(), some.begin(), some.end()); }
  std::vector<Row> rows;
};

Plan plan_of(const std::string& lines, int rounds = 3, std::uint64_t seed = 1) {
  return make_plan({parse_sweep(std::string("repetitions = 2\nwarmups = 1\n").append(lines), "s.toml")},
                   {.rounds = rounds, .seed = seed});
}

const std::string kFour =
    "[[group]]\nworkload = \"spin\"\ntasks = 8\ntask_size = 100\nstrategy = \"openmp\"\nworkers = [1, 2, 3, 4]\n";

struct Trial {
  explicit Trial(Plan made) : plan(std::move(made)) {
    plan.arms[0].build_id = "build";
    plan.arms[0].git_sha = "sha";
  }

  RunSummary operator()() { return operator()(sink); }
  RunSummary operator()(RowSink& rows) {
    Progress progress(stream, ProgressStyle::none, {}, [] { return std::chrono::nanoseconds(0); });
    const RunIdentity identity{"run", "machine"};
    options.changed = [this](const Plan& seen) {
      ++calibrated;
      launches_when_calibrated = launcher.requests.size();
      plan_when_calibrated = seen;
    };
    options.clock = [this] { return launcher.now; };
    return run_plan(plan, identity, launcher, rows, progress, options);
  }
  ~Trial() { std::fclose(stream); }
  Trial(const Trial&) = delete;
  Trial& operator=(const Trial&) = delete;

  std::vector<std::string> values(const char* column) const {
    std::vector<std::string> result;
    for (const Row& row : sink.rows) result.push_back(row[column]);
    return result;
  }

  Plan plan;
  FakeLauncher launcher;
  RunOptions options;
  Memory sink;
  std::FILE* stream = std::fopen("/dev/null", "w");
  int calibrated = 0;
  std::size_t launches_when_calibrated = 0;
  Plan plan_when_calibrated;
};

TEST(Engine, LaunchesEveryCellOncePerRoundInAnOrderThatDiffers) {
  Trial run(plan_of(kFour));
  const RunSummary summary = run();
  EXPECT_EQ(summary.status(), ExitStatus::done);
  EXPECT_EQ(summary.measured, 12U);
  EXPECT_EQ(summary.observations, 24U);
  const auto launches = run.launcher.rounds();
  ASSERT_EQ(launches.size(), 12U);
  std::set<std::vector<int>> orders;
  for (std::size_t round = 0; round < 3; ++round) {
    std::vector<int> workers;
    for (std::size_t i = 0; i < 4; ++i) workers.push_back(launches[4 * round + i].options.cell.workers);
    orders.insert(workers);
    std::sort(workers.begin(), workers.end());
    EXPECT_EQ(workers, (std::vector<int>{1, 2, 3, 4}));
  }
  EXPECT_GT(orders.size(), 1U);
}

TEST(Engine, TheSameSeedGivesTheSameLaunches) {
  Trial one(plan_of(kFour, 3, 9));
  Trial two(plan_of(kFour, 3, 9));
  one();
  two();
  ASSERT_EQ(one.launcher.requests.size(), two.launcher.requests.size());
  for (std::size_t i = 0; i < one.launcher.requests.size(); ++i) {
    EXPECT_EQ(one.launcher.requests[i].options.cell, two.launcher.requests[i].options.cell);
    EXPECT_EQ(one.launcher.requests[i].padding_bytes, two.launcher.requests[i].padding_bytes);
  }
}

TEST(Engine, RowsKnowTheirPlaceInTheRun) {
  Trial run(plan_of(kFour, 2));
  run();
  ASSERT_EQ(run.sink.rows.size(), 16U);
  for (std::size_t i = 0; i < run.sink.rows.size(); ++i) {
    const Row& row = run.sink.rows[i];
    EXPECT_EQ(row["run_id"], "run");
    EXPECT_EQ(row["machine_id"], "machine");
    EXPECT_EQ(row["arm"], "head");
    EXPECT_EQ(row["sweep"], "s");
    EXPECT_EQ(row["round"], std::to_string(i / 8));
    EXPECT_EQ(row["order"], std::to_string(i / 2));
    EXPECT_EQ(row["launch"], std::to_string(i / 2)) << "both repetitions of a launch, and no other row";
    EXPECT_EQ(row["repetition"], std::to_string(i % 2));
  }
}

TEST(Engine, CalibratesEachCellOnceAndKeepsItsIterations) {
  Trial run(plan_of(kFour));
  run.launcher.change = [](const LaunchRequest& request, LaunchOutcome& outcome) {
    if (request.options.iterations == 0) {
      for (Row& row : outcome.rows) row["iterations"] = std::to_string(10 * request.options.cell.workers);
    }
  };
  run();
  // Four cells, and the sequential one: its output is the oracle, its time the granularity.
  EXPECT_EQ(run.launcher.first().size(), 5U);
  for (const LaunchRequest& request : run.launcher.first()) {
    EXPECT_EQ(request.options.repetitions, 5);
    EXPECT_EQ(request.options.warmups, 1);
  }
  for (const LaunchRequest& request : run.launcher.rounds()) {
    EXPECT_EQ(request.options.iterations, 10U * static_cast<unsigned>(request.options.cell.workers));
    EXPECT_EQ(request.options.repetitions, 2);
    EXPECT_EQ(request.options.warmups, 1);
    EXPECT_EQ(request.options.seed, 1U);
  }
  EXPECT_EQ(run.calibrated, 1);
  EXPECT_EQ(run.launches_when_calibrated, 5U);
  for (const PlannedCell& planned : run.plan_when_calibrated.cells) EXPECT_TRUE(planned.calibration.has_value());
}

TEST(Engine, IterationsThatProveTooFewAreDoubled) {
  Trial run(plan_of(kFour, 1));
  run.launcher.change = [](const LaunchRequest& request, LaunchOutcome& outcome) {
    // One worker's doubling stopped at 4 because of a hiccup: a repetition lasts 1.5 ms.
    if (request.options.cell.workers == 1 && request.options.cell.strategy == "openmp") {
      for (Row& row : outcome.rows) row["wall_ns"] = "1500000";
      outcome.rows[0]["wall_ns"] = "6000000";
    }
  };
  run();
  for (const LaunchRequest& request : run.launcher.rounds()) {
    EXPECT_EQ(request.options.iterations, request.options.cell.workers == 1 ? 16U : 4U);
  }
}

TEST(Engine, OnlyTheRepetitionsOfACellGetLongerWithItsIterations) {
  Trial run(plan_of(kFour, 1));
  run.launcher.change = [](const LaunchRequest& request, LaunchOutcome& outcome) {
    outcome.duration = seconds(3);  // of which the six repetitions take 9 ms
    for (Row& row : outcome.rows) row["wall_ns"] = request.options.cell.workers == 1 ? "6000000" : "1500000";
  };
  run();
  for (const PlannedCell& planned : run.plan.cells) {
    ASSERT_TRUE(planned.calibration.has_value());
    const bool long_enough = planned.cell.workers == 1;
    EXPECT_EQ(planned.calibration->iterations, long_enough ? 4U : 16U);
    // Three repetitions are due, of up to four times the length. The trial had eight: two for doubling, a warm-up,
    // five.
    EXPECT_EQ(planned.calibration->expected_ns, long_enough ? 2'970'000'000U : 3'006'000'000U);
    EXPECT_EQ(planned.calibration->repetition_ns, 6'000'000U);
  }
}

TEST(Engine, WhereAutoIsForcedToBeNaiveItIsComparedWithItself) {
  Trial run(plan_of("[[group]]\nworkload = \"noise\"\ntasks = 4\nkernel = [\"auto\", \"scalar\"]\n", 1));
  ::setenv("NOISEFLOOR_KERNEL", "naive", 1);
  run();
  const std::string oracle = oracle_cell(run.plan.cells[0].cell).kernel;
  ::unsetenv("NOISEFLOOR_KERNEL");
  EXPECT_EQ(oracle, "naive");
  EXPECT_EQ(oracle_cell(run.plan.cells[0].cell).kernel, "scalar");
  ASSERT_EQ(run.launcher.rounds().size(), 2U);
  for (const LaunchRequest& request : run.launcher.rounds()) {
    EXPECT_EQ(request.options.expected_digest, request.options.cell.kernel == "auto" ? kNaiveDigest : kDigest);
  }
}

TEST(Engine, CellsOfTwoGroupsThatAreTheSameWorkAreCalibratedOnce) {
  Trial run(plan_of("[base]\nworkload = \"spin\"\ntasks = 4\n[[group]]\nname = \"a\"\n[[group]]\nname = \"b\"\n"));
  run();
  EXPECT_EQ(run.launcher.first().size(), 1U);
  EXPECT_EQ(run.launcher.rounds().size(), 6U);
  const auto sweeps = run.values("sweep");
  EXPECT_EQ(std::count(sweeps.begin(), sweeps.end(), "s.a"), 6);
  EXPECT_EQ(std::count(sweeps.begin(), sweeps.end(), "s.b"), 6);
}

TEST(Engine, EveryLaunchMustReproduceTheOracle) {
  Trial run(
      plan_of("[base]\nworkload = \"noise\"\ntasks = 4\n[[group]]\nkernel = [\"naive\", \"auto\"]\n"
              "strategy = [\"sequential\", \"openmp\"]\n"));
  run();
  std::set<std::string> without;
  for (const LaunchRequest& request : run.launcher.requests) {
    const Cell& cell = request.options.cell;
    if (!request.options.expected_digest) {
      without.insert(cell.kernel);
      EXPECT_EQ(cell.strategy, "sequential");
      EXPECT_EQ(cell.workers, 1);
    } else {
      EXPECT_EQ(*request.options.expected_digest, cell.kernel == "naive" ? kNaiveDigest : kDigest);
    }
  }
  EXPECT_EQ(without, (std::set<std::string>{"naive", "scalar"}));
}

TEST(Engine, TheDurationOfATaskIsTheSameInAllCellsThatRunIt) {
  Trial run(
      plan_of("[base]\nworkload = \"spin\"\n[[group]]\ntasks = [2, 8]\ntask_size = [100, 300]\n"
              "strategy = [\"sequential\", \"openmp\"]\n"));
  run.launcher.change = [](const LaunchRequest& request, LaunchOutcome& outcome) {
    // Few tasks look dear, OpenMP's cheap: neither may show.
    if (request.options.cell.tasks == 2 || request.options.cell.strategy == "openmp") {
      for (Row& row : outcome.rows) row["wall_ns"] = "7000";
    } else {
      outcome.rows[0]["wall_ns"] = "999999999999";  // one disturbed repetition may not, either
    }
  };
  run();
  ASSERT_EQ(run.sink.rows.size(), 48U);
  for (const Row& row : run.sink.rows) EXPECT_EQ(row["task_ns"], row["task_size"] == "100" ? "1000000" : "3000000");
  for (const LaunchRequest& request : run.launcher.rounds()) EXPECT_TRUE(request.options.cell.task_ns.has_value());
}

TEST(Engine, ASkippedCellIsOneRowAndIsNotLaunchedAgain) {
  Trial run(plan_of(kFour));
  run.launcher.change = [](const LaunchRequest& request, LaunchOutcome& outcome) {
    if (request.options.cell.workers != 3) return;
    outcome.rows.resize(1);
    outcome.rows[0]["status"] = "skipped";
    outcome.rows[0]["message"] = "three is one too many";
    outcome.rows[0]["iterations"] = "";
  };
  const RunSummary summary = run();
  EXPECT_EQ(summary.status(), ExitStatus::done);
  EXPECT_EQ(summary.skipped, 1U);
  EXPECT_EQ(summary.measured, 9U);
  EXPECT_EQ(run.launcher.rounds().size(), 9U);
  std::vector<Row> skipped;
  for (const Row& row : run.sink.rows) {
    if (row["status"] == "skipped") skipped.push_back(row);
  }
  ASSERT_EQ(skipped.size(), 1U);
  EXPECT_EQ(skipped[0]["workers"], "3");
  EXPECT_EQ(skipped[0]["message"], "three is one too many");
  EXPECT_EQ(skipped[0]["run_id"], "run");
  EXPECT_EQ(skipped[0]["sweep"], "s");
  EXPECT_EQ(skipped[0]["round"], "0");
  EXPECT_EQ(skipped[0]["wall_ns"], "");
}

TEST(Engine, ACrashAndATimeoutAreRowsAndTheOthersGoOn) {
  Trial run(plan_of("[[group]]\nworkload = \"noise\"\ntasks = 8\nstrategy = \"openmp\"\nworkers = [1, 2, 3]\n", 2));
  run.launcher.change = [](const LaunchRequest& request, LaunchOutcome& outcome) {
    if (request.options.iterations == 0 || request.options.cell.workers == 1) return;
    outcome.rows.clear();
    outcome.end = request.options.cell.workers == 2 ? LaunchEnd::failed : LaunchEnd::timeout;
    outcome.message = request.options.cell.workers == 2 ? "ended by SIGSEGV" : "killed";
  };
  const RunSummary summary = run();
  EXPECT_EQ(summary.status(), ExitStatus::failed) << "of the crash";
  EXPECT_EQ(summary.failed, 2U);
  EXPECT_EQ(summary.timeout, 3U) << "tried again at the end of its round, and no more where that was in vain";
  EXPECT_EQ(summary.measured, 3U) << "what it is compared with is measured beside it";
  std::set<std::string> launches;
  for (const Row& row : run.sink.rows) {
    launches.insert(row["launch"]);
    if (row["workers"] == "1") {
      EXPECT_EQ(row["status"], "ok");
      continue;
    }
    EXPECT_EQ(row["status"], row["workers"] == "2" ? "failed" : "timeout");
    // A lower bound: three repetitions of 64 iterations were to be made in that time.
    EXPECT_EQ(row["wall_ns"], row["workers"] == "2" ? "" : "100000000");
    EXPECT_EQ(row["iterations"], row["workers"] == "2" ? "" : "192");
    EXPECT_EQ(row["message"], row["workers"] == "2" ? "ended by SIGSEGV" : "killed");
    EXPECT_EQ(row["schema"], std::to_string(kCsvSchema));
    EXPECT_EQ(row["build_id"], "build");
    EXPECT_EQ(row["git_sha"], "sha");
    EXPECT_EQ(row["kernel"], "avx2") << "what auto means here is known from the first launch";
    Cell cell = run.plan.cells[0].cell;
    cell.workers = row["workers"] == "2" ? 2 : 3;
    EXPECT_EQ(row["cell_id"], cell_id(cell));
  }
  EXPECT_EQ(launches.size(), 8U);
  EXPECT_EQ(run.sink.rows.size(), 3U * 2 + 2 + 3);
}

TEST(Engine, ACellThatCannotBeCalibratedIsOneFailedRow) {
  Trial run(plan_of(kFour));
  run.launcher.change = [](const LaunchRequest& request, LaunchOutcome& outcome) {
    if (request.options.cell.workers != 2) return;
    outcome.rows.clear();
    outcome.end = LaunchEnd::failed;
    outcome.message = "exit status 3";
  };
  const RunSummary summary = run();
  EXPECT_EQ(summary.status(), ExitStatus::failed);
  EXPECT_EQ(summary.failed, 1U);
  EXPECT_EQ(summary.measured, 9U);
  const auto messages = run.values("message");
  EXPECT_EQ(std::count(messages.begin(), messages.end(), "calibrating: exit status 3"), 1);
}

TEST(Engine, WithoutAnOracleNothingIsCalledRight) {
  Trial run(plan_of(kFour));
  run.launcher.change = [](const LaunchRequest& request, LaunchOutcome& outcome) {
    if (request.options.cell.strategy != "sequential") return;
    outcome.rows.clear();
    outcome.end = LaunchEnd::failed;
    outcome.message = "no room";
  };
  EXPECT_EQ(run().status(), ExitStatus::failed);
  EXPECT_TRUE(run.launcher.rounds().empty());
  ASSERT_EQ(run.sink.rows.size(), 4U);
  EXPECT_THAT(run.values("message"), Each(HasSubstr("no room")));
}

TEST(Engine, AWrongOutputIsAFailureOfTheRun) {
  Trial run(plan_of(kFour, 1));
  run.launcher.change = [](const LaunchRequest& request, LaunchOutcome& outcome) {
    if (request.options.iterations != 0 && request.options.cell.workers == 4)
      outcome.rows[1]["status"] = "wrong_output";
  };
  const RunSummary summary = run();
  EXPECT_EQ(summary.status(), ExitStatus::failed);
  EXPECT_EQ(summary.wrong_output, 1U);
  EXPECT_EQ(summary.measured, 3U);
  EXPECT_EQ(run.sink.rows.size(), 8U) << "the rows are kept as they are";
}

Plan arms_of(Plan plan, std::initializer_list<const char*> others) {
  for (const char* name : others) {
    plan.arms.push_back({.name = name, .program = std::string("/") + name, .build_id = std::string(name) + " build"});
  }
  return plan;
}

TEST(Engine, ArmsFollowEachOtherInEveryVisitInAnOrderThatDiffers) {
  Trial run(arms_of(plan_of(kFour, 12), {"base", "base2"}));
  run.plan.arms[0].program = "/head";
  const RunSummary summary = run();
  EXPECT_EQ(summary.measured, 144U);
  const auto launches = run.launcher.rounds();
  ASSERT_EQ(launches.size(), 144U);
  std::map<std::vector<std::string>, int> orders;
  for (std::size_t visit = 0; visit < launches.size(); visit += 3) {
    std::vector<std::string> order;
    std::set<std::size_t> paddings;
    for (std::size_t i = visit; i < visit + 3; ++i) {
      EXPECT_EQ(launches[i].options.cell, launches[visit].options.cell);
      EXPECT_EQ(launches[i].options.iterations, launches[visit].options.iterations);
      EXPECT_EQ(launches[i].options.expected_digest, launches[visit].options.expected_digest);
      order.push_back(launches[i].program);
    }
    ++orders[order];
    std::sort(order.begin(), order.end());
    EXPECT_EQ(order, (std::vector<std::string>{"/base", "/base2", "/head"}));
  }
  EXPECT_EQ(orders.size(), 6U) << "of 48 visits";
  for (const LaunchRequest& request : run.launcher.first()) EXPECT_EQ(request.program, "/head");
  std::map<std::string, int> rows;
  for (const Row& row : run.sink.rows) ++rows[row["arm"]];
  EXPECT_EQ(rows, (std::map<std::string, int>{{"head", 96}, {"base", 96}, {"base2", 96}}));
}

TEST(Engine, ACellThatBaseDoesNotKnowIsSkippedThereAndMeasuredWithHead) {
  Trial run(arms_of(plan_of(kFour, 2), {"base"}));
  run.launcher.change = [](const LaunchRequest& request, LaunchOutcome& outcome) {
    if (request.program != "/base" || request.options.cell.workers != 2) return;
    outcome.rows.clear();
    outcome.end = LaunchEnd::failed;
    outcome.exit_status = 2;
    outcome.message = "exit status 2: noisefloor: unknown strategy 'x'";
  };
  const RunSummary summary = run();
  EXPECT_EQ(summary.status(), ExitStatus::done);
  EXPECT_EQ(summary.skipped, 1U);
  EXPECT_EQ(summary.measured, 8U + 6U);
  for (const Row& row : run.sink.rows) {
    if (row["status"] == "ok") continue;
    EXPECT_EQ(row["status"], "skipped");
    EXPECT_EQ(row["arm"], "base");
    EXPECT_EQ(row["workers"], "2");
    EXPECT_EQ(row["build_id"], "base build");
    EXPECT_EQ(row["message"], "base does not know this cell: exit status 2: noisefloor: unknown strategy 'x'");
  }
}

TEST(Engine, RowsAreOfTheArmsBuildWhateverProgramTheLaunchBecame) {
  Trial run(arms_of(plan_of(kFour, 2), {"base"}));
  run.launcher.change = [](const LaunchRequest& request, LaunchOutcome& outcome) {
    for (Row& row : outcome.rows) row["build_id"] = request.options.cell.workers == 2 ? "ranks" : "threads";
  };
  EXPECT_EQ(run().status(), ExitStatus::done);
  for (const Row& row : run.sink.rows) EXPECT_EQ(row["build_id"], row["arm"] == "base" ? "base build" : "build");
}

TEST(Engine, WhatBaseGetsWrongIsKeptAndIsNoFailureOfHead) {
  Trial run(arms_of(plan_of(kFour, 1), {"base"}));
  run.launcher.change = [](const LaunchRequest& request, LaunchOutcome& outcome) {
    if (request.program == "/base") outcome.rows[1]["status"] = "wrong_output";
  };
  const RunSummary summary = run();
  EXPECT_EQ(summary.status(), ExitStatus::done);
  EXPECT_EQ(summary.failed_base, 4U);
  EXPECT_EQ(summary.measured, 4U);
  const auto status = run.values("status");
  EXPECT_EQ(std::count(status.begin(), status.end(), "wrong_output"), 4);
}

TEST(Engine, ACellThatHeadCannotMeasureIsARowOfEveryArm) {
  Trial run(arms_of(plan_of(kFour, 2), {"base"}));
  run.launcher.change = [](const LaunchRequest& request, LaunchOutcome& outcome) {
    if (request.options.cell.workers != 3) return;
    outcome.rows.resize(1);
    outcome.rows[0]["status"] = "skipped";
    outcome.rows[0]["message"] = "three is one too many";
  };
  run();
  std::map<std::string, int> skipped;
  for (const Row& row : run.sink.rows) skipped[row["arm"]] += row["status"] == "skipped" ? 1 : 0;
  EXPECT_EQ(skipped, (std::map<std::string, int>{{"head", 1}, {"base", 1}}));
}

TEST(Engine, WhatAProgramOfAnotherCommitMeasuredIsNotMixedIn) {
  for (const bool from_the_start : {true, false}) {
    Trial run(plan_of(kFour));
    run.launcher.change = [&](const LaunchRequest& request, LaunchOutcome& outcome) {
      const bool other = request.options.cell.workers == 3 && (from_the_start || request.options.iterations != 0);
      for (Row& row : outcome.rows) row["git_sha"] = other ? "older" : "sha";
    };
    EXPECT_EQ(run().status(), ExitStatus::failed);
    for (const Row& row : run.sink.rows) {
      EXPECT_EQ(row["status"], row["workers"] == "3" ? "failed" : "ok");
      EXPECT_EQ(row["git_sha"], "sha");
      if (row["workers"] == "3") {
        EXPECT_THAT(row["message"], HasSubstr("is of commit older, head is of commit sha: build all programs anew"));
      }
    }
  }
}

TEST(EngineArms, AReferenceProgramIsNotCompared) {
  const std::string both =
      "[[group]]\nworkload = \"etl\"\ntasks = 2\ntask_size = 100\ndelivery = \"unordered\"\n"
      "strategy = [\"sequential\", \"sox_xargs\"]\n";
  Trial alone(plan_of(both));
  EXPECT_EQ(alone().skipped, 0U);
  Trial run(arms_of(plan_of(both), {"base"}));
  EXPECT_EQ(run().status(), ExitStatus::done);
  for (const LaunchRequest& request : run.launcher.requests) EXPECT_NE(request.options.cell.strategy, "sox_xargs");
  std::map<std::string, int> skipped;
  for (const Row& row : run.sink.rows) {
    if (row["strategy"] != "sox_xargs") continue;
    EXPECT_EQ(row["status"], "skipped");
    EXPECT_THAT(row["message"], HasSubstr("no part of a build: it is not compared"));
    ++skipped[row["arm"]];
  }
  EXPECT_EQ(skipped, (std::map<std::string, int>{{"head", 1}, {"base", 1}}));
}

const std::string kEight =
    "[[group]]\nworkload = \"spin\"\ntasks = 8\ntask_size = 100\nstrategy = \"openmp\"\n"
    "workers = [1, 2, 3, 4, 5, 6, 7, 8]\n";

/// Launches by cell and arm.
std::map<std::string, int> launches_by_cell(const Memory& sink) {
  std::map<std::string, int> count;
  std::set<std::string> seen;
  for (const Row& row : sink.rows) {
    if (row["status"] != "skipped" && seen.insert(row["launch"]).second) ++count[row["workers"] + row["arm"]];
  }
  return count;
}

// Launches cost from 100 to 800 ms, and another time each; the calibration is wrong by a factor.
void make_costly(Trial& run, double factor) {
  run.launcher.change = [factor, i = 0](const LaunchRequest& request, LaunchOutcome& outcome) mutable {
    const double noise = 0.7 + 0.6 * static_cast<double>(i++ % 7) / 6;
    const double wrong = request.options.iterations == 0 ? 1 : factor;
    outcome.duration =
        std::chrono::nanoseconds(static_cast<std::int64_t>(1e8 * request.options.cell.workers * noise * wrong));
    for (Row& row : outcome.rows) row["wall_ns"] = "6000000";
  };
}

TEST(EngineBudget, IsKeptWithinATenthWhereRoundsCanBeCut) {
  for (const double factor : {0.5, 0.8, 1.0, 1.3, 1.6}) {
    for (const int arms : {1, 2}) {
      Trial run(arms == 1 ? plan_of(kEight, 100) : arms_of(plan_of(kEight, 100), {"base"}));
      make_costly(run, factor);
      run.plan.budget = seconds(120 * arms);
      const RunSummary summary = run();
      EXPECT_EQ(summary.status(), ExitStatus::done);
      EXPECT_EQ(summary.skipped, 0U);
      const double share =
          static_cast<double>(run.launcher.now.count()) / static_cast<double>(run.plan.budget->count());
      EXPECT_LT(share, 1.1) << factor;
      EXPECT_GT(share, 0.9) << factor;
      const auto count = launches_by_cell(run.sink);
      ASSERT_EQ(count.size(), 8U * static_cast<unsigned>(arms));
      const auto [least, most] = std::minmax_element(count.begin(), count.end(),
                                                     [](const auto& a, const auto& b) { return a.second < b.second; });
      EXPECT_GE(least->second, 6);
      EXPECT_LE(most->second - least->second, 1) << "cut evenly";
    }
  }
}

TEST(EngineBudget, LeavesOutTheLastCellsWhereSixRoundsDoNotFit) {
  for (const double factor : {1.0, 1.5}) {
    Trial run(plan_of(kEight, 100));
    make_costly(run, factor);
    run.plan.budget = seconds(17);
    const RunSummary summary = run();
    EXPECT_EQ(summary.status(), ExitStatus::done);
    EXPECT_GT(summary.skipped, 0U);
    EXPECT_LT(run.launcher.now, seconds(17) * 1.1);
    std::map<std::string, std::string> left_out;
    for (const Row& row : run.sink.rows) {
      if (row["status"] == "skipped") left_out[row["workers"]] = row["message"];
    }
    EXPECT_EQ(left_out.size(), summary.skipped) << "each once";
    for (const auto& [workers, message] : left_out) EXPECT_THAT(message, ::testing::StartsWith("budget: "));
    EXPECT_EQ(left_out.count("1"), 0U) << "what comes first in the plan is kept";
    EXPECT_EQ(left_out.count("8"), 1U);
    for (const auto& [cell, launches] : launches_by_cell(run.sink)) {
      if (left_out.count(cell.substr(0, 1)) == 0) {
        EXPECT_GE(launches, 6) << cell;
      }
    }
  }
}

TEST(EngineBudget, NeverEndsBetweenTheArmsOfAVisit) {
  for (int budget = 10; budget < 60; budget += 7) {
    Trial run(arms_of(plan_of(kEight, 100), {"base", "base2"}));
    make_costly(run, 1.4);
    run.plan.budget = seconds(budget);
    run();
    std::map<std::string, std::set<std::string>> arms;
    for (const Row& row : run.sink.rows) {
      if (row["status"] == "ok") arms[row["workers"] + "/" + row["round"]].insert(row["arm"]);
    }
    for (const auto& [visit, seen] : arms) EXPECT_EQ(seen.size(), 3U) << visit << " with " << budget << " s";
  }
}

TEST(EngineBudget, CalibrationTriesNoMoreThanThereIsTimeFor) {
  Trial run(plan_of(kEight, 10));
  make_costly(run, 1);
  run.plan.budget = seconds(2);
  EXPECT_EQ(run().status(), ExitStatus::done);
  EXPECT_LT(run.launcher.now, seconds(3));
  const auto messages = run.values("message");
  EXPECT_GT(std::count_if(
                messages.begin(), messages.end(),
                [](const std::string& one) { return one.find("of what was tried before fill") != std::string::npos; }),
            0);
}

TEST(EngineBudget, ATrialThatHangsEndsWithTheBudget) {
  Trial run(plan_of(kFour));
  run.plan.budget = seconds(60);
  run.launcher.change = [](const LaunchRequest& request, LaunchOutcome& outcome) {
    if (request.options.cell.workers != 3) return;
    outcome.end = LaunchEnd::timeout;
    outcome.rows.clear();
    outcome.message = "killed";
    outcome.duration = request.deadline;
  };
  EXPECT_EQ(run().timeout, 0U);
  EXPECT_LE(run.launcher.now, seconds(63));
  int skipped = 0;
  for (const Row& row : run.sink.rows) {
    if (row["workers"] != "3") continue;
    ++skipped;
    EXPECT_EQ(row["status"], "skipped");
    EXPECT_EQ(row["message"], "budget: 6 rounds of what was tried before fill 1 min 00 s");
  }
  EXPECT_EQ(skipped, 1);
}

/// So large a share of the launch was wanted by others, and was not got.
void disturb(LaunchOutcome& outcome, double share) {
  for (Row& row : outcome.rows) {
    row["disturbed_ns"] = std::to_string(static_cast<std::uint64_t>(share * std::stod(row["wall_ns"])));
    row["others_cpu_ns"] = row["disturbed_ns"];
  }
}

/// Keeps so many launches, then the run is as good as killed.
class Dying : public Memory {
 public:
  explicit Dying(std::size_t appends) : left_(appends) {}
  void append(std::span<const Row> some) override {
    if (left_-- == 0) throw Error("killed");
    Memory::append(some);
  }

 private:
  std::size_t left_;
};

std::vector<KeptLaunch> kept(const std::vector<Row>& rows) {
  std::vector<KeptLaunch> result;
  for (std::size_t from = 0; from < rows.size();) {
    std::size_t end = from;
    while (end < rows.size() && rows[end]["launch"] == rows[from]["launch"]) ++end;
    result.push_back(kept_launch(std::span(rows).subspan(from, end - from)));
    from = end;
  }
  return result;
}

TEST(EngineResume, TheBudgetIsThatOfAllCallsTogether) {
  for (const std::size_t launches : {20U, 130U, 240U}) {
    Trial first(plan_of(kEight, 100));
    make_costly(first, 1);
    first.plan.budget = seconds(120);
    Dying dying(launches);
    EXPECT_THROW(first(dying), Error);

    Trial second(parse_plan(format_plan(first.plan_when_calibrated, {}), "plan.json").plan);
    ASSERT_TRUE(second.plan.budget);
    EXPECT_GT(second.plan.spent, seconds(0));
    EXPECT_LE(second.plan.spent, first.launcher.now);
    make_costly(second, 1);
    second.options.earlier = kept(dying.rows);
    EXPECT_EQ(second().skipped, 0U) << "what was measured before is not to be paid again";
    const double share = static_cast<double>((first.launcher.now + second.launcher.now).count()) / 120e9;
    EXPECT_LT(share, 1.1);
    EXPECT_GT(share, 0.85);
    EXPECT_GT(second.plan.spent, seconds(100));
  }
}

TEST(EngineResume, ALargerBudgetGivesBackTheRoundsThatWereCut) {
  Trial first(plan_of(kEight, 40));
  make_costly(first, 1);
  first.plan.budget = seconds(40);
  Dying dying(30);
  EXPECT_THROW(first(dying), Error);
  Trial second(parse_plan(format_plan(first.plan_when_calibrated, {}), "plan.json").plan);
  EXPECT_LT(count_rounds(second.plan), 40);
  make_costly(second, 1);
  second.plan.budget = seconds(10'000);
  second.options.earlier = kept(dying.rows);
  second();
  EXPECT_EQ(count_rounds(second.plan), 40);
  const std::string text = format_plan(second.plan, {});
  EXPECT_EQ(text.find("asked_rounds"), std::string::npos) << "none is cut any more";
}

TEST(EngineResume, ALargerBudgetGoesOnWithARunThatASmallerOneEnded) {
  Trial first(plan_of(kEight, 40));
  make_costly(first, 1);
  first.plan.budget = seconds(40);
  first();
  const int before = count_rounds(first.plan);
  ASSERT_LT(before, 40);
  const std::vector<KeptLaunch> made = kept(first.sink.rows);

  Trial same(parse_plan(format_plan(first.plan, {}), "plan.json").plan);
  make_costly(same, 1);
  same.options.earlier = made;
  same();
  EXPECT_TRUE(same.launcher.requests.empty()) << "the budget is spent";

  Trial larger(parse_plan(format_plan(first.plan, {}), "plan.json").plan);
  make_costly(larger, 1);
  larger.plan.budget = seconds(10'000);
  larger.options.earlier = made;
  larger();
  EXPECT_EQ(count_rounds(larger.plan), 40);
  EXPECT_EQ(made.size() + kept(larger.sink.rows).size(), made.size() / static_cast<std::size_t>(before) * 40);
}

TEST(EngineResume, AnInterruptKeepsTheTimeThatCalibrationTook) {
  Trial run(plan_of(kFour));
  run.plan.budget = seconds(60);
  run.launcher.change = [&](const LaunchRequest&, LaunchOutcome& outcome) {
    if (run.launcher.requests.size() == 3) outcome.end = LaunchEnd::interrupted;
  };
  EXPECT_TRUE(run().interrupted);
  EXPECT_EQ(run.plan_when_calibrated.spent, milliseconds(300));
  EXPECT_FALSE(run.plan_when_calibrated.calibrated);
}

TEST(EngineResume, ARunThatEndedAnywhereGoesOnAsIfItHadNot) {
  // Cells of all kinds: one is skipped, one cannot be calibrated, one that base does not know, one that fails.
  const auto answer = [](const LaunchRequest& request, LaunchOutcome& outcome) {
    const int workers = request.options.cell.workers;
    const auto end = [&](int exit_status) {
      outcome.rows.clear();
      outcome.end = LaunchEnd::failed;
      outcome.exit_status = exit_status;
      outcome.message = "told so";
    };
    if (workers == 2) {
      outcome.rows.resize(1);
      outcome.rows[0]["status"] = "skipped";
      outcome.rows[0]["message"] = "two";
    }
    if (workers == 3) end(1);
    if (workers == 4 && request.program == "/base") end(2);
    if (workers == 5 && request.options.iterations != 0) end(1);
    if (workers == 6 && request.options.iterations != 0 && request.padding_bytes % 2 == 0) {
      outcome.rows.clear();
      outcome.end = LaunchEnd::timeout;
    }
    // By the padding, which differs from one launch to the next and is the same when the run is taken up.
    if (workers > 6 && request.options.iterations != 0) disturb(outcome, request.padding_bytes % 3 == 0 ? 0.3 : 0);
  };
  const auto plan = [] { return arms_of(plan_of(kEight, 3, 7), {"base"}); };
  Trial whole(plan());
  whole.launcher.change = answer;
  std::set<std::uint64_t> not_counted;
  const auto note = [&](const RunDisturbance& seen) { not_counted = seen.not_counted(); };
  whole.options.disturbed = note;
  const RunSummary expected = whole();
  const std::set<std::uint64_t> expected_not_counted = not_counted;
  EXPECT_GT(expected.again, 0U);
  const std::size_t launches = kept(whole.sink.rows).size();
  ASSERT_GT(launches, 30U);
  for (std::size_t cut = 0; cut <= launches; ++cut) {
    Trial first(plan());
    first.launcher.change = answer;
    Dying rows(cut);
    if (cut < launches) {
      EXPECT_THROW(first(rows), Error);
    } else {
      first(rows);
    }
    Trial second(parse_plan(format_plan(first.plan_when_calibrated, {}), "plan.json").plan);
    second.launcher.change = answer;
    second.options.earlier = kept(rows.rows);
    second.options.disturbed = note;
    const RunSummary summary = second();
    EXPECT_TRUE(second.launcher.first().empty()) << "calibration is in the plan";
    std::vector<Row> all = rows.rows;
    all.insert(all.end(), second.sink.rows.begin(), second.sink.rows.end());
    ASSERT_EQ(all.size(), whole.sink.rows.size()) << "cut after " << cut;
    for (std::size_t i = 0; i < all.size(); ++i)
      ASSERT_EQ(all[i].fields(), whole.sink.rows[i].fields()) << "cut after " << cut << ", row " << i;
    // And the launches themselves: their padding, iterations and deadlines.
    const auto before = first.launcher.rounds();
    const auto& after = second.launcher.requests;
    const auto due = whole.launcher.rounds();
    for (std::size_t i = 0; i < after.size(); ++i) {
      const LaunchRequest& same = due[due.size() - after.size() + i];
      ASSERT_EQ(after[i].padding_bytes, same.padding_bytes);
      ASSERT_EQ(after[i].options.iterations, same.options.iterations);
      ASSERT_EQ(after[i].options.expected_digest, same.options.expected_digest);
      ASSERT_EQ(after[i].deadline, same.deadline);
    }
    EXPECT_EQ(not_counted, expected_not_counted) << "cut after " << cut;
    EXPECT_EQ(summary.again, expected.again);
    EXPECT_EQ(summary.measured, expected.measured);
    EXPECT_EQ(summary.skipped, expected.skipped);
    EXPECT_EQ(summary.failed, expected.failed);
    EXPECT_EQ(summary.failed_base, expected.failed_base);
    EXPECT_EQ(summary.observations, expected.observations);
    EXPECT_EQ(summary.status(), expected.status());
  }
}

TEST(EngineResume, RowsOfAnotherPlanAreRefused) {
  Trial run(plan_of(kFour));
  run.options.earlier = {{"no cell", "head", 0, 0, 1, 1, "ok"}};
  EXPECT_THROW(run(), UsageError);
}

TEST(Greet, AnArmSaysWhichBuildItIs) {
  FakeLauncher launcher;
  launcher.change = [](const LaunchRequest& request, LaunchOutcome& outcome) {
    EXPECT_EQ(request.program, "/b");
    EXPECT_EQ(request.options.iterations, 1U);
    outcome.rows[0]["build_id"] = "id";
    outcome.rows[0]["git_sha"] = "sha";
  };
  const Arm arm = greet(launcher, "base", "/b");
  EXPECT_EQ(arm.name, "base");
  EXPECT_EQ(arm.program, "/b");
  EXPECT_EQ(arm.build_id, "id");
  EXPECT_EQ(arm.git_sha, "sha");
}

TEST(Greet, AnArmThatSpeaksAnotherProtocolOrNoneIsMissing) {
  FakeLauncher launcher;
  const auto said = [&] {
    try {
      greet(launcher, "base", "/b");
    } catch (const MissingError& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_THAT(said(), HasSubstr("/b answers")) << "no build_id";
  launcher.change = [](const LaunchRequest&, LaunchOutcome& outcome) {
    outcome.rows.clear();
    outcome.end = LaunchEnd::failed;
    outcome.message = "exit status 3: launch protocol 1 is asked for, this build speaks 2";
  };
  EXPECT_THAT(said(), HasSubstr("base: /b cannot be launched: exit status 3: launch protocol 1"));
  launcher.change = [](const LaunchRequest&, LaunchOutcome&) { throw Error("cannot start /b: Exec format error"); };
  EXPECT_THAT(said(), HasSubstr("Exec format error"));
  launcher.change = [](const LaunchRequest&, LaunchOutcome& outcome) { outcome.end = LaunchEnd::interrupted; };
  try {
    greet(launcher, "base", "/b");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.status(), ExitStatus::interrupted);
  }
}

TEST(Engine, NothingMeasuredIsAUsageError) {
  Trial run(plan_of(kFour));
  run.launcher.change = [](const LaunchRequest& request, LaunchOutcome& outcome) {
    if (request.options.cell.strategy == "openmp") outcome.rows[0]["status"] = "skipped";
  };
  EXPECT_EQ(run().status(), ExitStatus::usage);
}

TEST(Engine, ADeadlineIsFarFromTheOrdinary) {
  Trial run(plan_of(kFour, 1));
  run.launcher.change = [](const LaunchRequest& request, LaunchOutcome& outcome) {
    if (request.options.cell.workers == 2) outcome.duration = seconds(30);
    for (Row& row : outcome.rows) row["wall_ns"] = "10000000";
  };
  run();
  for (const LaunchRequest& request : run.launcher.rounds()) {
    const bool slow = request.options.cell.workers == 2;  // five repetitions of 10 ms less than the trial had
    EXPECT_EQ(request.deadline, slow ? milliseconds(20 * (30'000 - 5 * 10)) : seconds(30));
  }
  Trial quick(plan_of(kFour, 1));
  quick();
  for (const LaunchRequest& request : quick.launcher.rounds()) EXPECT_EQ(request.deadline, seconds(30));
}

TEST(Engine, ADeadlineGrowsWithWhatTheCellTookAndWithWhatOthersTake) {
  Trial run(plan_of("[[group]]\nworkload = \"spin\"\ntasks = 8\ntask_size = 100\n", 3));
  run.options.cpus = 2;
  run.launcher.change = [](const LaunchRequest& request, LaunchOutcome& outcome) {
    if (request.options.iterations == 0) return;
    outcome.duration = seconds(10);
    for (Row& row : outcome.rows) row["others_cpu_ns"] = row["wall_ns"];  // one of the two CPUs
  };
  run();
  const auto launches = run.launcher.rounds();
  ASSERT_EQ(launches.size(), 3U);
  EXPECT_EQ(launches[0].deadline, seconds(30)) << "it is expected to take 100 ms";
  EXPECT_EQ(launches[1].deadline, seconds(400)) << "20 times 10 s, with half of the CPUs";
}

TEST(Engine, ACellThatAlwaysOverrunsIsAFindingAndNoFailure) {
  Trial run(plan_of(kFour, 9));
  run.launcher.change = [](const LaunchRequest& request, LaunchOutcome& outcome) {
    if (request.options.iterations == 0 || request.options.cell.workers != 3) return;
    outcome.rows.clear();
    outcome.end = LaunchEnd::timeout;
    outcome.duration = request.deadline;
    outcome.message = "killed at its deadline of 30.0 s";
  };
  const RunSummary summary = run();
  EXPECT_EQ(summary.status(), ExitStatus::done);
  EXPECT_EQ(summary.timeout, 4U) << "once in each of three rounds, and once again";
  EXPECT_EQ(summary.skipped, 1U) << "then no more of its deadlines are waited for";
  std::vector<std::string> status;
  for (const Row& row : run.sink.rows) {
    if (row["workers"] == "3") status.push_back(row["round"] + " " + row["attempt"] + " " + row["status"]);
  }
  EXPECT_EQ(status,
            (std::vector<std::string>{"0 0 timeout", "0 1 timeout", "1 0 timeout", "2 0 timeout", "3 0 skipped"}));
}

TEST(Engine, WhereAllOverranSomethingIsKnown) {
  Trial run(plan_of("[[group]]\nworkload = \"spin\"\ntasks = 8\ntask_size = 100\n", 1));
  run.launcher.change = [](const LaunchRequest& request, LaunchOutcome& outcome) {
    if (request.options.iterations == 0) return;
    outcome.rows.clear();
    outcome.end = LaunchEnd::timeout;
  };
  EXPECT_EQ(run().status(), ExitStatus::done);
}

const std::string kBesideSequential =
    "[base]\nworkload = \"spin\"\ntasks = 8\ntask_size = 100\n[[group]]\nname = \"g\"\nstrategy = \"sequential\"\n"
    "[[group]]\nname = \"g\"\nstrategy = \"openmp\"\nworkers = [2, 3]\n";

TEST(EngineAgain, ADisturbedLaunchIsMeasuredAgainBesideWhatItIsComparedWith) {
  Trial run(plan_of(kBesideSequential, 1));
  int launches_of_three = 0;
  run.launcher.change = [&](const LaunchRequest& request, LaunchOutcome& outcome) {
    const bool three = request.options.iterations != 0 && request.options.cell.workers == 3;
    disturb(outcome, three && launches_of_three++ == 0 ? 0.3 : 0.01);
  };
  std::vector<int> not_counted;
  run.options.disturbed = [&](const RunDisturbance& seen) {
    not_counted.assign(seen.not_counted().begin(), seen.not_counted().end());
  };
  const RunSummary summary = run();
  EXPECT_EQ(summary.measured, 5U);
  EXPECT_EQ(summary.again, 2U);
  std::map<std::string, std::string> attempts;
  std::set<std::string> superseded;
  for (const Row& row : run.sink.rows) {
    if (row["repetition"] != "0") continue;
    attempts[row["workers"]] += row["attempt"];
    if (std::count(not_counted.begin(), not_counted.end(), std::stoi(row["launch"])) != 0) {
      superseded.insert(row["workers"] + row["attempt"]);
    }
  }
  EXPECT_EQ(attempts, (std::map<std::string, std::string>{{"1", "01"}, {"2", "0"}, {"3", "01"}})) << "rows stay";
  EXPECT_EQ(superseded, (std::set<std::string>{"10", "30"})) << "both sides of the ratio come from one pass";
}

TEST(EngineAgain, AllArmsOfAVisitAreMeasuredAgain) {
  Trial run(arms_of(plan_of(kBesideSequential, 1), {"base"}));
  int disturbed = 1;
  run.launcher.change = [&](const LaunchRequest& request, LaunchOutcome& outcome) {
    const bool hit = request.options.iterations != 0 && request.options.cell.workers == 2 && request.program == "/base";
    disturb(outcome, hit && disturbed-- > 0 ? 0.3 : 0);
  };
  run();
  std::map<std::string, int> again;
  for (const Row& row : run.sink.rows) {
    if (row["attempt"] == "1" && row["repetition"] == "0") ++again[row["workers"] + row["arm"]];
  }
  EXPECT_EQ(again, (std::map<std::string, int>{{"2head", 1}, {"2base", 1}}));
}

TEST(EngineAgain, IsGivenUpWhereItDoesNotHelp) {
  Trial run(plan_of(kEight, 20));
  run.launcher.change = [](const LaunchRequest&, LaunchOutcome& outcome) { disturb(outcome, 0.4); };
  const RunSummary summary = run();
  EXPECT_EQ(summary.status(), ExitStatus::done);
  EXPECT_EQ(summary.again, 16U) << "twice eight; a permanent load costs no more than that";
  EXPECT_EQ(run.launcher.rounds().size(), 8U * 20 + 16);
}

TEST(EngineAgain, ALaunchThatDoesNotTellIsNotMeasuredAgain) {
  Trial run(plan_of(kEight, 3));
  EXPECT_EQ(run().again, 0U);
}

TEST(EngineAgain, LeavesTheBudgetItsSixRounds) {
  Trial run(plan_of(kEight, 9));
  make_costly(run, 1);
  const auto costly = run.launcher.change;
  run.launcher.change = [&costly, i = 0](const LaunchRequest& request, LaunchOutcome& outcome) mutable {
    costly(request, outcome);
    disturb(outcome, ++i % 2 == 0 ? 0.3 : 0);
  };
  run.plan.budget = seconds(42);  // 4 s for calibration, 3.6 s a round
  const RunSummary summary = run();
  EXPECT_LE(run.launcher.now, seconds(45));
  EXPECT_GT(summary.again, 0U);
  EXPECT_EQ(summary.skipped, 0U);
  std::map<std::string, std::set<std::string>> rounds;
  for (const Row& row : run.sink.rows) rounds[row["workers"]].insert(row["round"]);
  for (const auto& [workers, seen] : rounds) EXPECT_GE(seen.size(), 6U) << workers;
}

// Two cells that do the same work in the same way, on a machine that is busy in bursts, and busier for whoever uses
// more CPUs: whatever is measured again and chosen, their ratio stays at 1.
TEST(EngineAgain, IdenticalCellsUnderBurstsStayAtOne) {
  constexpr int kRounds = 2000;
  Trial run(plan_of(kBesideSequential, kRounds));
  PlanRandom random(7, 1);
  const auto uniform = [&] { return static_cast<double>(random.below(1'000'000)) / 1e6; };
  std::set<std::uint64_t> not_counted;
  run.options.disturbed = [&](const RunDisturbance& seen) { not_counted = seen.not_counted(); };
  double burst_until = 0, quiet_until = 0;
  run.launcher.change = [&](const LaunchRequest& request, LaunchOutcome& outcome) {
    if (request.options.iterations == 0) return;
    const double now = static_cast<double>(run.launcher.now.count()) / 1e9;
    while (now > quiet_until) {  // bursts and quiet times of 0 to 2 s
      burst_until = std::max(burst_until, quiet_until) + 2 * uniform();
      quiet_until = burst_until + 2 * uniform();
    }
    const bool busy = now < burst_until;
    // What is lost in a burst shows in the time, and mostly in what is told of it; a burst slows in ways that nothing
    // tells, too: caches and clock.
    const double lost = busy ? 0.5 * uniform() : 0.02 * uniform();
    const double unseen = busy ? 1.02 : 1;
    const double wall = 1e6 * (1 + lost) * unseen * (1 + 0.01 * (uniform() - 0.5));
    for (Row& row : outcome.rows) row["wall_ns"] = std::to_string(static_cast<std::uint64_t>(wall));
    disturb(outcome, lost / (1 + lost));
    outcome.duration = milliseconds(100 + static_cast<int>(random.below(100)));
  };
  const RunSummary summary = run();
  ASSERT_GT(summary.again, 1000U) << "of 6000 launches";
  std::map<std::string, std::map<std::string, double>> walls;  // by workers and round
  std::map<std::string, int> measured;
  for (const Row& row : run.sink.rows) {
    if (row["repetition"] != "0") continue;
    ++measured[row["workers"]];
    if (not_counted.count(std::stoull(row["launch"])) == 0) {
      EXPECT_TRUE(walls[row["workers"]].emplace(row["round"], std::stod(row["wall_ns"])).second) << "one counts";
    }
  }
  EXPECT_GT(measured["1"], measured["2"]) << "sequential is measured again beside both others, which makes it special";
  for (const char* workers : {"2", "3"}) {
    std::vector<double> ratios;
    for (const auto& [round, wall] : walls[workers]) ratios.push_back(std::log(wall / walls["1"].at(round)));
    ASSERT_EQ(ratios.size(), static_cast<std::size_t>(kRounds));
    const auto above = std::count_if(ratios.begin(), ratios.end(), [](double ratio) { return ratio > 0; });
    // The median is at 1 where half of the ratios lie above: within four standard deviations of a fair coin.
    EXPECT_NEAR(static_cast<double>(above) / kRounds, 0.5, 4 * 0.5 / std::sqrt(kRounds)) << workers;
    std::nth_element(ratios.begin(), ratios.begin() + kRounds / 2, ratios.end());
    EXPECT_NEAR(std::exp(ratios[kRounds / 2]), 1, 0.002) << workers;
  }
}

TEST(Engine, AnInterruptKeepsTheRowsSoFar) {
  Trial run(plan_of(kFour));
  std::size_t left = 6;
  run.launcher.change = [&](const LaunchRequest& request, LaunchOutcome& outcome) {
    if (request.options.iterations == 0 || left-- > 0) return;
    outcome.rows.clear();
    outcome.end = LaunchEnd::interrupted;
  };
  const RunSummary summary = run();
  EXPECT_TRUE(summary.interrupted);
  EXPECT_EQ(summary.status(), ExitStatus::interrupted);
  EXPECT_EQ(run.launcher.rounds().size(), 7U);
  EXPECT_EQ(run.sink.rows.size(), 12U);

  Trial early(plan_of(kFour));
  early.launcher.change = [](const LaunchRequest&, LaunchOutcome& outcome) { outcome.end = LaunchEnd::interrupted; };
  EXPECT_EQ(early().status(), ExitStatus::interrupted);
  EXPECT_EQ(early.launcher.requests.size(), 1U);
  EXPECT_EQ(early.calibrated, 0);
}

TEST(Engine, AFullDiskStopsTheRunWithWholeRows) {
  std::string folder = (std::filesystem::temp_directory_path() / "engine_test.XXXXXX").string();
  ASSERT_NE(::mkdtemp(folder.data()), nullptr);
  const std::string path = folder + "/observations.csv";
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    // Room for the header, some rows, and part of one more.
    const rlimit limit{csv_header().size() + 1000, csv_header().size() + 1000};
    if (::setrlimit(RLIMIT_FSIZE, &limit) != 0 || ::signal(SIGXFSZ, SIG_IGN) == SIG_ERR) ::_exit(10);
    int status = 11;
    try {
      Trial run(plan_of(kFour, 50));
      ObservationFile file(path);
      run(file);
    } catch (const Error& error) {
      status =
          error.status() == ExitStatus::failed && std::string(error.what()).find(path) != std::string::npos ? 0 : 12;
    }
    ::_exit(status);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
  std::ifstream stream(path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
  ASSERT_FALSE(text.empty());
  EXPECT_EQ(text.back(), '\n');
  std::vector<std::string> header;
  std::size_t rows = 0;
  for (std::size_t from = 0; from < text.size(); from = text.find('\n', from) + 1) {
    const std::string line = text.substr(from, text.find('\n', from) - from);
    if (header.empty()) {
      header = csv_split(line);
    } else {
      EXPECT_NO_THROW(csv_row(header, line));
      ++rows;
    }
  }
  EXPECT_GT(rows, 0U);
  EXPECT_EQ(rows % 2, 0U) << "a launch's rows are kept together";
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace noisefloor
