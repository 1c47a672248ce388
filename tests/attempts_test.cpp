// Which attempt counts follows from disturbance alone; what a run tells of it; waiting for a quiet machine.
// SPDX-License-Identifier: MIT
#include "harness/sweep/attempts.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <vector>

#include "harness/sweep/quiet.hpp"

namespace noisefloor {
namespace {

using ::testing::HasSubstr;

Attempt told(double share) { return {.disturbed = share}; }
Attempt overran() { return {.overran = true}; }

std::size_t counts(const std::vector<Attempt>& attempts) { return which_counts(attempts); }

TEST(Attempts, TheLastThatIsNotDisturbedCounts) {
  EXPECT_EQ(counts({told(0)}), 0U);
  EXPECT_EQ(counts({told(0.3), told(0.01)}), 1U);
  EXPECT_EQ(counts({told(0), told(0.04)}), 1U) << "both are within the limit: the later one";
  EXPECT_EQ(counts({told(0.01), told(0.3)}), 0U);
  EXPECT_EQ(counts({told(0.3), told(0.04), told(0.2)}), 1U);
}

TEST(Attempts, WhereAllAreDisturbedTheLeastCounts) {
  EXPECT_EQ(counts({told(0.3), told(0.2), told(0.25)}), 1U);
  EXPECT_EQ(counts({told(0.2), told(0.2)}), 0U);
}

TEST(Attempts, OneThatOverranGivesWayToEachThatTells) {
  EXPECT_EQ(counts({overran(), told(0.9)}), 1U);
  EXPECT_EQ(counts({told(0.9), overran()}), 0U);
  EXPECT_EQ(counts({overran(), overran()}), 0U) << "a time-out that stays";
}

TEST(Attempts, OneThatDoesNotTellIsTakenAsItIs) {
  EXPECT_FALSE(is_disturbed({}));
  EXPECT_EQ(counts({Attempt{}, told(0.9)}), 0U);
}

KeptLaunch launch(std::uint64_t order, std::uint64_t others_ns, std::uint64_t disturbed_ns, int attempt = 0) {
  KeptLaunch kept;
  kept.order = order;
  kept.status = "ok";
  kept.attempt = attempt;
  kept.wall_ns = 1000;
  kept.others_ns = others_ns;
  kept.disturbed_ns = disturbed_ns;
  return kept;
}

TEST(RunDisturbance, SaysHowManyCpusOthersTook) {
  RunDisturbance run(2);
  run.add(launch(0, 1000, 400));
  run.add(launch(1, 800, 10));
  EXPECT_DOUBLE_EQ(*run.others_cpus(), 0.9);
  EXPECT_TRUE(run.busy());
  EXPECT_EQ(run.disturbed(), 1U);
  EXPECT_EQ(run.sentence(),
            "other work took 0.9 of these 2 CPUs during the run: what follows describes the busy machine");
  const auto facts = run.facts();
  EXPECT_EQ(facts.at("busy"), true);
  EXPECT_EQ(facts.at("launches"), 2);
  EXPECT_EQ(facts.at("sentence"), run.sentence());
}

TEST(RunDisturbance, AQuietRunSaysNothingAndAnUnknownOneIsNotCalledQuiet) {
  RunDisturbance quiet(2);
  quiet.add(launch(0, 20, 0));
  EXPECT_EQ(quiet.sentence(), "");
  RunDisturbance unknown(2);
  KeptLaunch old = launch(0, 0, 0);
  old.others_ns.reset();
  old.disturbed_ns.reset();
  unknown.add(old);
  EXPECT_FALSE(unknown.others_cpus().has_value());
  EXPECT_TRUE(unknown.facts().at("others_cpus").is_null());
}

TEST(RunDisturbance, TellsWhichLaunchesDoNotCount) {
  RunDisturbance run(2);
  std::vector<Attempt> attempts = {{.number = 0, .disturbed = 0.4, .launches = {3, 4}}};
  run.choose(attempts);
  EXPECT_TRUE(run.not_counted().empty());
  attempts.push_back({.number = 1, .disturbed = 0.2, .launches = {9, 10}});
  run.choose(attempts);
  EXPECT_EQ(run.not_counted(), (std::set<std::uint64_t>{3, 4}));
  attempts.push_back({.number = 2, .disturbed = 0.3, .launches = {12, 13}});
  run.choose(attempts);
  EXPECT_EQ(run.facts().at("not_counted"), (std::vector<int>{3, 4, 12, 13}));
}

MachineUse use(int cpus, double others, double stolen = 0) {
  MachineUse seen;
  seen.seconds = 2;
  seen.cpus = cpus;
  seen.others_cpus = others;
  seen.stolen_cpus = stolen;
  return seen;
}

TEST(Quiet, WhatWasSeenIsSaidWhereItIsMuch) {
  EXPECT_EQ(describe(use(2, 0.05)), "");
  EXPECT_EQ(describe(use(2, 1.04)), "other work takes 1.0 of these 2 CPUs");
  EXPECT_THAT(describe(use(1, 0.1, 0.3)), HasSubstr("0.1 of these 1 CPU, the hypervisor 0.3"));
  EXPECT_EQ(describe(MachineUse{}), "") << "nothing is known";
}

/// A machine on which others take so many of two CPUs, from one look to the next; a look takes two seconds.
Waited wait_for(std::vector<double> others, std::chrono::seconds patience, std::size_t most_looks = 100) {
  std::size_t looks = 0;
  std::chrono::nanoseconds now{0};
  return wait_until_quiet(
      [&] {
        now += std::chrono::seconds(2);
        const double seen = others[std::min(looks++, others.size() - 1)];
        return use(2, seen);
      },
      patience, [&] { return now; }, [&](const MachineUse&) { return looks < most_looks; });
}

TEST(Quiet, LooksOnceWhereNobodyWaits) {
  const Waited busy = wait_for({1.5, 0}, std::chrono::seconds(0));
  EXPECT_FALSE(busy.quiet);
  EXPECT_EQ(busy.time, std::chrono::seconds(2));
  EXPECT_EQ(*busy.last.others_cpus, 1.5);
  EXPECT_TRUE(wait_for({0.05}, std::chrono::seconds(0)).quiet);
}

TEST(Quiet, WaitsUntilOthersLeaveTheMachineAloneOrTheTimeIsOver) {
  const Waited quiet = wait_for({1.5, 0.3, 0.05, 1.5}, std::chrono::seconds(60));
  EXPECT_TRUE(quiet.quiet);
  EXPECT_EQ(quiet.time, std::chrono::seconds(6));
  const Waited never = wait_for({1.5}, std::chrono::seconds(9));
  EXPECT_FALSE(never.quiet);
  EXPECT_EQ(never.time, std::chrono::seconds(10));
  EXPECT_EQ(wait_for({1.5}, std::chrono::seconds(9), 2).time, std::chrono::seconds(4)) << "interrupted";
}

}  // namespace
}  // namespace noisefloor
