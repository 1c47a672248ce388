// Readings of a launch that another program measured as JSON in, its rows' values as JSON out.
// SPDX-License-Identifier: MIT
#include "harness/measure/disturbance.hpp"

#include <fmt/format.h>

#include <iostream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "harness/base/error.hpp"
#include "harness/base/usage.hpp"
#include "harness/commands/command.hpp"

namespace noisefloor {
namespace {

using nlohmann::json;

/// {"steady_ns": …, "stat": the text of /proc/stat}.
CpuTimes cpu_times_of(const json& reading, const std::vector<int>& cpus) {
  return cpu_times(cpus, reading.at("stat").get<std::string>(), reading.at("steady_ns").get<std::uint64_t>());
}

json answer(const json& launch) {
  const auto cpus = launch.at("cpus").get<std::vector<int>>();
  const TimedPart part{cpu_times_of(launch.at("after"), cpus) - cpu_times_of(launch.at("before"), cpus),
                       launch.at("own_cpu_ns").get<std::uint64_t>()};
  std::vector<DisturbanceReading> readings;
  for (const json& repetition : launch.at("repetitions")) {
    DisturbanceReading& read = readings.emplace_back();
    read.wall_ns = repetition.at("wall_ns").get<std::uint64_t>();
    read.usage.user_cpu_ns = repetition.at("cpu_ns").get<std::uint64_t>();
    read.usage.run_delay_ns = static_cast<std::uint64_t>(repetition.at("run_delay_ns").get<std::int64_t>());
    read.usage.untold_cpu_ns = repetition.at("untold_cpu_ns").get<std::int64_t>();
    if (const json& pressure = repetition.at("pressure_ns"); !pressure.is_null()) {
      read.pressure_ns = pressure.get<std::uint64_t>();
    }
  }
  json found = json::array();
  const auto text = [](const std::optional<std::uint64_t>& ns) { return ns ? fmt::to_string(*ns) : std::string(); };
  for (const Disturbance& one : disturbances(readings, part, run_delay_unavailable())) {
    found.push_back({{"run_delay_ns", text(one.run_delay_ns)},
                     {"others_cpu_ns", text(one.others_cpu_ns)},
                     {"disturbed_ns", text(one.disturbed_ns)},
                     {"disturbance_note", one.note}});
  }
  return found;
}

ExitStatus answer_readings() {
  try {
    fmt::print("{}\n", answer(json::parse(std::cin)).dump());
  } catch (const json::exception& error) {
    throw UsageError(fmt::format("disturbance: the readings cannot be read: {}", error.what()));
  }
  return ExitStatus::done;
}

}  // namespace

Command disturbance_command() {
  return {.name = "disturbance",
          .help =
              "What others took of a launch: readings as JSON from standard input. For reference programs "
              "(scripts/reference/protocol.py).",
          .examples = {"noisefloor disturbance <readings.json"},
          .action = Action(answer_readings),
          .is_hidden = true};
}

}  // namespace noisefloor
