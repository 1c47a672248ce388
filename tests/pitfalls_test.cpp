// Every pitfall keeps the promises of the lab: its variants agree, its code is on the screen, nothing is left behind.
// SPDX-License-Identifier: MIT
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "benchmarks/pitfalls/table.hpp"
#include "benchmarks/pitfalls/transferable.hpp"
#include "benchmarks/pitfalls/verdict.hpp"
#include "harness/base/error.hpp"
#include "harness/sweep/launcher.hpp"
#include "harness/sweep/plan.hpp"

namespace noisefloor {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

constexpr int kWorkers = 2;

TEST(PitfallTable, EveryPitfallIsWhole) {
  std::set<std::string_view> names;
  for (const Pitfall* pitfall : pitfalls()) {
    SCOPED_TRACE(pitfall->name);
    EXPECT_TRUE(names.insert(pitfall->name).second) << "twice";
    for (const std::string_view text : {pitfall->title, pitfall->lesson, pitfall->advice, pitfall->source}) {
      EXPECT_FALSE(text.empty());
    }
    EXPECT_LE(pitfall->least, pitfall->most);
    EXPECT_NO_THROW(static_cast<void>(first_variant(*pitfall, Role::bad)));
    EXPECT_NO_THROW(static_cast<void>(first_variant(*pitfall, Role::good)));
    std::set<std::string_view> variants;
    for (const Variant& variant : pitfall->variants) {
      EXPECT_TRUE(variants.insert(variant.name).second) << variant.name << " twice";
      EXPECT_FALSE(variant.help.empty()) << variant.name;
      EXPECT_THAT(code_of(*pitfall, variant), Not(IsEmpty())) << variant.name << ": no // variant: … // end";
      EXPECT_TRUE(!variant.hangs || pitfall->harm == Harm::hang) << variant.name;
    }
    EXPECT_TRUE(pitfall->tempting.empty() || variants.count(pitfall->tempting) == 1) << pitfall->tempting;
  }
}

TEST(PitfallTable, AnUnknownNameSuggestsTheNearest) {
  try {
    select_pitfall(pitfalls(), "fibonaci");
    FAIL();
  } catch (const UsageError& error) {
    EXPECT_THAT(error.what(), HasSubstr("did you mean 'fibonacci'"));
    EXPECT_THAT(error.what(), HasSubstr("tiny_tasks"));
  }
  EXPECT_THROW(select_variant(kFibonacci, "shared"), UsageError);
}

/// Every variant that is not expected to hang or to be wrong gives the right answer.
class Answers : public testing::TestWithParam<const Pitfall*> {};

TEST_P(Answers, AgreeWhereverTheyShould) {
  const Pitfall& pitfall = *GetParam();
  if (const std::string reason = refuse(pitfall, kWorkers); !reason.empty()) GTEST_SKIP() << reason;
  const Answer right = run_apart(pitfall, first_variant(pitfall, Role::good), kWorkers).answer;
  for (const Variant& variant : pitfall.variants) {
    if (variant.hangs || !missing_environment(variant).empty()) continue;
    const Answer answer = run_apart(pitfall, variant, kWorkers).answer;
    if (pitfall.harm == Harm::wrong && variant.role == Role::bad) {
      EXPECT_NE(answer, right) << variant.name;
    } else {
      EXPECT_EQ(answer, right) << variant.name;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Pitfalls, Answers, testing::ValuesIn(pitfalls().begin(), pitfalls().end()),
                         [](const auto& pitfall) { return std::string(pitfall.param->name); });

enum class Function : int { halve };
struct Task {
  Function function;
  std::uint32_t first, last;
  double factor;
};
struct Nested {
  Task task;
  int tags[3];
};
struct WithPointer {
  int size;
  const float* samples;
};
struct WithText {
  std::string name;
};

TEST(Transferable, TakesPlainDataAndRefusesWhatMeansNothingElsewhere) {
  EXPECT_TRUE(Transferable<int>);
  EXPECT_TRUE(Transferable<Function>);
  EXPECT_TRUE(Transferable<Task>);
  EXPECT_TRUE(Transferable<Nested>);
  EXPECT_FALSE(Transferable<int*>);
  EXPECT_FALSE(Transferable<WithPointer>);
  EXPECT_FALSE(Transferable<WithText>);
  EXPECT_FALSE(Transferable<void (*)()>);
  int local = 1;
  const auto by_reference = [&local] { return local; };
  const auto by_value = [local] { return local; };
  EXPECT_FALSE(Transferable<decltype(by_reference)>);
  EXPECT_FALSE(Transferable<decltype(by_value)>);
  EXPECT_EQ(by_reference() + by_value(), 2);
}

TEST(PitfallSources, ACodeBlockIsTheFilesOwnText) {
  const auto blocks = code_of(kFibonacci, select_variant(kFibonacci, "scratch_one"));
  ASSERT_EQ(blocks.size(), 2U) << "the function that both have, and its own";
  EXPECT_THAT(blocks[0], HasSubstr("mpz_class from_scratch(int index) {"));
  EXPECT_THAT(blocks[1], StartsWith("Answer scratch_one(Bench&) {"));
  EXPECT_THAT(blocks[1], Not(HasSubstr("shared_prefix")));
}

// What is certain by construction: counts of processes, threads, messages, bytes, allocations and results held.

Counts counted(const Pitfall& pitfall, std::string_view variant) {
  return run_apart(pitfall, select_variant(pitfall, variant), kWorkers).count;
}

TEST(PitfallCounts, AChunkOfOneTakesAMessageAndAnAnswerForEveryTask) {
  EXPECT_EQ(counted(kChunkSize, "one_by_one").messages, 2 * 20'000U);
  EXPECT_EQ(counted(kChunkSize, "hundred").messages, 2 * 200U);
  EXPECT_EQ(counted(kChunkSize, "one_chunk").messages, 2U);
}

TEST(PitfallCounts, SamplesThatTravelAreBytesThatTravel) {
  constexpr std::uint64_t kAllSamples = 8 * (std::uint64_t{4} << 20);
  EXPECT_GE(counted(kPayloadCopies, "samples").bytes, 2 * kAllSamples) << "there and back";
  EXPECT_LT(counted(kPayloadCopies, "name").bytes, 1000U);
  EXPECT_LT(counted(kPayloadCopies, "shared_memory").bytes, 1000U);
}

TEST(PitfallCounts, AThreadPerTaskIsAsManyThreadsAsTasks) {
  EXPECT_EQ(counted(kThreadPerTask, "thread_each").threads, 400U);
  EXPECT_EQ(counted(kThreadPerTask, "team").threads, std::uint64_t{kWorkers});
}

TEST(PitfallCounts, BuffersPerBlockAreAllocationsPerBlock) {
  EXPECT_EQ(counted(kAllocatorContention, "per_block").allocations, 4'000U);
  EXPECT_EQ(counted(kAllocatorContention, "per_worker").allocations, std::uint64_t{kWorkers});
  EXPECT_GT(counted(kPageFaultStorm, "fresh_buffers").allocations, counted(kPageFaultStorm, "one_piece").allocations);
}

TEST(PitfallCounts, CollectedResultsAreAllHeldAtOnce) {
  EXPECT_EQ(counted(kCollectedResults, "collected").held, 1'024U);
  EXPECT_LT(counted(kCollectedResults, "streaming").held, 1'024U);
}

TEST(PitfallCounts, AWindowBoundsTheQueue) { EXPECT_LE(counted(kUnboundedQueue, "window").held, 16U); }

TEST(PitfallCounts, AnEarlyHelperForksForTheParent) {
  EXPECT_EQ(counted(kForkLargeParent, "fork_late").processes, 1U);
  EXPECT_EQ(counted(kForkLargeParent, "fork_early").processes, 0U) << "by the parent, which is large";
}

TEST(PitfallAnswers, CopiedStatesGiveAsManyNoisesAsAProcessHasFiles) {
  EXPECT_EQ(run_apart(kCopiedGenerator, select_variant(kCopiedGenerator, "copied"), kWorkers).answer, 2U);
  EXPECT_EQ(run_apart(kCopiedGenerator, select_variant(kCopiedGenerator, "keyed"), kWorkers).answer, 8U);
}

TEST(PitfallAnswers, AFloatFileReadAsIntegersIsSilent) {
  const auto& pitfall = kWrongReadConversion;
  EXPECT_EQ(run_apart(pitfall, select_variant(pitfall, "as_short"), kWorkers).answer, 0U);
  EXPECT_NEAR(static_cast<double>(run_apart(pitfall, select_variant(pitfall, "as_float"), kWorkers).answer), 16'384,
              20);
}

/// What a launch by the program itself comes to, as in a sweep.
class PitfallLaunch : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_NE(::mkdtemp(cache_.data()), nullptr);
    ::setenv("NOISEFLOOR_CACHE", cache_.c_str(), 1);
  }
  void TearDown() override {
    ::unsetenv("NOISEFLOOR_CACHE");
    std::filesystem::remove_all(cache_);
  }
  static LaunchOutcome launch(const Pitfall& pitfall, std::string_view variant) {
    ProcessLauncher launcher(NOISEFLOOR_PROGRAM);
    PlannedCell planned;
    planned.cell = parse_cell(fmt::format("pitfall={},variant={},workers={}", pitfall.name, variant, kWorkers));
    plan_pitfall(planned, pitfalls());
    LaunchRequest request;
    request.options.cell = planned.cell;
    request.options.iterations = 1;
    request.options.repetitions = 1;
    request.options.warmups = planned.pitfall.hangs ? 0 : std::max(planned.warmups - 1, 0);
    request.deadline = std::chrono::seconds(planned.pitfall.hangs ? kHangSeconds : 60);
    if (planned.pitfall.hangs) request.options.expected_digest = 1;
    return launcher.launch(request);
  }
  /// Files below the cache, and children of this process.
  [[nodiscard]] std::size_t left_behind() const {
    std::size_t left = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(cache_)) {
      if (!entry.is_directory() || entry.path().parent_path().filename() == "pitfalls") ++left;
    }
    siginfo_t info;
    return ::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 ? left + 1 : left;
  }
  static std::uint64_t number(const LaunchOutcome& outcome, std::string_view column) {
    return std::stoull(outcome.rows.at(0)[column]);
  }

  std::string cache_ = testing::TempDir() + "noisefloor-pitfalls-XXXXXX";
};

TEST_F(PitfallLaunch, AFreshBufferFaultsForItsPages) {
  const auto fresh = launch(kPageFaultStorm, "fresh_buffers");
  const auto reused = launch(kPageFaultStorm, "one_piece");
  ASSERT_EQ(fresh.end, LaunchEnd::finished) << fresh.message;
  ASSERT_EQ(reused.end, LaunchEnd::finished) << reused.message;
  EXPECT_GT(number(fresh, "minor_faults"), number(reused, "minor_faults"));
}

TEST_F(PitfallLaunch, TheRuntimeIsStartedWithItsVariables) {
  const auto outcome = launch(kWaitPolicy, "passive");
  ASSERT_EQ(outcome.end, LaunchEnd::finished) << outcome.message;
  EXPECT_EQ(outcome.rows.at(0)["status"], "ok") << outcome.rows.at(0)["message"];
}

TEST_F(PitfallLaunch, WhatHangsIsEndedAndLeavesNothingBehind) {
  for (const auto& [pitfall, variant] :
       {std::pair(&kPipeDeadlock, "write_then_read"), std::pair(&kForkHoldingLock, "logger_first")}) {
    const auto outcome = launch(*pitfall, variant);
    EXPECT_EQ(outcome.end, LaunchEnd::timeout) << pitfall->name << ": " << outcome.message;
    EXPECT_EQ(left_behind(), 0U) << pitfall->name;
  }
}

TEST_F(PitfallLaunch, FilesAreRemovedAfterwards) {
  for (const std::string_view variant : {"samples", "name", "shared_memory"}) {
    const auto outcome = launch(kPayloadCopies, variant);
    EXPECT_EQ(outcome.end, LaunchEnd::finished) << outcome.message;
    EXPECT_EQ(left_behind(), 0U) << variant;
  }
}

TEST(PitfallPlan, AnEmptyVariantStandsForAllAndThePitfallAllForEach) {
  const Cell one = parse_cell("pitfall=fibonacci,workers=2");
  EXPECT_EQ(expand_pitfalls(pitfalls(), one).size(), kFibonacci.variants.size());
  EXPECT_EQ(expand_pitfalls(pitfalls(), parse_cell("pitfall=fibonacci,variant=scratch_one")).size(), 1U);
  std::size_t variants = 0;
  for (const Pitfall* pitfall : pitfalls()) variants += pitfall->variants.size();
  EXPECT_EQ(expand_pitfalls(pitfalls(), parse_cell("pitfall=all")).size(), variants);
  EXPECT_THROW(expand_pitfalls(pitfalls(), parse_cell("pitfall=all,variant=loop")), UsageError);
  EXPECT_THROW(expand_pitfalls(pitfalls(), parse_cell("pitfall=fibonacci,variant=loop")), UsageError);
  EXPECT_THROW(expand_pitfalls({}, one), UsageError) << "a program without pitfalls";
}

TEST(PitfallPlan, WhatTakesLongIsRepeatedOnce) {
  PlannedCell planned;
  planned.cell = parse_cell("pitfall=fibonacci,variant=scratch_one,workers=2");
  plan_pitfall(planned, pitfalls());
  EXPECT_EQ(planned.repetitions, 1);
  EXPECT_EQ(planned.warmups, 0);
  EXPECT_EQ(planned.pitfall.iterations, 1U);
  ASSERT_TRUE(planned.pitfall.oracle.has_value());
  EXPECT_EQ(planned.pitfall.oracle->variant, "shared_prefix");
}

constexpr double kTen[] = {3, 1, 2, 9, 5, 8, 7, 6, 4, 10};

TEST(PitfallVerdict, TheIntervalIsThatOfOrderStatistics) {
  const Ratio ratio = ratio_of(kTen);  // 10 values: the 2nd and the 9th enclose the median in 97.9% of cases
  EXPECT_DOUBLE_EQ(ratio.median * ratio.median, 30);
  EXPECT_EQ(ratio.low, 2);
  EXPECT_EQ(ratio.high, 9);
  EXPECT_FALSE(ratio_of(std::span(kTen).first(5)).low.has_value()) << "5 values enclose it too seldom";
  EXPECT_TRUE(ratio_of(std::span(kTen).first(6)).low.has_value());
  EXPECT_EQ(text_of(Ratio{}), "unknown");
}

Seen seen(std::vector<std::optional<double>> values, std::string status = "ok", std::string message = "") {
  return {std::move(values), std::move(status), std::move(message)};
}

TEST(PitfallVerdict, SaysWhatTheIntervalSays) {
  const Pitfall slow{.harm = Harm::slow};
  const Seen good = seen({1, 1, 1, 1, 1, 1});
  EXPECT_EQ(verdict(slow, seen({2, 2, 2, 2, 2, 3}), good), "reproduced ×2.00 [2.00–3.00]");
  EXPECT_THAT(verdict(slow, seen({0.97, 1, 1, 1, 1, 1.05}), good), StartsWith("not here: no difference"));
  EXPECT_THAT(verdict(slow, seen({0.9, 2, 2, 2, 2, 3}), good), StartsWith("undecided: ×2.00 [0.90–3.00]"));
  EXPECT_THAT(verdict(slow, seen({0.5, 0.5, 0.5, 0.5, 0.5, 0.9}), good), StartsWith("not here: the cure costs more"));
  EXPECT_THAT(verdict(slow, seen({2, 2, 2}), good), StartsWith("undecided"));
  EXPECT_THAT(verdict(slow, seen({}, "failed", "ended by SIGSEGV"), good), HasSubstr("ended by SIGSEGV"));
  EXPECT_EQ(verdict(slow, seen({}, "skipped", "one CPU"), good), "not applicable: one CPU");
  EXPECT_THAT(verdict(slow, seen({2}), seen({}, "wrong_output", "answer 1")),
              StartsWith("no verdict: the cure itself"));
}

TEST(PitfallVerdict, AHangIsShownByTheWatchdogAndAWrongAnswerByTheOracle) {
  const Pitfall hang{.harm = Harm::hang};
  const Pitfall wrong{.harm = Harm::wrong};
  EXPECT_EQ(verdict(hang, seen({}, "timeout", "killed at its deadline of 2.0 s"), seen({1})),
            "hang: killed at its deadline of 2.0 s");
  EXPECT_THAT(verdict(hang, seen({1}), seen({1})), StartsWith("not here"));
  EXPECT_EQ(verdict(wrong, seen({1}, "wrong_output"), seen({1})), "reproduced: the answer is wrong");
  EXPECT_THAT(verdict(wrong, seen({1}), seen({1})), StartsWith("not here"));
}

}  // namespace
}  // namespace noisefloor
