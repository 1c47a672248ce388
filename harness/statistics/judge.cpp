// Screen, confirm, judge.
// SPDX-License-Identifier: MIT
#include "harness/statistics/judge.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace noisefloor {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kPower = 0.80;
constexpr double kMostFactor = 1000;

double standard_error(double sigma, std::size_t rounds) {
  return std::sqrt(M_PI / 3 / static_cast<double>(rounds)) * sigma;
}

struct Screened {
  int direction = 0;
  double p = 1;  ///< one-sided, in that direction
};

Screened screen(std::span<const double> differences, const GateRules& rules, SignedRanks& ranks) {
  const OneSided p = ranks.test(differences);
  if (p.above < rules.screen_alpha) return {1, p.above};
  if (p.below < rules.screen_alpha) return {-1, p.below};
  return {0, std::min(p.above, p.below)};
}

Change change_of(std::span<const double> differences, SignedRanks& ranks) {
  const Estimate estimate = ranks.pseudo_median(differences);
  const OneSided p = ranks.test(differences);
  return {std::expm1(estimate.middle),
          std::expm1(estimate.low),
          std::expm1(estimate.high),
          robust_sigma(differences),
          kNan,
          p.above,
          p.below,
          differences.size()};
}

}  // namespace

std::string_view name_of(Verdict verdict) noexcept {
  switch (verdict) {
    case Verdict::ok:
      return "OK";
    case Verdict::regressed:
      return "REGRESSED";
    case Verdict::improved:
      return "IMPROVED";
    case Verdict::inconclusive:
      return "INCONCLUSIVE";
    case Verdict::underpowered:
      break;
  }
  return "UNDERPOWERED";
}

int screen_direction(std::span<const double> differences, const GateRules& rules, SignedRanks& ranks) {
  return screen(differences, rules, ranks).direction;
}

std::size_t least_confirm_rounds(std::size_t flagged, const GateRules& rules) {
  const auto cells = static_cast<double>(std::max<std::size_t>(flagged, 1));
  return std::max(kLeastValues, static_cast<std::size_t>(std::ceil(std::log2(cells / rules.alpha))));
}

Confirmation plan_confirmation(std::span<const CellRounds> cells, double affordable, const GateRules& rules) {
  SignedRanks ranks;
  std::vector<std::pair<double, std::size_t>> flagged;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    const Screened found = screen(cells[i].screened, rules, ranks);
    if (found.direction != 0) flagged.emplace_back(found.p, i);
  }
  std::stable_sort(flagged.begin(), flagged.end());
  Confirmation plan;
  for (std::size_t kept = flagged.size(); kept > 0 && plan.cells.empty(); --kept) {
    const std::size_t least = least_confirm_rounds(kept, rules);
    const double there_is_time_for = std::floor(affordable / static_cast<double>(kept));
    if (there_is_time_for < static_cast<double>(least)) continue;
    const std::size_t wanted = std::max(rules.confirm_rounds, least);
    plan.rounds =
        there_is_time_for < static_cast<double>(wanted) ? static_cast<std::size_t>(there_is_time_for) : wanted;
    for (std::size_t i = 0; i < kept; ++i) plan.cells.push_back(flagged[i].second);
  }
  for (std::size_t i = plan.cells.size(); i < flagged.size(); ++i) plan.left_out.push_back(flagged[i].second);
  std::sort(plan.cells.begin(), plan.cells.end());
  std::sort(plan.left_out.begin(), plan.left_out.end());
  return plan;
}

double power(double change, double sigma, std::size_t screen_rounds, std::size_t confirm_rounds, std::size_t flagged,
             const GateRules& rules) {
  if (screen_rounds < kLeastValues || confirm_rounds < least_confirm_rounds(flagged, rules) || !std::isfinite(sigma)) {
    return 0;
  }
  const double margin = std::log1p(rules.margin);
  const double shift = std::log1p(change);
  if (sigma <= 0) return shift >= margin ? 1 : 0;
  const double cells = static_cast<double>(std::max<std::size_t>(flagged, 1));
  const double to_flag = -normal_quantile(rules.screen_alpha) * standard_error(sigma, screen_rounds);
  const double to_confirm =
      std::max(margin, -normal_quantile(rules.alpha / cells) * standard_error(sigma, confirm_rounds));
  return normal_cdf((shift - to_flag) / standard_error(sigma, screen_rounds)) *
         normal_cdf((shift - to_confirm) / standard_error(sigma, confirm_rounds));
}

double smallest_visible(double sigma, std::size_t screen_rounds, std::size_t confirm_rounds, std::size_t flagged,
                        const GateRules& rules) {
  const auto seen = [&](double shift) {
    return power(std::expm1(shift), sigma, screen_rounds, confirm_rounds, flagged, rules) >= kPower;
  };
  double low = 0;
  double high = std::log1p(rules.margin) + 20 * std::max(sigma, 0.0);
  if (!seen(high)) return kInfinity;
  for (int i = 0; i < 60; ++i) {
    const double middle = (low + high) / 2;
    (seen(middle) ? high : low) = middle;
  }
  return std::expm1(high);
}

double rounds_factor(double sigma, double asked, const GateRules& rules) {
  const auto sees = [&](double factor) {
    const auto times = [&](std::size_t rounds) {
      return static_cast<std::size_t>(std::ceil(static_cast<double>(rounds) * factor));
    };
    return smallest_visible(sigma, times(rules.screen_rounds), times(rules.confirm_rounds), 1, rules) <= asked;
  };
  if (sees(1)) return 1;
  if (!sees(kMostFactor)) return kInfinity;
  double low = 1;
  double high = kMostFactor;
  while (high - low > 0.01 * high) {
    const double middle = std::sqrt(low * high);
    (sees(middle) ? high : low) = middle;
  }
  return high;
}

std::vector<Judged> judge(std::span<const CellRounds> cells, const GateRules& rules) {
  SignedRanks ranks;
  std::vector<Screened> screened;
  std::vector<std::size_t> confirmed;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    screened.push_back(screen(cells[i].screened, rules, ranks));
    if (screened[i].direction != 0 && !cells[i].confirmed.empty()) confirmed.push_back(i);
  }
  std::vector<Change> changes;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    const bool fresh = std::binary_search(confirmed.begin(), confirmed.end(), i);
    changes.push_back(change_of(fresh ? cells[i].confirmed : cells[i].screened, ranks));
  }
  std::vector<double> p;
  std::vector<double> weights;
  for (const std::size_t i : confirmed) {
    p.push_back(screened[i].direction > 0 ? changes[i].slower : changes[i].faster);
    weights.push_back(1 / std::sqrt(screened[i].p));
  }
  const std::vector<double> corrected = weighted_holm(p, weights);
  double undecided_weight = 0;
  for (std::size_t k = 0; k < confirmed.size(); ++k) {
    if (!(corrected[k] < rules.alpha)) undecided_weight += weights[k];
  }

  std::vector<Judged> result;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    const auto place = std::lower_bound(confirmed.begin(), confirmed.end(), i);
    const bool fresh = place != confirmed.end() && *place == i;
    const auto k = static_cast<std::size_t>(place - confirmed.begin());
    const int direction = screened[i].direction;
    Judged judged{Verdict::ok, changes[i], fresh ? corrected[k] : screened[i].p, direction != 0, {}};
    Change& change = judged.change;
    const std::size_t others = confirmed.size() + (fresh ? 0 : 1);
    const std::size_t planned = cells[i].confirm_rounds > 0 ? cells[i].confirm_rounds : rules.confirm_rounds;
    change.smallest_visible =
        smallest_visible(change.sigma, cells[i].screened.size(), fresh ? change.rounds : planned, others, rules);
    const bool convicted = fresh && judged.p < rules.alpha;
    // Not even rounds that all go one way would have been enough, whatever became of the other cells.
    const bool hopeless = fresh && !convicted &&
                          std::exp2(-static_cast<double>(change.rounds)) * undecided_weight / weights[k] >= rules.alpha;
    const bool blind = !(change.smallest_visible <= cells[i].sees);
    const double floor = blind && std::isfinite(change.smallest_visible) ? change.smallest_visible : rules.margin;
    if (change.rounds < kLeastValues) {
      judged.verdict = Verdict::inconclusive;
      judged.reason = fmt::format("{} rounds are fewer than {}", change.rounds, kLeastValues);
    } else if (direction != 0 && !fresh) {
      judged.verdict = Verdict::inconclusive;
      judged.reason = "flagged by the screen and not confirmed";
    } else if (convicted && direction * std::log1p(change.effect) >= std::log1p(floor)) {
      judged.verdict = direction > 0 ? Verdict::regressed : Verdict::improved;
    } else if (hopeless) {
      change.smallest_visible = kInfinity;
      judged.verdict = Verdict::inconclusive;
      judged.reason = fmt::format("{} confirming rounds cannot confirm one of {} flagged cells: at least {} can",
                                  change.rounds, confirmed.size(), least_confirm_rounds(confirmed.size(), rules));
    } else if (blind) {
      const double factor = rounds_factor(change.sigma, cells[i].sees, rules);
      judged.verdict = Verdict::underpowered;
      const std::string sees = std::isfinite(change.smallest_visible)
                                   ? fmt::format("{:.1f}%", 100 * change.smallest_visible)
                                   : std::string("no change in so few rounds");
      judged.reason = fmt::format("sees {} where {:.1f}% is asked of it", sees, 100 * cells[i].sees);
      if (std::isfinite(factor)) judged.reason += fmt::format("; {:.1f} times as many rounds would", factor);
    }
    result.push_back(std::move(judged));
  }
  return result;
}

}  // namespace noisefloor
