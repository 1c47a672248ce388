// What the measurements of a pitfall say about this machine: a ratio with its interval, and a verdict in words.
// SPDX-License-Identifier: MIT
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "harness/measure/pitfall.hpp"

namespace noisefloor {

/// Fewer values enclose the median too seldom for an interval of 95%.
inline constexpr std::size_t kLeastRounds = 6;

/// A median; `low` and `high` enclose it in 95% of cases, by order statistics, and are empty below
/// kLeastRounds values.
struct Ratio {
  double median = 0;
  std::optional<double> low, high;
  std::size_t rounds = 0;
};

/// Of the ratios bad / good of the rounds that have both; median 0 if there are none.
Ratio ratio_of(std::span<const double> ratios);

/// "×1.93 [1.88–1.97]", "×1.93 (n = 3)".
std::string text_of(const Ratio& ratio);

/// What became of one variant in all its launches.
struct Seen {
  std::vector<std::optional<double>> by_round;  ///< the pitfall's measure; empty where there is none
  std::string status;                           ///< of the last launch
  std::string message;
};

/// One sentence, from the first bad and the first good variant: "reproduced ×…", "not here: …",
/// "not applicable: …", "hang: …", or why there is no verdict.
std::string verdict(const Pitfall& pitfall, const Seen& bad, const Seen& good);

}  // namespace noisefloor
