// A race keeps the best way, drops what is surely slower, and its bound on the regret holds.
// SPDX-License-Identifier: MIT
#include "harness/statistics/race.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <ostream>
#include <random>
#include <string>
#include <vector>

#include "harness/base/error.hpp"

namespace noisefloor {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

TEST(SignEvidence, IsTheLikelihoodRatioOverAllCoinsAboveAHalf) {
  for (const auto& [above, below] : {std::pair{0, 0}, {5, 0}, {0, 5}, {7, 3}, {40, 25}}) {
    double sum = 0;
    constexpr int kSteps = 100'000;
    for (int i = 0; i < kSteps; ++i) {
      const double heads = 0.5 + 0.5 * (i + 0.5) / kSteps;
      sum += std::exp(above * std::log(2 * heads) + below * std::log(2 * (1 - heads))) / kSteps;
    }
    EXPECT_NEAR(sign_evidence(static_cast<std::size_t>(above), static_cast<std::size_t>(below)), sum, 1e-4 * sum)
        << above << ' ' << below;
  }
}

TEST(SignEvidence, IsOneOnAverageWhateverTheNumberOfRounds) {
  for (const std::size_t n : {1U, 4U, 9U, 30U}) {
    double mean = 0;
    for (std::size_t above = 0; above <= n; ++above) {
      mean += (binomial_upper_tail(above, n) - binomial_upper_tail(above + 1, n)) * sign_evidence(above, n - above);
    }
    EXPECT_NEAR(mean, 1, 1e-9) << n;
  }
}

TEST(PooledNoise, TellsHowOftenChanceExceedsASize) {
  std::mt19937_64 random(1);
  std::normal_distribution<double> normal(0, 0.1);
  std::vector<double> seen(2000);
  std::generate(seen.begin(), seen.end(), [&] { return normal(random) - normal(random); });
  const PooledNoise noise(seen);
  for (const double x : {0.05, 0.1, 0.2, 0.3, 0.5}) {
    const double truth = 1 - normal_cdf(x / (0.1 * std::sqrt(2.0)));
    EXPECT_GT(noise.exceeds(x), truth) << x;
    if (x < 0.25) {
      EXPECT_LT(noise.exceeds(x), 1.4 * truth) << x;
    }
  }
  EXPECT_LT(noise.exceeds(2), 1e-4);
  EXPECT_EQ(noise.exceeds(-0.1), 1);
}

TEST(PooledNoise, SaysNothingOfFewDifferences) {
  const PooledNoise noise({0.1, 0.2});
  EXPECT_FALSE(noise.known());
  EXPECT_EQ(noise.exceeds(5), 0.5);
}

TEST(Race, EndsInAFewRoundsWhatIsFarBehind) {
  std::mt19937_64 random(2);
  std::normal_distribution<double> noise(0, 0.03);
  Race race(20, {});
  for (int round = 0; round < 4; ++round) {
    std::vector<double> durations(20);
    for (std::size_t c = 0; c < 20; ++c) durations[c] = (c < 3 ? 0.0 : std::log(2.0)) + noise(random);
    race.add_round(durations);
    race.look();
  }
  for (std::size_t c = 0; c < 20; ++c) EXPECT_EQ(race.is_in(c), c < 3) << c;
}

TEST(Race, KeepsWhoIsWithinTheTolerance) {
  Race race(2, {});
  for (int round = 0; round < 200; ++round) race.add_round({0, std::log(1.015)});
  EXPECT_TRUE(race.look().empty());
  EXPECT_EQ(race.leader(), 0U);
  for (int round = 0; round < 300; ++round) race.add_round({0, std::log(1.03)});
  const std::vector<Departure> gone = race.look();
  ASSERT_EQ(gone.size(), 1U);
  EXPECT_EQ(gone.front().candidate, 1U);
  EXPECT_NEAR(gone.front().slower, std::log(1.03), 1e-9);
}

TEST(Race, ComparesOnlyRoundsInWhichBothRan) {
  Race race(3, {});
  // The second candidate runs in slow rounds only, and is the faster one in each of them.
  for (int round = 0; round < 30; ++round) {
    const bool slow = round % 2 == 0;
    race.add_round({slow ? 1.0 : 0.0, slow ? 0.8 : kNan, slow ? 1.5 : 0.5});
  }
  EXPECT_EQ(race.leader(), 1U);
  EXPECT_NEAR(race.behind(0, 1), 0.2, 1e-12);
  EXPECT_EQ(race.visits(1), 15U);
}

TEST(Race, CountsAnOverrunAsLongerThanAllOthers) {
  Race race(12, {});
  std::vector<double> durations(12, 0.0);
  durations[7] = kInfinity;
  for (int round = 0; round < 4; ++round) {
    for (std::size_t c = 0; c < 7; ++c)
      durations[c] = 0.01 * static_cast<double>((c + static_cast<std::size_t>(round)) % 3);
    race.add_round(durations);
    race.look();
  }
  EXPECT_FALSE(race.is_in(7));
  EXPECT_TRUE(race.is_in(0));
}

TEST(Race, TakesThoseWhoEnterLater) {
  Race race(3, {});
  race.add_round({0.5});
  race.add_round({0.5, 0.0, 1.0});
  EXPECT_EQ(race.candidates(), 3U);
  EXPECT_EQ(race.visits(0), 2U);
  EXPECT_EQ(race.visits(2), 1U);
  EXPECT_EQ(race.leader(), 1U);
  EXPECT_THROW(race.add_round({0, 0, 0, 0}), Error);
}

TEST(Finish, TakesTheSimplestThatTies) {
  SignedRanks ranks;
  std::mt19937_64 random(3);
  std::normal_distribution<double> noise(0, 0.01);
  std::vector<std::vector<double>> finalists(3);
  for (int round = 0; round < 40; ++round) {
    finalists[0].push_back(0.2 + noise(random));    // simple and slow
    finalists[1].push_back(0.001 + noise(random));  // nearly the best, and simpler than it
    finalists[2].push_back(0 + noise(random));
  }
  const Finish found = finish(finalists, {}, ranks);
  EXPECT_EQ(found.chosen, 1U);
  EXPECT_THAT(found.ties, testing::ElementsAre(1, 2));
  EXPECT_GT(found.regret, 0.0);
  EXPECT_LT(found.regret, 0.02);
}

TEST(Finish, BoundsNothingWithTooFewRounds) {
  SignedRanks ranks;
  const std::size_t least = least_finish_rounds(4, {});
  const auto flat = [&](std::size_t rounds) {
    return std::vector<std::vector<double>>{std::vector<double>(rounds, 0.0), std::vector<double>(rounds, 0.1),
                                            std::vector<double>(rounds, 0.2), std::vector<double>(rounds, 0.3)};
  };
  EXPECT_TRUE(std::isinf(finish(flat(least - 1), {}, ranks).regret));
  EXPECT_EQ(finish(flat(least), {}, ranks).regret, 0.0);
  EXPECT_EQ(finish(std::vector<std::vector<double>>{{0.5}}, {}, ranks).regret, 0.0) << "nothing else may win";
  EXPECT_THROW(finish({}, {}, ranks), Error);
  EXPECT_THROW(finish(std::vector<std::vector<double>>{{0.5}, {0.5, 0.6}}, {}, ranks), Error);
}

/// How the candidates of a simulated race are, and how they are disturbed.
struct Track {
  const char* name;
  std::size_t candidates;
  double least_sigma;  ///< of the logarithms
  double most_sigma;
  int freedom;   ///< of Student's t; 0: normal
  double lag;    ///< correlation of a candidate's noise from round to round
  double spike;  ///< share of launches that take up to e times as long
};
std::ostream& operator<<(std::ostream& out, const Track& track) { return out << track.name; }

class SimulatedRace : public testing::TestWithParam<Track> {};

TEST_P(SimulatedRace, KeepsTheBestAndItsBoundHolds) {
  const Track& track = GetParam();
  std::mt19937_64 random(7);
  std::normal_distribution<double> normal;
  std::uniform_real_distribution<double> uniform;
  constexpr int kRaces = 60;
  int lost = 0;
  int beyond = 0;
  for (int i = 0; i < kRaces; ++i) {
    const std::size_t count = track.candidates;
    std::vector<double> truth(count);
    std::vector<double> sigma(count);
    std::vector<double> state(count, 0.0);
    for (std::size_t c = 0; c < count; ++c) {
      truth[c] = c < 5 ? 0.01 * uniform(random) : 3 * std::pow(uniform(random), 1.5);
      sigma[c] = track.least_sigma + (track.most_sigma - track.least_sigma) * uniform(random);
    }
    const auto best = static_cast<std::size_t>(std::min_element(truth.begin(), truth.end()) - truth.begin());
    double drift = 0;
    const auto launch = [&](std::size_t c) {
      double value = normal(random);
      if (track.freedom > 0) {
        double square = 0;
        for (int k = 0; k < track.freedom; ++k) square += std::pow(normal(random), 2);
        value /= std::sqrt(square / track.freedom);
      }
      state[c] = track.lag * state[c] + std::sqrt(1 - track.lag * track.lag) * value;
      return truth[c] + drift + sigma[c] * state[c] + (uniform(random) < track.spike ? uniform(random) : 0.0);
    };
    Race race(count, {});
    for (int round = 0; round < 12; ++round) {
      drift += 0.02 * normal(random);
      std::vector<double> durations(count, kNan);
      for (std::size_t c = 0; c < count; ++c) {
        if (round == 0 || race.is_in(c)) durations[c] = launch(c);
      }
      race.add_round(durations);
      race.look();
    }
    lost += !race.is_in(best);
    std::vector<std::size_t> in;
    for (std::size_t c = 0; c < count; ++c) {
      if (race.is_in(c)) in.push_back(c);
    }
    const std::size_t first = race.leader();
    std::sort(in.begin(), in.end(),
              [&](std::size_t a, std::size_t b) { return race.behind(a, first) < race.behind(b, first); });
    const std::size_t taken = std::min<std::size_t>(in.size(), 8);
    std::vector<std::vector<double>> fresh(taken);
    for (std::size_t round = 0; round < 20; ++round) {
      drift += 0.02 * normal(random);
      for (std::size_t k = 0; k < taken; ++k) fresh[k].push_back(launch(in[k]));
    }
    SignedRanks ranks;
    const Finish found = finish(fresh, {}, ranks);
    double bound = found.regret;
    for (std::size_t k = taken; k < in.size(); ++k) {
      bound = std::max(bound, std::expm1(race.may_lead_by(in[k], in[found.chosen])));
    }
    beyond += std::expm1(truth[in[found.chosen]] - truth[best]) > bound;
  }
  // 5% are promised; a race that keeps the promise exceeds 7 of 60 in 1% of cases.
  EXPECT_LE(lost, 7);
  EXPECT_LE(beyond, 7);
}

INSTANTIATE_TEST_SUITE_P(Tracks, SimulatedRace,
                         testing::Values(Track{"quiet", 186, 0.02, 0.02, 0, 0, 0},
                                         Track{"mixed", 186, 0.02, 0.2, 0, 0, 0},
                                         Track{"heavy", 60, 0.05, 0.2, 3, 0, 0},
                                         Track{"busy", 60, 0.02, 0.1, 3, 0.4, 0.03}),
                         [](const auto& track) { return std::string(track.param.name); });

}  // namespace
}  // namespace noisefloor
