// Which attempt counts follows from disturbance alone, and what a run tells of it.
// SPDX-License-Identifier: MIT
#include "harness/sweep/attempts.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <vector>

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

TEST(Look, SaysWhatItSawWhereThatIsMuch) {
  EXPECT_EQ(describe(Look{.seconds = 2, .others_cpus = 0.05, .cpus = 2}), "");
  EXPECT_EQ(describe(Look{.seconds = 2, .others_cpus = 1.04, .cpus = 2}), "other work takes 1.0 of these 2 CPUs");
  EXPECT_THAT(describe(Look{.seconds = 2, .others_cpus = 0.1, .stolen_cpus = 0.3, .cpus = 1}),
              HasSubstr("0.1 of these 1 CPU, the hypervisor 0.3"));
}

}  // namespace
}  // namespace noisefloor
