// Every pitfall keeps the promises of the lab: its variants agree, its code is on the screen, nothing is left behind.
// SPDX-License-Identifier: MIT
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <string_view>

#include "benchmarks/pitfalls/table.hpp"
#include "benchmarks/pitfalls/verdict.hpp"
#include "harness/base/error.hpp"
#include "harness/sweep/plan.hpp"

namespace noisefloor {
namespace {

using testing::HasSubstr;
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
      EXPECT_NE(code_of(*pitfall, variant), "") << variant.name << ": no lines between // variant: and // end";
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
  EXPECT_THAT(verdict(slow, seen({0.9, 2, 2, 2, 2, 3}), good), StartsWith("not here: no difference"));
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
