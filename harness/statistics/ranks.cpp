// Binomial and signed-rank distributions by summation, Walsh averages, Holm's procedure.
// SPDX-License-Identifier: MIT
#include "harness/statistics/ranks.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "harness/base/error.hpp"

namespace noisefloor {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

/// P(W >= w) by w, where W is the sum of those of `ranks` that a fair coin picks.
std::vector<double> subset_sum_tails(const std::vector<std::size_t>& ranks) {
  std::vector<double> tails(std::accumulate(ranks.begin(), ranks.end(), std::size_t{0}) + 1, 0.0);
  tails[0] = 1;
  std::size_t top = 0;
  for (const std::size_t rank : ranks) {
    top += rank;
    for (std::size_t w = top + 1; w-- > 0;) tails[w] = (tails[w] + (w >= rank ? tails[w - rank] : 0.0)) / 2;
  }
  for (std::size_t w = top; w-- > 0;) tails[w] += tails[w + 1];
  return tails;
}

struct Ranked {
  std::vector<std::size_t> doubled;  ///< twice the mean rank of each difference that is not zero, ascending
  std::size_t positive = 0;          ///< their sum over positive differences
  std::size_t total = 0;
  double tie_term = 0;  ///< sum of t^3 - t over groups of t equal sizes
};

Ranked rank_by_size(std::span<const double> differences) {
  std::vector<double> sorted;
  for (const double d : differences) {
    if (d != 0) sorted.push_back(d);
  }
  std::sort(sorted.begin(), sorted.end(), [](double a, double b) { return std::fabs(a) < std::fabs(b); });
  Ranked ranked;
  for (std::size_t from = 0; from < sorted.size();) {
    std::size_t to = from;
    while (to < sorted.size() && std::fabs(sorted[to]) == std::fabs(sorted[from])) ++to;
    const std::size_t doubled = from + to + 1;  // twice the mean of from+1 … to
    for (std::size_t i = from; i < to; ++i) {
      ranked.doubled.push_back(doubled);
      ranked.total += doubled;
      if (sorted[i] > 0) ranked.positive += doubled;
    }
    const auto ties = static_cast<double>(to - from);
    ranked.tie_term += ties * ties * ties - ties;
    from = to;
  }
  return ranked;
}

/// The mean of two values; 0 for opposite infinities, which say nothing together.
double mean_of(double a, double b) {
  const double mean = a / 2 + b / 2;
  return std::isnan(mean) ? 0.0 : mean;
}

double middle_of(const std::vector<double>& sorted) {
  const std::size_t half = sorted.size() / 2;
  return sorted.size() % 2 == 1 ? sorted[half] : mean_of(sorted[half - 1], sorted[half]);
}

void refuse_nan(std::span<const double> values) {
  if (std::any_of(values.begin(), values.end(), [](double v) { return std::isnan(v); })) {
    throw Error("a difference is not a number: leave out what was not measured");
  }
}

}  // namespace

double binomial_upper_tail(std::size_t k, std::size_t n) {
  if (k == 0) return 1;
  if (k > n) return 0;
  const auto trials = static_cast<double>(n);
  double sum = 0;
  for (std::size_t i = n + 1; i-- > k;) {  // the small terms first
    const auto hits = static_cast<double>(i);
    sum += std::exp(std::lgamma(trials + 1) - std::lgamma(hits + 1) - std::lgamma(trials - hits + 1) -
                    trials * std::log(2.0));
  }
  return std::min(sum, 1.0);
}

OneSided sign_test(std::span<const double> differences) {
  refuse_nan(differences);
  const auto count = [&](auto holds) {
    return static_cast<std::size_t>(std::count_if(differences.begin(), differences.end(), holds));
  };
  const std::size_t above = count([](double d) { return d > 0; });
  const std::size_t below = count([](double d) { return d < 0; });
  return {binomial_upper_tail(above, above + below), binomial_upper_tail(below, above + below)};
}

const std::vector<double>& SignedRanks::tails(std::size_t n) {
  const auto [place, added] = tails_.try_emplace(n);
  if (added) {
    std::vector<std::size_t> ranks(n);
    std::iota(ranks.begin(), ranks.end(), std::size_t{1});
    place->second = subset_sum_tails(ranks);
  }
  return place->second;
}

OneSided SignedRanks::test(std::span<const double> differences) {
  refuse_nan(differences);
  const Ranked ranked = rank_by_size(differences);
  const std::size_t n = ranked.doubled.size();
  if (n == 0) return {};
  const std::size_t negative = ranked.total - ranked.positive;
  if (n > kMostExact) {
    const auto count = static_cast<double>(n);
    const double mean = static_cast<double>(ranked.total) / 4;
    const double spread = std::sqrt(count * (count + 1) * (2 * count + 1) / 24 - ranked.tie_term / 48);
    const auto tail = [&](std::size_t doubled) {
      return normal_cdf(-(static_cast<double>(doubled) / 2 - mean - 0.5) / spread);
    };
    return {tail(ranked.positive), tail(negative)};
  }
  if (ranked.tie_term == 0) {
    const std::vector<double>& known = tails(n);
    return {known[ranked.positive / 2], known[negative / 2]};
  }
  const std::vector<double> own = subset_sum_tails(ranked.doubled);
  return {own[ranked.positive], own[negative]};
}

Estimate SignedRanks::pseudo_median(std::span<const double> values, double confidence) {
  refuse_nan(values);
  const std::size_t n = values.size();
  if (n == 0) return {kNan, kNan, kNan, 0};
  std::vector<double> means;
  means.reserve(n * (n + 1) / 2);
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = i; j < n; ++j) means.push_back(mean_of(values[i], values[j]));
  }
  std::sort(means.begin(), means.end());
  const double middle = middle_of(means);
  const double alpha = (1 - confidence) / 2;
  // The largest rank such that P(W < rank) = P(W > total - rank) <= alpha.
  std::size_t rank = 0;
  if (n > kMostExact) {
    const auto count = static_cast<double>(n);
    const double spread = std::sqrt(count * (count + 1) * (2 * count + 1) / 24);
    rank =
        static_cast<std::size_t>(std::max(0.0, std::floor(count * (count + 1) / 4 + normal_quantile(alpha) * spread)));
  } else {
    const std::vector<double>& known = tails(n);
    while (known[known.size() - 1 - rank] <= alpha) ++rank;
  }
  if (n < kLeastValues || rank == 0) return {middle, kNan, kNan, n};
  return {middle, means[rank - 1], means[means.size() - rank], n};
}

double median(std::vector<double> values) {
  if (values.empty()) return kNan;
  std::sort(values.begin(), values.end());
  return middle_of(values);
}

double robust_sigma(std::span<const double> values) {
  if (values.empty()) return kNan;
  const double middle = median({values.begin(), values.end()});
  std::vector<double> distances;
  distances.reserve(values.size());
  for (const double value : values) distances.push_back(value == middle ? 0.0 : std::fabs(value - middle));
  return 1.4826 * median(std::move(distances));
}

std::vector<double> weighted_holm(std::span<const double> p, std::span<const double> weights) {
  if (p.size() != weights.size()) {
    throw Error(fmt::format("Holm's procedure needs one weight for each p value: {} and {}", weights.size(), p.size()));
  }
  for (std::size_t i = 0; i < p.size(); ++i) {
    if (!(p[i] >= 0 && p[i] <= 1)) throw Error(fmt::format("{} is no p value: it must lie in 0 … 1", p[i]));
    if (!(weights[i] > 0)) throw Error(fmt::format("{} is no weight: it must be above 0", weights[i]));
  }
  std::vector<std::size_t> order(p.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return p[a] / weights[a] < p[b] / weights[b]; });
  double left = std::accumulate(weights.begin(), weights.end(), 0.0);
  double largest = 0;
  std::vector<double> adjusted(p.size());
  for (const std::size_t i : order) {
    largest = std::max(largest, std::min(1.0, p[i] * std::max(1.0, left / weights[i])));
    adjusted[i] = largest;
    left -= weights[i];
  }
  return adjusted;
}

double normal_cdf(double z) { return std::erfc(-z / std::sqrt(2.0)) / 2; }

double normal_quantile(double p) {
  if (!(p > 0 && p < 1)) throw Error(fmt::format("the normal distribution has no quantile {}", p));
  double low = -40;
  double high = 40;
  for (int i = 0; i < 200 && low < high; ++i) {
    const double middle = (low + high) / 2;
    (normal_cdf(middle) < p ? low : high) = middle;
  }
  return (low + high) / 2;
}

}  // namespace noisefloor
