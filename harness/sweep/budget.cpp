// Fits rounds into a budget.
// SPDX-License-Identifier: MIT
#include "harness/sweep/budget.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>

#include "harness/base/error.hpp"
#include "harness/base/names.hpp"
#include "harness/strategies/strategy.hpp"

namespace noisefloor {
namespace {

/// What a cell still costs if no cell gets more than `most` rounds.
double cost(const CellCost& cell, int round, int most) {
  return cell.launch_ns * std::max(0, std::min(cell.rounds, most) - round);
}

}  // namespace

std::chrono::nanoseconds parse_duration(std::string_view text) {
  const auto refuse = [&]() -> UsageError {
    return UsageError(fmt::format("'{}' is no duration: write 90s, 3m, 1h or 1h30m", text));
  };
  struct Unit {
    char name;
    double seconds;
  };
  constexpr Unit kUnits[] = {{'h', 3600}, {'m', 60}, {'s', 1}};
  double seconds = 0;
  const Unit* next = std::begin(kUnits);  // larger units first, each at most once
  std::string_view left = text;
  while (!left.empty()) {
    double value = 0;
    const auto [stop, error] = std::from_chars(left.data(), left.data() + left.size(), value, std::chars_format::fixed);
    if (error != std::errc{} || stop == left.data() + left.size() || value < 0) throw refuse();
    const char* const end = stop;  // clang 14 captures no structured bindings
    const Unit* unit = std::find_if(next, std::end(kUnits), [&](const Unit& one) { return one.name == *end; });
    if (unit == std::end(kUnits)) throw refuse();
    next = unit + 1;
    seconds += value * unit->seconds;
    left.remove_prefix(static_cast<std::size_t>(end - left.data()) + 1);
  }
  constexpr double kMostSeconds = 365.0 * 24 * 3600;
  if (!(seconds > 0) || seconds > kMostSeconds) throw refuse();
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::duration<double>(seconds));
}

std::vector<CellCost> costs(const Plan& plan) {
  std::map<std::string_view, std::size_t> groups;
  std::vector<CellCost> result;
  for (const PlannedCell& planned : plan.cells) {
    const auto group = groups.emplace(planned.cell.sweep, groups.size()).first->second;
    const bool foreign = planned.cell.pitfall.empty() &&
                         find_by_name(strategies(), planned.cell.strategy, "strategy").start == Start::reference;
    result.push_back({.rounds = planned.rounds, .group = group, .last = foreign});
  }
  return result;
}

std::vector<std::size_t> fair_order(const std::vector<CellCost>& cells) {
  std::vector<std::size_t> order;
  for (const bool last : {false, true}) {
    struct Queue {
      std::vector<std::size_t> cells = {};
      std::size_t next = 0;
      double got = 0;
    };
    std::map<std::size_t, Queue> queues;
    for (std::size_t i = 0; i < cells.size(); ++i) {
      if (cells[i].last == last) queues[cells[i].group].cells.push_back(i);
    }
    while (!queues.empty()) {
      const auto poorest = std::min_element(queues.begin(), queues.end(),
                                            [](const auto& a, const auto& b) { return a.second.got < b.second.got; });
      Queue& queue = poorest->second;
      const std::size_t cell = queue.cells[queue.next++];
      order.push_back(cell);
      queue.got += cells[cell].launch_ns > 0 ? cells[cell].launch_ns : 1;
      if (queue.next == queue.cells.size()) queues.erase(poorest);
    }
  }
  return order;
}

BudgetCut cut_to_budget(std::vector<CellCost> cells, int round, double left_ns) {
  BudgetCut cut;
  std::vector<bool> kept(cells.size(), true);
  const auto total = [&](int most) {
    double sum = 0;
    for (std::size_t i = 0; i < cells.size(); ++i) sum += kept[i] ? cost(cells[i], round, most) : 0;
    return sum;
  };
  const int least = std::max(kLeastRounds, round);
  if (round == 0 && total(least) > left_ns) {
    for (CellCost& cell : cells) {
      if (cell.short_ns <= 0 || cell.short_ns >= cell.launch_ns) continue;
      cell.launch_ns = cell.short_ns;
      cut.shortened = true;
    }
  }
  if (total(least) > left_ns) {
    double sum = 0;
    for (const std::size_t i : fair_order(cells)) {
      const double own = cost(cells[i], round, least);
      kept[i] = own == 0 || sum + own <= left_ns;  // what costs nothing has what it needs
      sum += kept[i] ? own : 0;
      if (!kept[i]) cut.left_out.push_back(i);
    }
    std::sort(cut.left_out.begin(), cut.left_out.end());
  }
  cut.rounds = least;
  int most = 0;
  for (const CellCost& cell : cells) most = std::max(most, cell.rounds);
  while (cut.rounds < most && total(cut.rounds + 1) <= left_ns) ++cut.rounds;
  return cut;
}

}  // namespace noisefloor
