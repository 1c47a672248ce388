// Which attempt at a launch counts: the rule, what a run tells of its disturbance, and disturbance.json.
// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "harness/measure/machine.hpp"
#include "harness/measure/probes.hpp"
#include "harness/sweep/observations.hpp"

namespace noisefloor {

/// A launch is disturbed when it wanted and did not get CPU time worth more than this share of its timed part.
inline constexpr double kLaunchLimit = 0.05;
/// How often a cell is launched in a round at most: once, and again where that was disturbed or overran.
inline constexpr int kMostAttempts = 3;

/// One attempt at a visit: what its launches, one of each arm, came to in the worst case.
struct Attempt {
  int number = 0;                            ///< as in column `attempt`
  std::optional<double> disturbed = {};      ///< share of the timed part; empty: not told
  bool overran = false;                      ///< a deadline: nothing is known of its disturbance
  std::vector<std::uint64_t> launches = {};  ///< as in column `launch`
};

/// Whether it is to be made again: it was disturbed by more than kLaunchLimit, or it overran. One that does not tell
/// its disturbance is taken as it is.
[[nodiscard]] bool is_disturbed(const Attempt& attempt) noexcept;

/// The index of the attempt that counts; `attempts` is not empty. The last that is not disturbed: what a cell is
/// compared with is measured again beside it, and both should come from the same minute. Where all are disturbed, the
/// one that was least; an attempt that overran gives way to each that tells its disturbance. The times that were
/// measured are not looked at: choosing by them would choose the answer.
[[nodiscard]] std::size_t which_counts(std::span<const Attempt> attempts) noexcept;

/// The share of the CPUs' time that was not there for us; 0 where it is not known.
[[nodiscard]] double taken_share(const MachineUse& seen) noexcept;

/// "other work takes 0.9 of these 2 CPUs"; empty where that is within kBusyShare.
[[nodiscard]] std::string describe(const MachineUse& seen);

/// What a run tells of its disturbance.
class RunDisturbance {
 public:
  /// `cpus`: that launches may use.
  explicit RunDisturbance(int cpus) : cpus_(cpus) {}

  void add(const KeptLaunch& launch);
  /// Sets which of the launches of a visit, of all its attempts so far, do not count.
  void choose(std::span<const Attempt> attempts);

  /// CPUs that others and the hypervisor took while launches were timed, on average; empty where no row tells.
  [[nodiscard]] std::optional<double> others_cpus() const noexcept;
  [[nodiscard]] double stolen_cpus() const noexcept;
  /// Share of the CPUs' time; 0 where it is not known.
  [[nodiscard]] double share() const noexcept;
  [[nodiscard]] bool busy() const noexcept { return share() > kBusyShare; }
  [[nodiscard]] std::uint64_t disturbed() const noexcept { return disturbed_; }  ///< launches
  [[nodiscard]] std::uint64_t again() const noexcept { return again_; }          ///< launches that were later attempts
  [[nodiscard]] const std::set<std::uint64_t>& not_counted() const noexcept { return not_counted_; }

  /// "other work took 0.9 of these 2 CPUs during the run: what follows describes the busy machine"; empty unless busy.
  [[nodiscard]] std::string sentence() const;
  /// disturbance.json without `before`.
  [[nodiscard]] nlohmann::json facts() const;

 private:
  int cpus_;
  double wall_ns_ = 0, told_wall_ns_ = 0, others_ns_ = 0, stolen_ns_ = 0;  // told: of rows that tell of others
  std::uint64_t launches_ = 0, disturbed_ = 0, again_ = 0;
  std::set<std::uint64_t> not_counted_;
};

}  // namespace noisefloor
