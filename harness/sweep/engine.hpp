// The engine of a run: calibrates every cell, then launches all of them in every round and keeps the rows.
// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "harness/base/error.hpp"
#include "harness/sweep/launcher.hpp"
#include "harness/sweep/observations.hpp"
#include "harness/sweep/plan.hpp"
#include "harness/sweep/progress.hpp"

namespace noisefloor {

/// A launch is killed after 10 times the time that it should take, but not before this.
inline constexpr std::chrono::seconds kLeastDeadline{10};
inline constexpr int kDeadlineFactor = 10;
/// A launch of unknown duration: a first try, which may make test signals and compute the right output.
inline constexpr std::chrono::seconds kFirstDeadline{300};

/// What every row of a run has in common.
struct RunIdentity {
  std::string run_id;
  std::string machine_id;
};

/// Launches by what became of them, head's and the others'; skipped cells are not launched again and count once.
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
  bool interrupted = false;

  [[nodiscard]] ExitStatus status() const noexcept;
};

/// The output that is right for `cell`: what this cell makes. One worker, no strategy, the scalar kernel;
/// the naive kernel's noise is another by nature and is compared with itself, also where "auto" is naive.
/// Throws what select_kernel("auto") throws.
Cell oracle_cell(const Cell& cell);

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
};

/// Runs `plan`. Before the first round, each distinct cell (whatever its sweep) is launched once to find
/// its iterations; so are the oracle cells, whose digests all launches must reproduce, and, for task_ns,
/// each kind of task sequentially with the cell's own kernel: cells that differ only in how many tasks
/// there are and how they are run share it, measured with the most tasks of them, so that costs per
/// repetition weigh least. Launches that coincide are made once. What is found goes into plan.cells. A plan
/// that is calibrated already, since the run was cut off later, is taken as it is. All of that is found with head and
/// holds for all arms: same work, same iterations. The plan's budget holds for all calls together: calibration gets
/// half of what is left of it, no trial outlasts it, and time goes to plan.spent. It then cuts rounds
/// (cut_to_budget()), before the first one and again after each, as the time that they take proves longer or shorter; a
/// cell that is left out is `skipped`. Then the rounds, in which a cell that an arm does not know is skipped there.
/// Throws Error where rows cannot be kept or nothing can be started: rows that were appended before stay.
RunSummary run_plan(Plan& plan, const RunIdentity& identity, Launcher& launcher, RowSink& sink, Progress& progress,
                    const RunOptions& options = {});

}  // namespace noisefloor
