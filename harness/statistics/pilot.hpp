// How many rounds does a comparison need? Planned from the sizes of the differences alone, so that their signs stay
// exact for the test.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "harness/statistics/judge.hpp"

namespace noisefloor {

/// An estimate of the standard deviation of `differences` that looks at their sizes |d| alone: their interquartile
/// range over that of |N(0, 1)|. It is right where old and new are equal; a change hides signs, and makes it too large
/// by 1.62 at most (the quartiles of |N(0, 1)| are 0.319 and 1.150, those of N(0, 1) are 1.349 apart). nan for fewer
/// than kLeastValues. What depends on sizes alone leaves the signed-rank test exact: under the hypothesis that old and
/// new are equal, the signs of a round's differences are as likely turned round, all together, given their sizes.
double sigma_of_sizes(std::span<const double> differences);

/// A bound that lies above sigma in about 80% of cases: sigma_of_sizes() times 1 + 2 / sqrt(n), for few rounds
/// underestimate sigma often and by much (pilot_test).
double cautious_sigma(std::span<const double> differences);

struct PlannedRounds {
  std::size_t screen = 0;   ///< in all
  std::size_t confirm = 0;  ///< if it is flagged
  bool sees = true;         ///< what is asked, in 95% of cases; else there is no such plan within kMostRounds
};

/// The cheapest rounds of at least `least_screen` with which a cell of this sigma is flagged, and confirmed among
/// `flagged` cells, in 95% of cases if it changed by `asked`. Four of five equal cells are not flagged: confirming
/// rounds are weighed by a quarter. Where even kMostRounds confirming ones do not do, `sees` is false, and the rounds
/// are `least_screen` and the rules' confirming ones: enough for changes that are larger than what was asked for.
PlannedRounds plan_rounds(double sigma, double asked, std::size_t least_screen, std::size_t flagged,
                          const GateRules& rules);
inline constexpr std::size_t kMostRounds = 160;

/// Which of several measures of the same rounds serves best: `sizes` holds the differences of each. That with the
/// smallest sigma_of_sizes(), but an earlier one unless a later one is better by more than 15%: measures stand in the
/// order of preference. Those with a difference that is nan are not looked at. -1 where none can be chosen.
int choose_measure(std::span<const std::vector<double>> sizes);

}  // namespace noisefloor
