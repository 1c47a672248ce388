// `noisefloor explain`: how one writes a strategy oneself, and what it costs here.
// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "benchmarks/pitfalls/table.hpp"
#include "harness/audio/signals.hpp"
#include "harness/base/error.hpp"
#include "harness/base/names.hpp"
#include "harness/commands/command.hpp"
#include "harness/commands/examples.hpp"
#include "harness/measure/columns.hpp"
#include "harness/measure/machine.hpp"
#include "harness/strategies/strategy.hpp"
#include "harness/sweep/budget.hpp"
#include "harness/sweep/estimate.hpp"
#include "harness/sweep/run_folder.hpp"

namespace noisefloor {
namespace {

struct Arguments {
  std::string strategy;
};

std::vector<std::string> own_strategies() {
  std::vector<std::string> names;
  for (const Strategy& strategy : strategies()) {
    if (strategy.start != Start::reference) names.emplace_back(strategy.name);
  }
  return names;
}

std::optional<double> number(const Row& row, std::string_view column) {
  const std::string& text = row[column];
  return text.empty() ? std::nullopt : std::optional(std::strtod(text.c_str(), nullptr));
}

double median(std::vector<double> values) {
  if (values.empty()) return std::numeric_limits<double>::quiet_NaN();
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

std::vector<Row> rows_of_run(const std::string& folder) {
  std::ifstream file(folder + "/observations.csv");
  std::vector<Row> rows;
  std::string line;
  if (!std::getline(file, line)) return rows;
  const std::vector<std::string> header = csv_split(line);
  while (std::getline(file, line)) rows.push_back(csv_row(header, line));
  return rows;
}

/// Medians over the repetitions of one cell.
struct Cost {
  double task_ns = 0, per_task_ns = 0, first_ns = 0, peak_bytes = 0;
  int workers = 0;
};

/// Of the cell with the shortest tasks, where what is not the task itself shows; empty if the run has none.
std::optional<Cost> cost_of(const std::vector<Row>& rows, std::string_view strategy) {
  const auto of_strategy = [&](const Row& row) {
    return row["strategy"] == strategy && row["status"] == "ok" && !row["task_ns"].empty();
  };
  const Row* shortest = nullptr;
  for (const Row& row : rows) {
    if (of_strategy(row) && (shortest == nullptr || *number(row, "task_ns") < *number(*shortest, "task_ns"))) {
      shortest = &row;
    }
  }
  if (shortest == nullptr) return std::nullopt;
  std::vector<double> per_task, first, peak;
  for (const Row& row : rows) {
    if (!of_strategy(row) || row["cell_id"] != (*shortest)["cell_id"]) continue;
    const double iterations = number(row, "iterations").value_or(1);
    per_task.push_back(number(row, "wall_ns").value_or(0) / (iterations * number(row, "tasks").value_or(1)));
    if (const auto told = number(row, "first_result_ns")) first.push_back(*told / iterations);
    if (const auto told = number(row, "peak_rss_bytes")) peak.push_back(*told);
  }
  return Cost{*number(*shortest, "task_ns"), median(per_task), median(first), median(peak),
              static_cast<int>(number(*shortest, "workers").value_or(1))};
}

void print_costs(const Strategy& strategy) {
  namespace fs = std::filesystem;
  const std::string parent = default_parent(fs::current_path().string());
  const auto newest = newest_plan(parent, machine_id(machine_facts(cache_folder_if_any())), pitfalls());
  const auto run = newest ? newest->facts.find("run_id") : decltype(newest->facts.find("")){};
  std::optional<Cost> cost;
  if (newest && run != newest->facts.end()) cost = cost_of(rows_of_run(parent + "/" + run->second), strategy.name);
  if (!cost) {
    fmt::print("what it costs here: no run of this machine in {} tells: noisefloor run quick\n", parent);
    return;
  }
  fmt::print("what it costs here ({}, {} worker{}, tasks of {:.0f} ns)\n", run->second, cost->workers,
             cost->workers == 1 ? "" : "s", cost->task_ns);
  fmt::print("  {:>12.0f} ns per task, its own work included\n", cost->per_task_ns);
  fmt::print("  {:>12.0f} ns until the first result\n", cost->first_ns);
  fmt::print("  {:>12.1f} MiB of memory at most\n", cost->peak_bytes / (1 << 20));
}

ExitStatus explain(const Arguments& arguments) {
  const Strategy& strategy = find_by_name(strategies(), arguments.strategy, "strategy");
  if (strategy.start == Start::reference) {
    throw UsageError(
        fmt::format("{} is a program of others: see scripts/reference/{}", strategy.name, strategy.reference.program));
  }
  fmt::print("{}\n", example_text(fmt::format("examples/explain/{}.cpp", strategy.name)));
  print_costs(strategy);
  return ExitStatus::done;
}

}  // namespace

Command explain_command() {
  return {.name = "explain",
          .help = "Print how one writes a strategy oneself, as a complete program, and what it costs here",
          .examples = {"noisefloor explain std_thread"},
          .arguments = {{"STRATEGY",
                         &Arguments::strategy,
                         "Which one",
                         {.choices = {"strategy", own_strategies}, .required = true}}},
          .action = Action(explain)};
}

}  // namespace noisefloor
