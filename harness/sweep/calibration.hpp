// What a plan's cells need before their first round: iterations, the digest of the right output, durations.
// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "harness/sweep/launcher.hpp"
#include "harness/sweep/plan.hpp"
#include "harness/sweep/progress.hpp"

namespace noisefloor {

/// A launch of unknown duration: a first try, which may make test signals and compute the right output.
inline constexpr std::chrono::seconds kFirstDeadline{300};

/// The cell without what names it and what is measured for it: equal ones behave alike.
Cell factors(const Cell& cell);

/// What is done in `cell`, without how it is run.
Cell work_of(const Cell& cell);

/// The output that is right for `cell`: what this cell makes. One worker, no strategy, the kernel
/// that defines the bytes of the cell's: scalar, or naive, whose noise is another by nature.
/// Throws what select_kernel("auto") throws.
Cell oracle_cell(const Cell& cell);

/// Why a row is not what `arm` measured, though it was started: the program that does it for some strategies lies
/// beside it and may be left from another build. Empty if it is.
std::string of_another_commit(const Row& row, const Arm& arm);

/// Time for calibration and what follows; empty without a budget.
struct CalibrationTime {
  std::optional<std::chrono::nanoseconds> budget;  ///< what is left of it: no cell is tried whose rounds would not fit
  std::optional<std::chrono::nanoseconds> all;     ///< no trial lasts longer
};

/// One launch of `planned`, as expected, in ns; 0 where it is not calibrated.
double launch_ns(const PlannedCell& planned);
/// The same with kLeastRepetitions and kLeastWarmups; 0 where it cannot be shortened.
double short_launch_ns(const PlannedCell& planned);
/// Shortens it, where it can be.
void shorten(PlannedCell& planned);

/// Launches each distinct cell of `plan` (whatever its sweep) once with its first arm to find its iterations; the
/// oracle cells, whose digests all launches must reproduce; and, for task_ns, each kind of task sequentially with the
/// cell's own kernel: cells that differ only in how many tasks there are and how they are run share it, measured with
/// the most tasks of them, so that costs per repetition weigh least. Launches that coincide are made once. What is
/// found goes into plan.cells; a cell of which nothing was found gets a status that says why. Groups take turns, so
/// that where time is short each has some of its cells; reference programs come last. Trials end once kLeastRounds of
/// short launches of what was tried fill the rest of the budget. Returns false if interrupted: the
/// plan is then as it was.
bool calibrate(Plan& plan, Launcher& launcher, Progress& progress, const Clock& clock, const CalibrationTime& time);

}  // namespace noisefloor
