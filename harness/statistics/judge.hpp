// Is this build slower than that one? The verdicts of a session: screen, confirm, judge.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "harness/statistics/ranks.hpp"

namespace noisefloor {

/// What a session promises. Shares: 0.01 is 1%.
struct GateRules {
  std::size_t screen_rounds = 18;   ///< of all cells
  std::size_t confirm_rounds = 45;  ///< fresh ones, of the cells that the screen flags
  double screen_alpha = 0.10;       ///< of the screen, one-sided and by cell: costs rounds, never a verdict
  double alpha = 0.05;              ///< of a wrong REGRESSED or IMPROVED anywhere in the session
  double margin = 0.01;             ///< the least change that counts
};

/// The differences ln(head / base) of a cell, one for each round. Infinite where only one of the two overran its
/// deadline. `confirmed` holds fresh rounds, and is empty where the cell was not measured again.
struct CellRounds {
  std::vector<double> screened = {};
  std::vector<double> confirmed = {};
  double sees = 0.05;              ///< the change that this cell is asked to see
  std::size_t confirm_rounds = 0;  ///< it would have got, were it flagged; 0: those of the rules
};

enum class Verdict {
  ok,
  regressed,
  improved,
  inconclusive,  ///< this session did not decide: too few rounds, or flagged and not confirmed
  underpowered,  ///< this machine is too noisy for what is asked of the cell: more sessions like this one do not help
};
/// "OK", "REGRESSED", …
std::string_view name_of(Verdict verdict) noexcept;

/// By how much head takes longer than base. Shares: 0.03 is 3% longer. nan where there are too few rounds;
/// `smallest_visible` is infinite where no change could have been confirmed.
struct Change {
  double effect;  ///< the pseudo-median, with its 95% interval
  double low;
  double high;
  double sigma;             ///< robust, of the logarithms
  double smallest_visible;  ///< found by a session like this one in 80% of cases
  double slower;            ///< one-sided p values of the signed-rank test
  double faster;
  std::size_t rounds;
};

struct Judged {
  Verdict verdict;
  Change change;  ///< of the confirming rounds where there are any, else of the screening ones
  double p;       ///< Holm's, over all flagged cells; of the screen, uncorrected, where `flagged` is false
  bool flagged;
  std::string reason;  ///< where the verdict needs one
};

/// +1 where head seems slower in these rounds, -1 where it seems faster, 0 where the screen sees neither.
int screen_direction(std::span<const double> differences, const GateRules& rules, SignedRanks& ranks);

/// The fewest confirming rounds in which one of `flagged` cells can be confirmed at all, all of them going one way:
/// with n rounds no p value lies below 2^-n, and Holm multiplies it by the number of cells.
std::size_t least_confirm_rounds(std::size_t flagged, const GateRules& rules);

/// Which flagged cells are measured again, and how often.
struct Confirmation {
  std::size_t rounds = 0;
  std::vector<std::size_t> cells = {};     ///< indices into what was screened, ascending
  std::vector<std::size_t> left_out = {};  ///< flagged, but there is no time to confirm them: INCONCLUSIVE
};

/// Plans the confirming rounds for `cells`, of which only `screened` is read. `affordable` is how many visits of a cell
/// (one launch of each arm) there is time for. All flagged cells get rules.confirm_rounds, or as many as there is time
/// for, but never fewer than least_confirm_rounds(): else those cells are left out whose screen was least clear.
Confirmation plan_confirmation(std::span<const CellRounds> cells, double affordable, const GateRules& rules);

/// How probably a session finds a `change` in a cell of this `sigma`: its screen must flag it, and `confirm_rounds`
/// fresh rounds must confirm it among `flagged` cells and lie above the margin. Normal noise is assumed for the power
/// alone, never for a verdict: the signed-rank test's standard error of a shift is sqrt(pi / 3) · sigma / sqrt(n).
double power(double change, double sigma, std::size_t screen_rounds, std::size_t confirm_rounds, std::size_t flagged,
             const GateRules& rules);

/// The smallest change that a session finds in 80% of cases: that with a power() of so much.
double smallest_visible(double sigma, std::size_t screen_rounds, std::size_t confirm_rounds, std::size_t flagged,
                        const GateRules& rules);

/// By what the rounds of `rules` must be multiplied so that a cell of this sigma sees a change of `asked`; at least 1.
double rounds_factor(double sigma, double asked, const GateRules& rules);

/// The verdict of every cell, in the order given.
/// Fresh rounds alone decide, in the direction that was flagged: REGRESSED (or IMPROVED, its mirror) where Holm's p
/// over all confirmed cells is below alpha and the change is at least the margin, or, in a cell that cannot see what is
/// asked of it, the smallest change that it can see. Holm's weights are the screen's p values to the power of -1/2: the
/// screen's rounds are others than those that decide, so that the error stays below alpha, and cells that were flagged
/// by chance take little of the allowance.
std::vector<Judged> judge(std::span<const CellRounds> cells, const GateRules& rules = {});

}  // namespace noisefloor
