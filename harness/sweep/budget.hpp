// A time budget: how many rounds fit into it, and which cells are left out where even the fewest do not.
// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstddef>
#include <string_view>
#include <vector>

#include "harness/sweep/plan.hpp"

namespace noisefloor {

/// A median's 95% interval by order statistics needs so many launches; no budget cuts below it.
inline constexpr int kLeastRounds = 6;

/// Launches are shortened to so many repetitions and warm-ups where six rounds of all cells do not fit otherwise:
/// rounds are what intervals rest on.
inline constexpr int kLeastRepetitions = 2;
inline constexpr int kLeastWarmups = 1;

/// "90s", "3m", "1h", "1h30m", "2.5m". Throws UsageError; for 0, too.
std::chrono::nanoseconds parse_duration(std::string_view text);

/// What one cell costs, as far as a budget is concerned.
struct CellCost {
  double launch_ns = 0;   ///< one launch of every arm
  int rounds = 0;         ///< that it shall have
  std::size_t group = 0;  ///< of its sweep: groups share time fairly
  bool last = false;      ///< the first to be left out: a reference program
  double short_ns = 0;    ///< launch_ns of a shortened launch; 0: it cannot be shortened
};

/// One launch each, with the groups of the plan's sweeps.
std::vector<CellCost> costs(const Plan& plan);

/// The order in which cells get time where there may not be enough for all: the next cell is that of the group which
/// got the least so far, each group's in the order of the plan; those that are `last` come after all others. What a
/// cell gets is launch_ns, or one unit where that is 0.
std::vector<std::size_t> fair_order(const std::vector<CellCost>& cells);

struct BudgetCut {
  int rounds = 0;                     ///< the most that any cell gets; cells that want fewer keep their number
  bool shortened = false;             ///< all launches that can be are shortened
  std::vector<std::size_t> left_out;  ///< indices, ascending: not launched any more
};

/// What can still be done in `left_ns` after `round` rounds are over. Rounds are cut evenly, for all cells, but
/// not below kLeastRounds (or what a cell wants, where that is less). Where those do not fit, launches are shortened,
/// unless some were made, since those of one cell are alike. Where that is not enough, cells are left
/// out: each is kept, in fair_order(), as long as there is time for it, so that the first ones of every group, what
/// others are compared with, are measured.
BudgetCut cut_to_budget(std::vector<CellCost> cells, int round, double left_ns);

}  // namespace noisefloor
