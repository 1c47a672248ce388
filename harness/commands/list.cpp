// `noisefloor list`: prints the tables that the program is made of.
// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "benchmarks/pitfalls/table.hpp"
#include "harness/base/names.hpp"
#include "harness/commands/command.hpp"
#include "harness/measure/cell.hpp"
#include "harness/measure/columns.hpp"
#include "harness/measure/machine.hpp"
#include "harness/measure/start.hpp"
#include "harness/strategies/deliver.hpp"
#include "harness/strategies/strategy.hpp"
#include "harness/sweep/sweep_file.hpp"
#include "harness/workloads/table.hpp"

namespace noisefloor {
namespace {

struct Entry {
  std::string name, help, unavailable;
};

template <class Table>
std::vector<Entry> entries(const Table& table) {
  std::vector<Entry> all;
  all.reserve(std::size(table));
  for (const auto& row : table) {
    all.push_back({std::string(row.name), std::string(row.help), std::string(row.unavailable)});
  }
  return all;
}

/// What is found missing only when it is looked for counts too.
std::vector<Entry> strategy_entries() {
  std::vector<Entry> all;
  all.reserve(strategies().size());
  for (const Strategy& row : strategies()) {
    all.push_back({std::string(row.name), std::string(row.help), missing_here(row)});
  }
  return all;
}

std::vector<Entry> sweep_entries() { return entries(list_sweeps()); }

std::vector<Entry> pitfall_entries() {
  std::vector<Entry> all;
  const int workers = available_workers();
  for (const Pitfall* one : pitfalls()) {
    all.push_back({std::string(one->name), std::string(one->lesson), refuse(*one, workers)});
  }
  return all;
}

std::vector<Entry> axis_entries() {
  std::vector<Entry> all = entries(axes());
  std::erase_if(all, [](const Entry& entry) { return entry.name == "sweep"; });
  return all;
}

struct Table {
  std::string_view name;
  std::vector<Entry> (*entries)();
};

constexpr std::array<Table, 8> kTables{{
    {"strategies", strategy_entries},
    {"deliveries", [] { return entries(deliveries()); }},
    {"kernels", [] { return entries(kernels()); }},
    {"workloads", [] { return entries(workloads()); }},
    {"pitfalls", pitfall_entries},
    {"sweeps", sweep_entries},
    {"axes", axis_entries},
    {"columns", [] { return entries(columns()); }},
}};

void print_text(const std::vector<Entry>& all) {
  std::size_t width = 0;
  for (const Entry& entry : all) width = std::max(width, entry.name.size());
  for (const Entry& entry : all) {
    fmt::print("  {:<{}}  {}", entry.name, width, entry.help);
    if (!entry.unavailable.empty()) fmt::print(" [unavailable: {}]", entry.unavailable);
    fmt::print("\n");
  }
}

/// Names of sweeps are names of files and may hold anything: JSON takes UTF-8 only.
std::string dumped(const nlohmann::json& json) {
  return json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace);
}

nlohmann::json as_json(const std::vector<Entry>& all) {
  auto array = nlohmann::json::array();
  for (const Entry& entry : all) {
    array.push_back({{"name", entry.name}, {"help", entry.help}, {"unavailable", entry.unavailable}});
  }
  return array;
}

struct Arguments {
  std::string table;
  bool json = false;
};

ExitStatus list(const Arguments& arguments) {
  if (!arguments.table.empty()) {
    const auto all = find_by_name(kTables, arguments.table, "table").entries();
    if (arguments.json) {
      fmt::print("{}\n", dumped(as_json(all)));
    } else {
      print_text(all);
    }
  } else if (arguments.json) {
    auto object = nlohmann::json::object();
    for (const Table& table : kTables) object[std::string(table.name)] = as_json(table.entries());
    fmt::print("{}\n", dumped(object));
  } else {
    for (const Table& table : kTables) {
      fmt::print("{}\n", table.name);
      print_text(table.entries());
    }
  }
  return ExitStatus::done;
}

}  // namespace

Command list_command() {
  return {
      .name = "list",
      .help = "Print a table: strategies, deliveries, kernels, workloads, pitfalls, sweeps, axes, columns",
      .examples = {"noisefloor list strategies"},
      .arguments =
          {{"TABLE", &Arguments::table, "Which one; all of them if left out", {.choices = rows_of("table", kTables)}},
           {"--json", &Arguments::json, "An array of {name, help, unavailable}; all tables: an object of arrays"}},
      .action = Action(list)};
}

}  // namespace noisefloor
