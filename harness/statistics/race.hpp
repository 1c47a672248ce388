// Which of many ways is the fastest? A race: ways leave when they are surely not, and fresh rounds bound the regret.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "harness/statistics/ranks.hpp"

namespace noisefloor {

/// What a race promises. Shares: 0.02 is 2%.
struct RaceRules {
  double tolerance = 0.02;  ///< who is slower than the leader by no more stays
  double alpha = 0.05;      ///< that the best leaves, or that the regret exceeds its bound; each takes half
};

/// How far two launches of one way differ by chance, as logarithms: found from all ways together, each compared with
/// itself one visit later, after what moved the whole round was taken off.
class PooledNoise {
 public:
  /// `differences` of what should be equal; their signs do not matter.
  explicit PooledNoise(std::vector<double> differences);

  /// An estimate from above of the probability that chance alone puts one way behind another by `x` or more in a round:
  /// at most 1/2 for x >= 0, that where nothing is known yet, and 1 below. Up to the 90th percentile the differences
  /// themselves tell; beyond, the tail is taken to fall exponentially, half as fast as the mean excess over that
  /// percentile says.
  [[nodiscard]] double exceeds(double x) const noexcept;
  /// The 75th percentile of the sizes; 0 where nothing is known yet.
  [[nodiscard]] double usual() const noexcept;
  [[nodiscard]] bool known() const noexcept { return sizes_.size() >= kLeast; }

  static constexpr std::size_t kLeast = 10;  ///< fewer differences tell nothing

 private:
  std::vector<double> sizes_;  ///< ascending
  double from_ = 0;            ///< where the tail begins,
  double slope_ = 0;           ///< and the length over which it falls by e
};

/// Evidence that a coin falls "above" more often than not: the likelihood ratio of all coins above 1/2, evenly
/// weighted, to the fair one. For coins that do not, its mean is at most 1, and it may be looked at after every round:
/// the probability that it ever reaches 1/a is at most a (Ville's inequality; Howard, Ramdas, McAuliffe, Sekhon,
/// "Time-uniform, nonparametric, nonasymptotic confidence sequences", Annals of Statistics 49, 2021).
double sign_evidence(std::size_t above, std::size_t below);

/// Why a way left, and when.
struct Departure {
  std::size_t candidate;
  std::size_t leader;  ///< that it was compared with
  std::size_t rounds;  ///< in which both ran
  double slower;       ///< the median of their log ratios in those rounds
  bool by_signs;       ///< the exact test decided; else the size of the differences
};

/// Candidates × rounds of log durations. A candidate leaves when it is surely slower than the leader by more than the
/// tolerance. Two tests share alpha / 2 evenly, each divided by the number of possible leaders:
/// - The signs of the paired differences (sign_evidence()), valid after every round whatever the noise is.
/// - Their sizes against the pooled noise: with n rounds, the probability that chance alone exceeded the k-th smallest
///   difference in n - k + 1 rounds or more, the smallest over all k, times n; weight 1 / (n (n + 1)) of the allowance.
///   It ends in two or three rounds what is far behind, and rests on PooledNoise. Where the differences of the
///   candidate or the leader are larger than usual, they are divided by as much.
/// The best of all leaves with a probability of at most alpha / 2.
class Race {
 public:
  /// `most`: candidates that may ever enter.
  Race(std::size_t most, const RaceRules& rules);

  /// A round that ended: the log of every candidate's duration, by its index, nan where it did not run. +infinity for a
  /// launch that overran its deadline. The more candidates of the earlier rounds are in it, the more it tells.
  void add_round(std::vector<double> log_durations);

  /// Takes off those who are surely not the best, most clearly slower first.
  std::vector<Departure> look();

  [[nodiscard]] std::size_t candidates() const noexcept { return left_.size(); }
  [[nodiscard]] bool is_in(std::size_t candidate) const noexcept { return !left_[candidate]; }
  [[nodiscard]] std::size_t visits(std::size_t candidate) const noexcept;
  /// The candidate that is in, ran, and has the smallest median duration in rounds that it shares with the others.
  /// `candidates()` where none ran.
  [[nodiscard]] std::size_t leader() const;
  /// The median of the log ratios of `a` and `b` in rounds in which both ran; nan without any.
  [[nodiscard]] double behind(std::size_t a, std::size_t b) const;
  /// By how much `candidate` may still be faster than `leader`, as a logarithm, for one that is in but is not taken to
  /// the finish: the test of sizes, inverted. Whenever the best has not left, it holds for the best. At least 0;
  /// infinite where they share no round or the noise is not known.
  [[nodiscard]] double may_lead_by(std::size_t candidate, std::size_t leader) const;
  [[nodiscard]] PooledNoise noise() const;

 private:
  struct Sizes {
    PooledNoise pooled;
    std::vector<double> level;
  };
  /// Whether `slower`, the differences of `a` and `b`, are too large for chance.
  [[nodiscard]] bool too_large(std::vector<double> slower, std::size_t a, std::size_t b, const Sizes& sizes) const;
  [[nodiscard]] double allowance() const noexcept;  ///< of each test against one leader
  [[nodiscard]] std::vector<double> differences(std::size_t a, std::size_t b) const;
  [[nodiscard]] double scale(std::size_t candidate, const std::vector<double>& round_level) const;
  [[nodiscard]] std::vector<double> levels() const;
  [[nodiscard]] std::vector<double> own_differences(std::size_t candidate, const std::vector<double>& level) const;

  std::size_t most_;
  RaceRules rules_;
  std::vector<std::vector<double>> rounds_;
  std::vector<bool> left_;
};

/// What fresh rounds say of those who were left.
struct Finish {
  std::size_t chosen;             ///< the simplest that ties with the fastest
  std::size_t fastest;            ///< by pseudo-median
  std::vector<std::size_t> ties;  ///< not surely slower than any other, in the order given
  double regret;  ///< `chosen` takes at most this share longer than the best of all; infinite: not known
};

/// `finalists[i]`: the log durations of finalist i in the fresh rounds, all of one length, in the order of simplicity.
/// Of each pair the confidence interval of the pseudo-median of the paired differences holds at alpha / 2 over all
/// pairs. `chosen` is the first that is not surely slower than any other and whose estimate lies within the tolerance
/// of the fastest. Throws Error without any finalist, or where lengths differ.
Finish finish(std::span<const std::vector<double>> finalists, const RaceRules& rules, SignedRanks& ranks);

/// The fewest rounds in which `finalists` can be bounded at all.
std::size_t least_finish_rounds(std::size_t finalists, const RaceRules& rules);

}  // namespace noisefloor
