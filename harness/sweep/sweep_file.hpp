// Sweeps as data: a TOML file becomes named, ordered groups of cells.
// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "harness/measure/cell.hpp"

namespace noisefloor {

// A sweep file:
//
//   question = "what the sweep answers"
//   rounds = 12            # passes over all cells
//   repetitions = 5        # timed, per launch
//   warmups = 2            # untimed, per launch
//   budget = "180s"        # for all of it, unless the call says otherwise
//
//   [base]                 # every cell starts here
//   workload = "etl"
//   tasks = 24
//
//   [[group]]              # the cross product of its axes, over the base
//   name = "workers"
//   question = "…"
//   strategy = ["std_thread", "openmp"]
//   workers = [1, "all"]   # all CPUs that are ours
//   task_size = 441000     # one value replaces the base's
//   sees = 0.03            # the smallest change that comparing builds is meant to see in these cells
//
// Blocks of the same name make one group. Equal cells of a group collapse into one. The first axis in
// the order of axes() varies slowest.

/// An axis and the values it takes: at least one, distinct, each accepted by axis->set().
struct AxisValues {
  const Axis* axis;
  std::vector<std::string> values;
};

/// A cross product; axes in the order of axes(), each at most once.
struct SweepBlock {
  std::vector<AxisValues> axes;
};

struct SweepGroup {
  std::string name;      ///< empty only where it is the file's only group
  std::string question;  ///< may be empty
  std::vector<SweepBlock> blocks;
  /// The smallest change of time that comparing builds is meant to see in this group's cells, as a
  /// fraction (0.03 is 3%); 0 < sees < 1. Measuring ignores it.
  std::optional<double> sees = {};
};

struct SweepFile {
  std::string name;  ///< the file's name without folder and ".toml"
  std::string path;
  std::string question;
  int rounds = 12;
  int repetitions = 5;
  int warmups = 2;
  std::optional<std::chrono::nanoseconds> budget = {};
  std::vector<SweepGroup> groups;
};

/// Parses the text of a sweep file. Throws UsageError "<path>:<line>:<column>: what is wrong".
SweepFile parse_sweep(std::string_view text, const std::string& path);

/// Reads and parses. Throws UsageError where the file cannot be read, too.
SweepFile read_sweep(const std::string& path);

/// How many cells cells() would make before equal ones collapse: what tells a slip of the pen before it
/// fills the memory. Saturates.
[[nodiscard]] std::uint64_t count_points(const SweepFile& sweep) noexcept;

/// All cells, normalised(), group by group; `sweep` is "<file>.<group>", or "<file>" for an unnamed group.
[[nodiscard]] std::vector<Cell> cells(const SweepFile& sweep);

/// "axis=v1,v2" as given to --set. Throws UsageError: unknown axis, no value, a repeated or bad value.
AxisValues parse_axis_values(std::string_view text);

/// Every cell takes each of these values in this axis, whatever the file says (cross product).
void replace_axis(SweepFile& sweep, const AxisValues& values);

/// Every cell does the user's work of `work` (a resolved cell) instead of its own; strategies, workers, chunk sizes and
/// deliveries stay. Where the file has several values of task_size and the tasks of the work have sizes of their own,
/// or several of tasks, all tasks and the same fractions of them are taken: from how many on does it pay? Kernels and
/// sample formats are the suite's own question, and left out; so are reference programs, which cannot run the work.
/// Throws UsageError where no cell is left.
void replace_work(SweepFile& sweep, const Cell& work);

/// One sweep that can be run by name.
struct SweepEntry {
  std::string name;
  std::string help;         ///< its question
  std::string unavailable;  ///< why it cannot be run: the error in its file
  std::string path;
};

/// The folders where sweeps are looked for by name, existing or not, the first wins: $NOISEFLOOR_SWEEPS,
/// the source tree that holds this program, <prefix>/share/noisefloor/sweeps beside it.
std::vector<std::string> sweep_folders();

/// All sweeps of these folders, by name.
std::vector<SweepEntry> list_sweeps(const std::vector<std::string>& folders = sweep_folders());

/// The path of the sweep called `name`; a text that ends in ".toml" is a path already. Throws UsageError
/// with the nearest name.
std::string find_sweep(std::string_view name, const std::vector<std::string>& folders = sweep_folders());

/// The top of the source tree that holds this program (…/build/<preset>/noisefloor), or else `folder` or
/// one of its parents; empty if none does.
std::string source_tree(const std::string& folder = {});

}  // namespace noisefloor
