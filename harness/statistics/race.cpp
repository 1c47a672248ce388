// Paired differences, their signs and sizes; intervals over all pairs of finalists.
// SPDX-License-Identifier: MIT
#include "harness/statistics/race.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "harness/base/error.hpp"

namespace noisefloor {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kTailFrom = 0.9;

/// Of ascending values; not empty.
double percentile(const std::vector<double>& sorted, double share) {
  return sorted[static_cast<std::size_t>(std::ceil(share * static_cast<double>(sorted.size() - 1)))];
}

/// P(X >= k) for X of Binomial(n, p).
double upper_tail(std::size_t k, std::size_t n, double p) {
  if (k == 0) return 1;
  if (p <= 0) return 0;
  double sum = 0;
  for (std::size_t i = n + 1; i-- > k;) {
    const auto hits = static_cast<double>(i);
    const auto trials = static_cast<double>(n);
    sum += std::exp(std::lgamma(trials + 1) - std::lgamma(hits + 1) - std::lgamma(trials - hits + 1) +
                    hits * std::log(p) + (trials - hits) * std::log1p(-p));
  }
  return std::min(sum, 1.0);
}

/// The probability that chance made differences as large as these, or larger; over all order statistics.
double size_p(std::vector<double> differences, const PooledNoise& noise, double unit) {
  std::sort(differences.begin(), differences.end());
  const std::size_t n = differences.size();
  double least = 1;
  for (std::size_t k = 0; k < n; ++k) {
    least = std::min(least, upper_tail(n - k, n, noise.exceeds(differences[k] / unit)));
  }
  return std::min(1.0, least * static_cast<double>(n));
}

/// Infinities against each other say nothing.
double difference(double a, double b) { return std::isinf(a) && a == b ? 0.0 : a - b; }

}  // namespace

PooledNoise::PooledNoise(std::vector<double> differences) : sizes_(std::move(differences)) {
  for (double& size : sizes_) size = std::fabs(size);
  std::erase_if(sizes_, [](double size) { return !std::isfinite(size); });
  std::sort(sizes_.begin(), sizes_.end());
  if (!known()) return;
  from_ = percentile(sizes_, kTailFrom);
  const auto tail = std::upper_bound(sizes_.begin(), sizes_.end(), from_);
  double excess = 0;
  for (auto size = tail; size != sizes_.end(); ++size) excess += *size - from_;
  // One more excess as large as the percentile itself: a handful of values may lie close together by chance.
  slope_ = 2 * (excess + from_) / static_cast<double>(sizes_.end() - tail + 1);
}

double PooledNoise::exceeds(double x) const noexcept {
  if (x < 0) return 1;
  if (!known()) return 0.5;
  const auto share = [&](double size) {
    const auto above = static_cast<double>(sizes_.end() - std::lower_bound(sizes_.begin(), sizes_.end(), size));
    return std::min(0.5, (above + std::sqrt(above) + 1) / (2 * static_cast<double>(sizes_.size())));
  };
  if (x <= from_) return share(x);
  return slope_ > 0 ? share(from_) * std::exp(-(x - from_) / slope_) : 0;
}

double PooledNoise::usual() const noexcept { return known() ? percentile(sizes_, 0.75) : 0; }

double sign_evidence(std::size_t above, std::size_t below) {
  // 2^(n+1) · ∫ θ^above (1 - θ)^below dθ from 1/2 to 1, whose value is B(above+1, below+1) · P(X <= above) for
  // X of Binomial(n + 1, 1/2).
  const std::size_t n = above + below;
  const auto a = static_cast<double>(above);
  const auto b = static_cast<double>(below);
  const double log_beta = std::lgamma(a + 1) + std::lgamma(b + 1) - std::lgamma(a + b + 2);
  const double share = 1 - binomial_upper_tail(above + 1, n + 1);
  return std::exp((a + b + 1) * std::log(2.0) + log_beta) * share;
}

Race::Race(std::size_t most, const RaceRules& rules) : most_(std::max<std::size_t>(most, 2)), rules_(rules) {}

void Race::add_round(std::vector<double> log_durations) {
  if (log_durations.size() > most_) throw Error("more candidates than may enter the race");
  if (log_durations.size() > left_.size()) left_.resize(log_durations.size());
  rounds_.push_back(std::move(log_durations));
  for (auto& round : rounds_) round.resize(left_.size(), kNan);
}

std::size_t Race::visits(std::size_t candidate) const noexcept {
  return static_cast<std::size_t>(
      std::count_if(rounds_.begin(), rounds_.end(), [&](const auto& round) { return !std::isnan(round[candidate]); }));
}

std::vector<double> Race::differences(std::size_t a, std::size_t b) const {
  std::vector<double> found;
  for (const auto& round : rounds_) {
    if (!std::isnan(round[a]) && !std::isnan(round[b])) found.push_back(difference(round[a], round[b]));
  }
  return found;
}

double Race::behind(std::size_t a, std::size_t b) const { return median(differences(a, b)); }

/// By how much each round was slower than the first: the median, over the candidates, of what they changed.
std::vector<double> Race::levels() const {
  std::vector<double> level(rounds_.size(), 0.0);
  for (std::size_t r = 1; r < rounds_.size(); ++r) {
    std::vector<double> changes;
    for (std::size_t c = 0; c < left_.size(); ++c) {
      // against the latest round in which it ran before
      for (std::size_t before = r; before-- > 0;) {
        if (std::isnan(rounds_[before][c])) continue;
        const double change = difference(rounds_[r][c], rounds_[before][c]) + level[before];
        if (std::isfinite(change)) changes.push_back(change);
        break;
      }
    }
    level[r] = changes.empty() ? level[r - 1] : median(std::move(changes));
  }
  return level;
}

std::vector<double> Race::own_differences(std::size_t candidate, const std::vector<double>& level) const {
  std::vector<double> found;
  double last = kNan;
  for (std::size_t r = 0; r < rounds_.size(); ++r) {
    const double now = rounds_[r][candidate] - level[r];
    if (std::isnan(now)) continue;
    if (!std::isnan(last)) found.push_back(difference(now, last));
    last = now;
  }
  return found;
}

PooledNoise Race::noise() const {
  const std::vector<double> level = levels();
  std::vector<double> all;
  for (std::size_t c = 0; c < left_.size(); ++c) {
    const std::vector<double> own = own_differences(c, level);
    all.insert(all.end(), own.begin(), own.end());
  }
  return PooledNoise(std::move(all));
}

/// How noisy a candidate is: the 75th percentile of its own differences, of few the largest.
double Race::scale(std::size_t candidate, const std::vector<double>& level) const {
  std::vector<double> own = own_differences(candidate, level);
  for (double& size : own) size = std::fabs(size);
  std::sort(own.begin(), own.end());
  return own.empty() ? 0 : percentile(own, 0.75);
}

std::size_t Race::leader() const {
  std::size_t best = left_.size();
  for (std::size_t c = 0; c < left_.size(); ++c) {
    if (left_[c] || visits(c) == 0) continue;
    if (best == left_.size()) {
      best = c;
      continue;
    }
    const double slower = behind(c, best);
    if (slower < 0) best = c;
  }
  return best;
}

double Race::allowance() const noexcept { return rules_.alpha / 4 / static_cast<double>(most_ - 1); }

bool Race::too_large(std::vector<double> slower, std::size_t a, std::size_t b, const Sizes& sizes) const {
  const std::size_t n = slower.size();
  if (n == 0 || !sizes.pooled.known()) return false;
  const double usual = sizes.pooled.usual();
  const double unit = usual > 0 ? std::max({1.0, scale(a, sizes.level) / usual, scale(b, sizes.level) / usual}) : 1.0;
  return size_p(std::move(slower), sizes.pooled, unit) <= allowance() / static_cast<double>(n * (n + 1));
}

std::vector<Departure> Race::look() {
  std::vector<Departure> departures;
  const std::size_t first = leader();
  if (first == left_.size()) return departures;
  const Sizes sizes{noise(), levels()};
  const double tolerance = std::log1p(rules_.tolerance);
  for (std::size_t c = 0; c < left_.size(); ++c) {
    if (c == first || left_[c]) continue;
    std::vector<double> slower = differences(c, first);
    for (double& d : slower) d -= tolerance;
    const std::size_t n = slower.size();
    const auto above =
        static_cast<std::size_t>(std::count_if(slower.begin(), slower.end(), [](double d) { return d > 0; }));
    const bool by_signs = n > 0 && sign_evidence(above, n - above) >= 1 / allowance();
    if (by_signs || too_large(std::move(slower), c, first, sizes)) {
      departures.push_back({c, first, n, behind(c, first), by_signs});
    }
  }
  for (const Departure& gone : departures) left_[gone.candidate] = true;
  std::stable_sort(departures.begin(), departures.end(),
                   [](const Departure& a, const Departure& b) { return a.slower > b.slower; });
  return departures;
}

double Race::may_lead_by(std::size_t candidate, std::size_t leader) const {
  const Sizes sizes{noise(), levels()};
  const std::vector<double> slower = differences(candidate, leader);
  const auto rejected = [&](double lead) {
    std::vector<double> shifted = slower;
    for (double& d : shifted) d += lead;
    return too_large(std::move(shifted), candidate, leader, sizes);
  };
  double high = 1e-3;
  while (!rejected(high)) {
    high *= 2;
    if (high > 1e3) return kInfinity;
  }
  double low = 0;
  while (high - low > 1e-5 * high) {
    const double middle = (low + high) / 2;
    (rejected(middle) ? high : low) = middle;
  }
  return high;
}

std::size_t least_finish_rounds(std::size_t finalists, const RaceRules& rules) {
  if (finalists < 2) return 1;
  const auto pairs = static_cast<double>(finalists * (finalists - 1));
  return std::max(kLeastValues, static_cast<std::size_t>(std::ceil(std::log2(pairs / (rules.alpha / 2)))));
}

Finish finish(std::span<const std::vector<double>> finalists, const RaceRules& rules, SignedRanks& ranks) {
  if (finalists.empty()) throw Error("a race needs a finalist");
  const std::size_t count = finalists.size();
  const std::size_t n = finalists.front().size();
  for (const auto& finalist : finalists) {
    if (finalist.size() != n) throw Error("finalists must have run in the same rounds");
  }
  if (count == 1) return {0, 0, {0}, 0};
  // One-sided, each ordered pair gets an even share of alpha / 2; an interval has two sides.
  const double confidence = 1 - rules.alpha / static_cast<double>(count * (count - 1));
  std::vector<std::vector<Estimate>> slower(count, std::vector<Estimate>(count));
  for (std::size_t a = 0; a < count; ++a) {
    for (std::size_t b = 0; b < count; ++b) {
      std::vector<double> differences(n);
      std::transform(finalists[a].begin(), finalists[a].end(), finalists[b].begin(), differences.begin(), difference);
      slower[a][b] = ranks.pseudo_median(differences, confidence);
    }
  }
  std::size_t fastest = 0;
  for (std::size_t a = 1; a < count; ++a) {
    if (slower[a][fastest].middle < 0) fastest = a;
  }
  Finish found{count, fastest, {}, kInfinity};
  for (std::size_t a = 0; a < count; ++a) {
    bool surely = false;
    for (std::size_t b = 0; b < count; ++b) surely = surely || (a != b && slower[a][b].low > 0);
    if (surely) continue;
    found.ties.push_back(a);
    const bool close = a == fastest || slower[a][fastest].middle <= std::log1p(rules.tolerance);
    if (found.chosen == count && close) found.chosen = a;
  }
  if (found.chosen == count) found.chosen = fastest;
  double bound = 0;
  for (std::size_t b = 0; b < count; ++b) {
    if (b == found.chosen) continue;
    const double high = slower[found.chosen][b].high;
    if (std::isnan(high)) return found;  // its regret is not known
    bound = std::max(bound, high);
  }
  found.regret = std::expm1(bound);
  return found;
}

}  // namespace noisefloor
