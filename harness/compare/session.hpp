// A session: pilot, screen, fresh confirming rounds, verdicts.
// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "harness/compare/subject.hpp"
#include "harness/statistics/judge.hpp"
#include "harness/statistics/pilot.hpp"

namespace noisefloor::compare {

/// Rounds of all cases before anything is planned. Part of the screen.
inline constexpr std::size_t kPilotRounds = 16;

struct Options {
  double asked = 0.05;                                         ///< the change that each case shall be able to show
  double margin = 0.01;                                        ///< the least change that counts
  std::chrono::nanoseconds budget = std::chrono::seconds(90);  ///< no launch begins later
  bool control = false;                                        ///< a third arm: base again
  std::uint64_t seed = 0;                                      ///< of orders and paddings
};

/// What the hosts of a session give it.
struct Surroundings {
  std::function<std::chrono::nanoseconds()> clock;
  std::function<bool()> interrupted;
  /// "pilot", "screen" or "confirm", launches done and planned in it, and the time that they will probably take.
  std::function<void(std::string_view phase, std::size_t done, std::size_t total, std::chrono::nanoseconds left)>
      progress;
};

/// The verdict of a case. Those that judge() knows, and what can happen to it besides.
enum class Outcome : std::uint8_t {
  ok,
  regressed,
  improved,
  inconclusive,
  underpowered,
  failed,       ///< in head
  base_failed,  ///< in base only
  added,        ///< only head has it
  removed,      ///< only base has it
  skipped,      ///< one of them says that it cannot run here
};
std::string_view name_of(Outcome outcome) noexcept;

/// One launch of a round, as it is stored.
struct Observation {
  std::string_view phase;  ///< first, pilot, screen, confirm
  std::size_t round;
  std::size_t number;  ///< of the case
  Arm arm;
  std::size_t place;  ///< in the round: 0 ran first
  Reading reading;
};

struct Result {
  std::string name;
  Outcome outcome = Outcome::inconclusive;
  std::string reason;               ///< where the verdict needs one
  int measure = -1;                 ///< index into Subject::measures(); -1: none could be chosen
  double base_ns = 0, head_ns = 0;  ///< medians of the rounds that decided; nan where there are none
  Change change{};                  ///< nan in it where there are too few rounds
  double p = 1;
  bool flagged = false;
  std::size_t screened = 0, confirmed = 0;  ///< complete rounds
  std::chrono::nanoseconds round{};         ///< what a round of it takes; median
  std::vector<double> differences;          ///< ln(head / base) of the rounds that decided
  std::vector<std::string> notes;
};

struct Session {
  std::vector<Result> results;  ///< in the order of the cases
  std::vector<Observation> observations;
  Outcome verdict = Outcome::inconclusive;  ///< of the worst case: ok, improved, inconclusive, regressed or failed
  std::string headline;                     ///< one sentence
  std::vector<std::string> notes;
  std::size_t judged = 0;  ///< cases with a verdict of judge()
  bool is_interrupted = false;
  std::chrono::nanoseconds time{};
};

/// The rules of judge() for these options. A wrong verdict anywhere in a session has a probability of at most 0.5%: a
/// nightly comparison of equal code is wrong once in 200 nights at most.
GateRules rules_of(const Options& options);

/// Measures and judges. Throws UsageError where the two have no case in common.
Session compare(Subject& subject, const Options& options, const Surroundings& surroundings);

}  // namespace noisefloor::compare
