// Ratios, intervals and verdicts.
// SPDX-License-Identifier: MIT
#include "benchmarks/pitfalls/verdict.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace noisefloor {
namespace {

/// An interval that holds 1 and a ratio beyond this, or its inverse, says neither that there is a difference nor that
/// there is none.
constexpr double kNoDifference = 1.1;

/// The largest k with P(x_(k) <= median <= x_(n+1-k)) >= 95% for n independent values; 0 if there is none.
std::size_t interval_rank(std::size_t n) {
  const auto count = static_cast<double>(n);
  double term = std::exp2(-count);  // Binomial(n, 1/2) at 0
  double tail = 0;
  std::size_t rank = 0;
  while (2 * rank + 1 < n) {
    tail += term;
    if (tail > 0.025) break;
    ++rank;
    term *= (count - static_cast<double>(rank) + 1) / static_cast<double>(rank);
  }
  return rank;
}

/// Three significant digits.
std::string number(double value) {
  const int digits = value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return fmt::format("{:.{}f}", value, digits);
}

}  // namespace

Ratio ratio_of(std::span<const double> ratios) {
  std::vector<double> sorted(ratios.begin(), ratios.end());
  std::sort(sorted.begin(), sorted.end());
  const std::size_t n = sorted.size();
  Ratio result;
  result.rounds = n;
  if (n == 0) return result;
  result.median = n % 2 == 1 ? sorted[n / 2] : std::sqrt(sorted[n / 2 - 1] * sorted[n / 2]);
  if (const std::size_t rank = n < kLeastRounds ? 0 : interval_rank(n); rank > 0) {
    result.low = sorted[rank - 1];
    result.high = sorted[n - rank];
  }
  return result;
}

std::string text_of(const Ratio& ratio) {
  if (ratio.rounds == 0) return "unknown";
  if (!ratio.low) return fmt::format("×{} (n = {}: too few for an interval)", number(ratio.median), ratio.rounds);
  return fmt::format("×{} [{}–{}]", number(ratio.median), number(*ratio.low), number(*ratio.high));
}

std::string verdict(const Pitfall& pitfall, const Seen& bad, const Seen& good) {
  for (const Seen* seen : {&bad, &good}) {
    if (seen->status == "skipped") return "not applicable: " + seen->message;
  }
  if (good.status != "ok") return fmt::format("no verdict: the cure itself: {}: {}", good.status, good.message);
  if (pitfall.harm == Harm::hang) {
    if (bad.status == "timeout") return fmt::format("hang: {}", bad.message);
    return bad.status == "ok" ? "not here: it does not hang"
                              : fmt::format("no verdict: {}: {}", bad.status, bad.message);
  }
  if (pitfall.harm == Harm::wrong) {
    if (bad.status == "wrong_output") return "reproduced: the answer is wrong";
    return bad.status == "ok" ? "not here: the answer is right"
                              : fmt::format("no verdict: {}: {}", bad.status, bad.message);
  }
  if (bad.status != "ok") return fmt::format("no verdict: {}: {}", bad.status, bad.message);
  std::vector<double> ratios;
  for (std::size_t round = 0; round < std::min(bad.by_round.size(), good.by_round.size()); ++round) {
    if (bad.by_round[round] && good.by_round[round] && *good.by_round[round] > 0) {
      ratios.push_back(*bad.by_round[round] / *good.by_round[round]);
    }
  }
  const Ratio ratio = ratio_of(ratios);
  if (!ratio.low) return fmt::format("undecided: {}", text_of(ratio));
  if (*ratio.low > 1) return "reproduced " + text_of(ratio);
  if (*ratio.high < 1) return fmt::format("not here: the cure costs more, {}", text_of(ratio));
  if (*ratio.high > kNoDifference || *ratio.low < 1 / kNoDifference) return "undecided: " + text_of(ratio);
  return fmt::format("not here: no difference is seen, {}", text_of(ratio));
}

}  // namespace noisefloor
