// One point of a sweep, and the table of its axes: --set, sweep files, CSV, help and dictionary read it.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "harness/workloads/work.hpp"

namespace noisefloor {

/// Every factor has a value; an empty text means "not applicable".
struct Cell {
  std::string sweep;
  std::string workload = "etl";
  std::string strategy = "sequential";
  std::string delivery = "unordered";
  std::string kernel = "auto";  ///< resolved to the kernel's own name before it is recorded
  std::string format = "int16";
  int workers = 1;
  std::uint32_t tasks = 1;               ///< 0: all that a user's work has, until it is resolved
  std::uint64_t task_size = 1;           ///< 0: the tasks of a user's work have sizes of their own
  std::optional<std::uint64_t> task_ns;  ///< measured by the engine, never set by a user
  std::uint32_t chunk_size = 1;
  std::string schedule;
  std::string runtime;
  std::string ship;
  std::string transport;
  std::string pool;
  std::string bind;
  std::string wait_policy;
  std::string output_mode;
  std::string pitfall;
  std::string variant;
  UserWork work;  ///< where the workload is the user's

  friend bool operator==(const Cell&, const Cell&) = default;
};

struct Axis {
  std::string_view name;
  std::string_view help;
  std::string_view unavailable;  ///< why only the empty value is taken; empty if others are
  std::string (*get)(const Cell&);
  /// Throws UsageError: what is wrong with the value and what may stand there.
  void (*set)(Cell&, std::string_view value);
  bool settable;       ///< by users; `sweep` and `task_ns` are the engine's
  bool words = false;  ///< a value is a list of words (split_words()): in a sweep, an array of texts is one value
};

/// In the order of the CSV's factor columns.
std::span<const Axis> axes() noexcept;

/// The settable axis called `name`; throws UsageError with the nearest name.
const Axis& select_axis(std::string_view name);

/// Throws UsageError for a cell that means nothing: a chunk larger than the task count, an output mode
/// where no files are written.
void check_cell(const Cell& cell);

/// The cell with what does not apply to its workload emptied (kernel and format of `spin`) and what
/// applies made explicit (output_mode of `etl`).
Cell normalised(Cell cell);

/// The cell with what a user's work says of itself: its identity, how many tasks `all` are, no task_size where they
/// have sizes of their own. Asks it (in a process of its own) what the cell does not say yet. Throws UsageError where
/// it cannot be had. A cell of another workload stays as it is.
Cell resolved(Cell cell);

/// What has become another one of the user's work since the cell was resolved; empty if it is the same. Throws as
/// resolved().
std::string changed_work(const Cell& cell);

/// "workload=etl,strategy=openmp,…": all axes that are not empty, in table order; ',', '%' and what is no printable
/// ASCII as %2C and so on.
std::string format_cell(const Cell& cell);

/// The inverse, over the defaults above; accepts `sweep` and `task_ns` too.
/// Throws UsageError for an unknown or repeated axis and for bad values.
Cell parse_cell(std::string_view text);

/// 12 hexadecimal digits: a hash of format_cell(normalised(cell)) without task_ns, which is found, not
/// chosen; a runtime counts where it is chosen. The same in every run and build.
std::string cell_id(const Cell& cell);

}  // namespace noisefloor
