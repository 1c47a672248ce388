// Plans rounds from sizes of differences.
// SPDX-License-Identifier: MIT
#include "harness/statistics/pilot.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace noisefloor {
namespace {

constexpr double kPlannedPower = 0.95;
constexpr double kConfirmWeight = 0.25;
constexpr double kBetterBy = 0.85;
/// The difference between the quartiles of |N(0, 1)|.
constexpr double kHalfNormalRange = 1.1503494 - 0.3186394;

/// Linear between order statistics, which are ascending.
double quantile(std::span<const double> sorted, double share) {
  const double place = share * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(place);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  return std::lerp(sorted[below], sorted[above], place - static_cast<double>(below));
}

}  // namespace

double sigma_of_sizes(std::span<const double> differences) {
  if (differences.size() < kLeastValues) return std::numeric_limits<double>::quiet_NaN();
  std::vector<double> sizes;
  sizes.reserve(differences.size());
  for (const double difference : differences) sizes.push_back(std::abs(difference));
  std::sort(sizes.begin(), sizes.end());
  const double upper = quantile(sizes, 0.75);
  return std::isfinite(upper) ? (upper - quantile(sizes, 0.25)) / kHalfNormalRange : upper;
}

double cautious_sigma(std::span<const double> differences) {
  return sigma_of_sizes(differences) * (1 + 2 / std::sqrt(static_cast<double>(differences.size())));
}

PlannedRounds plan_rounds(double sigma, double asked, std::size_t least_screen, std::size_t flagged,
                          const GateRules& rules) {
  const std::size_t least_confirm = least_confirm_rounds(flagged, rules);
  const auto sees = [&](std::size_t screen, std::size_t confirm) {
    return power(asked, sigma, screen, confirm, flagged, rules) >= kPlannedPower;
  };
  PlannedRounds best{least_screen, std::max(rules.confirm_rounds, least_confirm), false};
  double cost = std::numeric_limits<double>::infinity();
  for (std::size_t screen = least_screen; screen <= std::max(kMostRounds, least_screen); ++screen) {
    if (!sees(screen, kMostRounds)) continue;
    std::size_t low = least_confirm;
    std::size_t high = std::max(kMostRounds, least_confirm);
    while (low < high) {
      const std::size_t middle = (low + high) / 2;
      sees(screen, middle) ? high = middle : low = middle + 1;
    }
    const double its = static_cast<double>(screen) + kConfirmWeight * static_cast<double>(high);
    if (its >= cost) continue;
    cost = its;
    best = {screen, high, true};
  }
  return best;
}

int choose_measure(std::span<const std::vector<double>> sizes) {
  int best = -1;
  double least = std::numeric_limits<double>::infinity();
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    if (std::any_of(sizes[i].begin(), sizes[i].end(), [](double value) { return std::isnan(value); })) continue;
    const double sigma = sigma_of_sizes(sizes[i]);
    if (std::isnan(sigma)) continue;
    if (best < 0 || sigma < kBetterBy * least) {
      best = static_cast<int>(i);
      least = sigma;
    }
  }
  return best;
}

}  // namespace noisefloor
