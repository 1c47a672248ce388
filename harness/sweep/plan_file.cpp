// Writes plan.json, and reads it back so that a run can be taken up where it ended.
// SPDX-License-Identifier: MIT
#include <fmt/format.h>
#include <toml++/toml.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "harness/base/error.hpp"
#include "harness/sweep/plan.hpp"

namespace noisefloor {
namespace {

using json = nlohmann::ordered_json;

constexpr int kPlanSchema = 1;

/// Takes values out of one object and says where they are missing or of another kind.
class Reader {
 public:
  /// `place`: how messages begin, the path of the file and of the object in it.
  Reader(const json& object, std::string place) : object_(object), place_(std::move(place)) {}

  [[noreturn]] void fail(const std::string& message) const { throw UsageError(fmt::format("{}: {}", place_, message)); }

  [[nodiscard]] bool has(const char* key) const { return object_.contains(key); }

  [[nodiscard]] const json& need(const char* key) const {
    if (const auto found = object_.find(key); found != object_.end()) return *found;
    fail(fmt::format("{} is missing", key));
  }

  [[nodiscard]] std::string text(const char* key) const {
    const json& value = need(key);
    if (!value.is_string()) fail(fmt::format("{} must be a text in quotes", key));
    return value.get<std::string>();
  }
  [[nodiscard]] std::string text_if(const char* key) const { return has(key) ? text(key) : std::string(); }

  [[nodiscard]] bool truth(const char* key) const {
    const json& value = need(key);
    if (!value.is_boolean()) fail(fmt::format("{} must be true or false", key));
    return value.get<bool>();
  }

  template <class T>
  [[nodiscard]] T number(const char* key, std::uint64_t least) const {
    const json& value = need(key);
    if (!value.is_number_unsigned() || value.get<std::uint64_t>() < least ||
        value.get<std::uint64_t>() > static_cast<std::uint64_t>(std::numeric_limits<T>::max())) {
      fail(fmt::format("{} must be a whole number, at least {}", key, least));
    }
    return value.get<T>();
  }

  [[nodiscard]] std::vector<std::string> texts(const char* key) const {
    const json& value = need(key);
    const auto is_text = [](const json& one) { return one.is_string(); };
    if (!value.is_array() || !std::all_of(value.begin(), value.end(), is_text)) {
      fail(fmt::format("{} must be an array of texts", key));
    }
    return value.get<std::vector<std::string>>();
  }

  /// Calls `read` with a reader for each object of the array `key`.
  template <class F>
  void each(const char* key, F read) const {
    const json& value = need(key);
    const auto is_object = [](const json& one) { return one.is_object(); };
    if (!value.is_array() || value.empty() || !std::all_of(value.begin(), value.end(), is_object)) {
      fail(fmt::format("{} must be an array of objects, and not empty", key));
    }
    for (std::size_t i = 0; i < value.size(); ++i) read(Reader(value[i], fmt::format("{}: {} {}", place_, key, i + 1)));
  }

 private:
  const json& object_;
  std::string place_;
};

PlannedCell read_cell(const Reader& reader, Pitfalls pitfalls) {
  PlannedCell planned;
  try {
    planned.cell = normalised(parse_cell(reader.text("cell")));
    check_cell(planned.cell);
    plan_pitfall(planned, pitfalls);
  } catch (const UsageError& error) {
    // What can mean nothing is in the plan with the reason.
    if (reader.text_if("status").empty()) reader.fail(error.what());
  }
  planned.rounds = reader.number<int>("rounds", 0);
  if (reader.has("asked_rounds")) planned.asked_rounds = reader.number<int>("asked_rounds", 1);
  planned.repetitions = reader.number<int>("repetitions", 1);
  planned.warmups = reader.number<int>("warmups", 0);
  if (reader.has("iterations")) {
    Calibration calibration;
    calibration.iterations = reader.number<std::uint32_t>("iterations", 1);
    calibration.expected_ns = reader.number<std::uint64_t>("expected_ns", 0);
    if (reader.has("repetition_ns")) calibration.repetition_ns = reader.number<std::uint64_t>("repetition_ns", 0);
    const std::string digest = reader.text("digest");
    const auto [end, error] = std::from_chars(digest.data(), digest.data() + digest.size(), calibration.digest, 16);
    if (error != std::errc{} || end != digest.data() + digest.size() || digest.size() != 16) {
      reader.fail("digest must be 16 hexadecimal digits");
    }
    planned.calibration = calibration;
  }
  if (reader.has("sees")) {
    if (!reader.need("sees").is_number()) reader.fail("sees must be a number");
    planned.sees = reader.need("sees").get<double>();
  }
  planned.status = reader.text_if("status");
  planned.message = reader.text_if("message");
  planned.kernel = reader.text_if("kernel");
  planned.runtime = reader.text_if("runtime");
  return planned;
}

/// What a plan.toml holds, which programs before plan.json wrote: texts, whole numbers, numbers, truths, arrays and
/// tables.
json as_json(const toml::node& node) {
  if (const auto* table = node.as_table()) {
    json object = json::object();
    for (const auto& [key, value] : *table) object[std::string(key.str())] = as_json(value);
    return object;
  }
  if (const auto* array = node.as_array()) {
    json values = json::array();
    for (const toml::node& value : *array) values.push_back(as_json(value));
    return values;
  }
  if (const auto* text = node.as_string()) return text->get();
  if (const auto* truth = node.as_boolean()) return truth->get();
  if (const auto* number = node.as_floating_point()) return number->get();
  const std::int64_t number = node.value<std::int64_t>().value_or(-1);
  return number < 0 ? json(number) : json(static_cast<std::uint64_t>(number));
}

json parse(std::string_view text, const std::string& path) {
  if (path.ends_with(".toml")) {
    try {
      return as_json(toml::parse(text, path));
    } catch (const toml::parse_error& error) {
      throw UsageError(fmt::format("{}:{}:{}: {}", path, error.source().begin.line, error.source().begin.column,
                                   error.description()));
    }
  }
  try {
    json object = json::parse(text);
    if (!object.is_object()) throw UsageError(fmt::format("{}: this is no plan: it must be a JSON object", path));
    return object;
  } catch (const json::parse_error& error) {
    const std::string_view said = error.what();
    throw UsageError(fmt::format("{}: {}", path, said.substr(std::min(said.find("parse error"), said.size()))));
  }
}

}  // namespace

std::string format_plan(const Plan& plan, const std::vector<std::pair<std::string, std::string>>& facts) {
  json object = {{"schema", kPlanSchema}};
  for (const auto& [name, value] : facts) object[name] = value;
  object["command"] = plan.command;
  object["sweeps"] = plan.sweeps;
  object["seed"] = plan.seed;
  object["calibrated"] = plan.calibrated;
  if (plan.budget) {
    object["budget_ns"] = plan.budget->count();
    object["spent_ns"] = plan.spent.count();
  }
  for (const Arm& arm : plan.arms) {
    object["arm"].push_back(
        {{"name", arm.name}, {"program", arm.program}, {"build_id", arm.build_id}, {"git_sha", arm.git_sha}});
  }
  for (const PlannedCell& planned : plan.cells) {
    json cell = {{"cell", format_cell(planned.cell)},
                 {"cell_id", cell_id(planned.cell)},
                 {"rounds", planned.rounds},
                 {"repetitions", planned.repetitions},
                 {"warmups", planned.warmups}};
    if (planned.asked_rounds != 0) cell["asked_rounds"] = planned.asked_rounds;
    if (planned.sees) cell["sees"] = *planned.sees;
    if (planned.calibration) {
      cell["iterations"] = planned.calibration->iterations;
      cell["digest"] = fmt::format("{:016x}", planned.calibration->digest);
      cell["expected_ns"] = planned.calibration->expected_ns;
      if (planned.calibration->repetition_ns != 0) cell["repetition_ns"] = planned.calibration->repetition_ns;
    }
    for (const auto& [key, value] : {std::pair<const char*, std::string_view>{"status", planned.status},
                                     {"message", planned.message},
                                     {"kernel", planned.kernel},
                                     {"runtime", planned.runtime}}) {
      if (!value.empty()) cell[key] = value;
    }
    object["cell"].push_back(std::move(cell));
  }
  // Arguments and names of files may hold anything: JSON takes UTF-8 only.
  return object.dump(1, ' ', false, json::error_handler_t::replace) + '\n';
}

PlanFile parse_plan(std::string_view text, const std::string& path, Pitfalls pitfalls) {
  const json object = parse(text, path);
  const Reader reader(object, path);
  if (const int schema = reader.number<int>("schema", 1); schema != kPlanSchema) {
    reader.fail(
        fmt::format("this is a plan of schema {}, this program reads schema {}: use the program that made the "
                    "run",
                    schema, kPlanSchema));
  }
  PlanFile file;
  for (const auto& [key, value] : object.items()) {
    if (value.is_string()) file.facts.emplace(key, value.get<std::string>());
  }
  file.plan.command = reader.texts("command");
  file.plan.sweeps = reader.texts("sweeps");
  file.plan.seed = reader.number<std::uint64_t>("seed", 0);
  file.plan.calibrated = reader.truth("calibrated");
  if (reader.has("budget_ns")) {
    file.plan.budget = std::chrono::nanoseconds(reader.number<std::int64_t>("budget_ns", 1));
    file.plan.spent = std::chrono::nanoseconds(reader.number<std::int64_t>("spent_ns", 0));
  }
  file.plan.arms.clear();
  reader.each("arm", [&](const Reader& arm) {
    file.plan.arms.push_back({arm.text("name"), arm.text("program"), arm.text("build_id"), arm.text("git_sha")});
  });
  reader.each("cell", [&](const Reader& cell) {
    PlannedCell planned = read_cell(cell, pitfalls);
    if (file.plan.calibrated && !planned.calibration && planned.status.empty()) {
      cell.fail("it has neither iterations nor a status that says why, yet the plan is calibrated");
    }
    file.plan.cells.push_back(std::move(planned));
  });
  return file;
}

std::string plan_path(const std::string& folder) {
  for (const char* name : {"/plan.json", "/plan.toml"}) {
    std::error_code ignored;
    if (std::filesystem::is_regular_file(folder + name, ignored)) return folder + name;
  }
  return {};
}

PlanFile read_plan(const std::string& path, Pitfalls pitfalls) {
  std::ifstream file(path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  if (!file) throw UsageError(fmt::format("cannot read the plan {}: {}", path, std::strerror(errno)));
  return parse_plan(text, path, pitfalls);
}

}  // namespace noisefloor
