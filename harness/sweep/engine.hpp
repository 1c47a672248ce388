// The engine of a run: launches all cells in every round, measures again what was disturbed, and keeps the rows.
// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "harness/base/error.hpp"
#include "harness/base/limits.hpp"
#include "harness/sweep/attempts.hpp"
#include "harness/sweep/launcher.hpp"
#include "harness/sweep/observations.hpp"
#include "harness/sweep/plan.hpp"
#include "harness/sweep/progress.hpp"

namespace noisefloor {

/// A deadline is for what hangs: a launch is ended after so many times the longest that its cell took so far, more
/// where others take the CPUs, and not before kLeastDeadline.
inline constexpr std::chrono::seconds kLeastDeadline{30};
inline constexpr double kDeadlineFactor = 20;

/// What every row of a run has in common.
struct RunIdentity {
  std::string run_id;
  std::string machine_id;
};

/// Launches by what became of them, head's and the others'; skipped cells are not launched again and count once. A
/// launch that overran is a value, longer than all others: no failure.
struct RunSummary {
  std::uint64_t measured = 0;
  std::uint64_t skipped = 0;
  std::uint64_t failed = 0;
  std::uint64_t wrong_output = 0;
  std::uint64_t timeout = 0;
  std::uint64_t observations = 0;  ///< rows with status ok
  /// Launches of other arms than head that failed, were wrong or overran: they are no failure of the run,
  /// for what is judged is head.
  std::uint64_t failed_base = 0;
  std::uint64_t again = 0;  ///< launches that were made again
  bool interrupted = false;

  [[nodiscard]] ExitStatus status() const noexcept;
};

/// The arm called `name`, whose program says itself which build it is: it is launched once, for the least
/// cell that there is. Throws MissingError where it cannot be started, speaks another launch protocol or
/// prints no rows that can be read; Error with status interrupted where that was asked for.
Arm greet(Launcher& launcher, std::string name, std::string program);

struct RunOptions {
  /// Called with the plan whenever something was found or decided that a later call must know to go on: once
  /// it is calibrated, and, where it has a budget, before every round, when cells are cut and when it is interrupted.
  std::function<void(const Plan&)> changed = [](const Plan&) {};
  Clock clock = real_clock();
  std::vector<KeptLaunch> earlier = {};  ///< of the same run, before it was cut off: not made again
  int cpus = available_workers();        ///< that launches may use
  /// Called with what is known of the run's disturbance after every round and at the end.
  std::function<void(const RunDisturbance&)> disturbed = [](const RunDisturbance&) {};
};

/// Runs `plan`: candidates (its cells, with each arm) × rounds → launches → rows. First it is calibrated (calibrate()),
/// with head for all arms: same work, same iterations; a plan that is calibrated already, since the run was cut off
/// later, is taken as it is. The plan's budget holds for all calls together: no cell is tried whose rounds would not
/// fit into what is left, no trial outlasts it, and time goes to plan.spent. It then cuts rounds, or repetitions
/// (cut_to_budget()), before the first one, and rounds again after each, as the time that they take proves longer or
/// shorter; a cell that is left out is `skipped`.
///
/// Then the rounds, in which a cell that an arm does not know is skipped there. At the end of a round what was
/// disturbed (is_disturbed()) is measured again, up to kMostAttempts times in all, with what it is compared with: all
/// arms of the visit, or, with one arm, the cell of the same group that it is best compared with (the same work,
/// sequentially). It is done while the fewest rounds of all cells still fit into the budget, and given up where it does
/// not help. A launch that overran is tried again once. All rows stay; which launch counts is told by RunDisturbance.
/// Throws Error where rows cannot be kept or nothing can be started: rows that were appended before stay.
RunSummary run_plan(Plan& plan, const RunIdentity& identity, Launcher& launcher, RowSink& sink, Progress& progress,
                    const RunOptions& options = {});

}  // namespace noisefloor
