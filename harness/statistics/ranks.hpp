// Exact tests and intervals by order and rank: nothing is assumed about the shape of a distribution.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <vector>

namespace noisefloor {

/// Fewer values have no 95% interval by order statistics: the smallest and the largest of 5 enclose the median in
/// 93.75% of cases.
inline constexpr std::size_t kLeastValues = 6;

/// One-sided p values of a test of paired differences: that they lie above zero, and that they lie below.
struct OneSided {
  double above = 1;
  double below = 1;
};

/// A location with its interval. `low` and `high` are nan where there are too few values for one; without any value
/// all three are nan.
struct Estimate {
  double middle;
  double low;
  double high;
  std::size_t n;
};

/// P(X >= k) for X of Binomial(n, 1/2).
double binomial_upper_tail(std::size_t k, std::size_t n);

/// The exact sign test. Zeros say nothing and are left out; without any other value both p are 1. Infinite values
/// count by their sign: a launch that overran its deadline is longer than all others.
OneSided sign_test(std::span<const double> differences);

/// Wilcoxon's signed-rank test and the estimate that belongs to it. Its null distribution is exact wherever a
/// difference and its mirror are equally likely given its size, as they are between two identical builds that take
/// turns in random order: whatever the noise is, however it drifts, and whatever was planned from the sizes alone
/// (Hollander, Wolfe, Chicken, "Nonparametric Statistical Methods", chapter 3).
/// Null distributions without ties are kept, since a session asks for the same one many times.
class SignedRanks {
 public:
  /// Zeros are left out. Ties have mean ranks and the exact distribution that goes with them. From kMostExact
  /// differences on the distribution is the normal one, with continuity correction.
  [[nodiscard]] OneSided test(std::span<const double> differences);

  /// The pseudo-median (Hodges, Lehmann): the median of the means of all pairs, each value with itself included. The
  /// interval holds those shifts that the two-sided test at 1 - `confidence` does not reject. A pair of opposite
  /// infinities counts as 0.
  [[nodiscard]] Estimate pseudo_median(std::span<const double> values, double confidence = 0.95);

  static constexpr std::size_t kMostExact = 400;

 private:
  /// P(W >= w) by w, for n ranks without ties.
  const std::vector<double>& tails(std::size_t n);

  std::map<std::size_t, std::vector<double>> tails_;
};

/// The median of `values`, which may be infinite; nan without any.
double median(std::vector<double> values);

/// 1.4826 times the median absolute deviation from the median: the standard deviation of normal values, which a few
/// wild ones do not move. nan without any value.
double robust_sigma(std::span<const double> values);

/// Holm's adjusted p values with weights (Holm, "A simple sequentially rejective multiple test procedure",
/// Scandinavian Journal of Statistics 6, 1979), in the order given. Where the weights do not depend on what gave the
/// p values, rejecting what is below alpha is wrong anywhere with a probability of at most alpha. `p` lies in 0 … 1,
/// `weights` are positive, both of one length: else Error.
std::vector<double> weighted_holm(std::span<const double> p, std::span<const double> weights);

/// The distribution function of the standard normal distribution, and its inverse (for 0 < p < 1).
double normal_cdf(double z);
double normal_quantile(double p);

}  // namespace noisefloor
