// Writes observations as Google Benchmark would have.
// SPDX-License-Identifier: MIT
#include "harness/sweep/benchmark_json.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <cerrno>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <ctime>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <unordered_map>
#include <vector>

#include "harness/base/error.hpp"
#include "harness/measure/cell.hpp"
#include "harness/measure/columns.hpp"
#include "harness/sweep/run_folder.hpp"

namespace noisefloor {
namespace {

using nlohmann::json;

std::uint64_t number(const std::string& text) {
  std::uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

/// The cell as its name: the factors of a row that are not empty, and not what is found rather than chosen.
std::string name_of(const Row& row) {
  std::string name = row["sweep"];
  for (const Axis& axis : axes()) {
    if (axis.name == "sweep" || axis.name == "task_ns" || row[axis.name].empty()) continue;
    name += fmt::format("/{}:{}", axis.name, row[axis.name]);
  }
  return name;
}

json context(std::string_view machine_json) {
  const json machine = json::parse(machine_json, nullptr, false);
  json result = {{"executable", "noisefloor"},
                 {"date", fmt::format("{:%Y-%m-%dT%H:%M:%S+00:00}", fmt::gmtime(std::time(nullptr)))},
                 {"library_build_type", "release"},
                 {"cpu_scaling_enabled", false},
                 {"caches", json::array()},
                 {"load_avg", json::array()}};
  if (!machine.is_object()) return result;
  result["num_cpus"] = machine.value("workers", 0);
  result["host_name"] = machine.value("machine_id", std::string());
  result["noisefloor_machine"] = machine;
  return result;
}

}  // namespace

std::size_t write_benchmark_json(const std::string& csv_path, std::string_view arm, std::string_view machine_json,
                                 const std::string& json_path, const std::set<std::uint64_t>& not_counted) {
  std::ifstream file(csv_path, std::ios::binary);
  std::string line;
  if (!std::getline(file, line)) throw Error(fmt::format("cannot read {}: {}", csv_path, std::strerror(errno)));
  const std::vector<std::string> header = csv_split(line);
  struct Seen {
    std::size_t family;
    std::uint64_t rows;
  };
  std::unordered_map<std::string, Seen> seen;
  std::vector<json> entries;
  while (std::getline(file, line)) {
    const Row row = csv_row(header, line);
    if (row["arm"] != arm || row["status"] == "skipped") continue;
    if (not_counted.count(number(row["launch"])) != 0) continue;
    const std::string name = name_of(row);
    const auto place = seen.try_emplace(name, Seen{seen.size(), 0}).first;
    json entry = {{"name", name},
                  {"family_index", place->second.family},
                  {"per_family_instance_index", 0},
                  {"run_name", name},
                  {"run_type", "iteration"},
                  {"repetition_index", place->second.rows++},
                  {"threads", 1},
                  {"iterations", number(row["iterations"])}};
    if (row["status"] == "ok") {
      const auto iterations = static_cast<double>(number(row["iterations"]));
      entry["real_time"] = static_cast<double>(number(row["wall_ns"])) / iterations;
      entry["cpu_time"] = static_cast<double>(number(row["user_cpu_ns"]) + number(row["system_cpu_ns"])) / iterations;
      entry["time_unit"] = "ns";
    } else {
      entry["error_occurred"] = true;
      entry["error_message"] = fmt::format("{}: {}", row["status"], row["message"]);
    }
    entries.push_back(std::move(entry));
  }
  for (json& entry : entries) entry["repetitions"] = seen.at(entry.at("name")).rows;
  std::string text = fmt::format("{{\n\"context\": {},\n\"benchmarks\": [",
                                 context(machine_json).dump(2, ' ', false, json::error_handler_t::replace));
  const char* separator = "\n";
  for (const json& entry : entries) {
    text += separator + entry.dump(-1, ' ', false, json::error_handler_t::replace);
    separator = ",\n";
  }
  text += "\n]\n}\n";
  replace_file(json_path, text);
  return entries.size();
}

}  // namespace noisefloor
