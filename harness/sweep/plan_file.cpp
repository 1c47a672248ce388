// Reads plan.toml back, so that a run can be taken up where it ended.
// SPDX-License-Identifier: MIT
#include <fmt/format.h>
#include <toml++/toml.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>
#include <iterator>
#include <limits>

#include "harness/base/error.hpp"
#include "harness/sweep/plan.hpp"

namespace noisefloor {
namespace {

constexpr std::int64_t kPlanSchema = 1;

/// Takes values out of one table and says where they are missing or of another kind.
class Reader {
 public:
  Reader(const toml::table& table, const std::string& path) : table_(table), path_(path) {}

  [[noreturn]] void fail(const toml::node& node, const std::string& message) const {
    throw UsageError(fmt::format("{}:{}:{}: {}", path_, node.source().begin.line, node.source().begin.column, message));
  }

  [[nodiscard]] const toml::node* find(std::string_view key) const { return table_.get(key); }

  [[nodiscard]] const toml::node& need(std::string_view key) const {
    if (const toml::node* node = find(key)) return *node;
    fail(table_, fmt::format("{} is missing", key));
  }

  [[nodiscard]] std::string text(std::string_view key) const {
    const toml::node& node = need(key);
    if (const auto* value = node.as_string()) return value->get();
    fail(node, fmt::format("{} must be a text in quotes", key));
  }
  [[nodiscard]] std::string text_if(std::string_view key) const {
    return find(key) != nullptr ? text(key) : std::string();
  }

  [[nodiscard]] bool truth(std::string_view key) const {
    const toml::node& node = need(key);
    if (const auto* value = node.as_boolean()) return value->get();
    fail(node, fmt::format("{} must be true or false", key));
  }

  template <class T>
  [[nodiscard]] T number(std::string_view key, std::int64_t least) const {
    constexpr auto kMost = static_cast<std::uint64_t>(std::numeric_limits<T>::max());
    const toml::node& node = need(key);
    const auto* value = node.as_integer();
    if (value == nullptr || value->get() < least || static_cast<std::uint64_t>(value->get()) > kMost) {
      fail(node, fmt::format("{} must be a whole number, at least {}", key, least));
    }
    return static_cast<T>(value->get());
  }

  [[nodiscard]] std::vector<std::string> texts(std::string_view key) const {
    const toml::node& node = need(key);
    const auto* array = node.as_array();
    if (array == nullptr) fail(node, fmt::format("{} must be an array of texts", key));
    std::vector<std::string> result;
    for (const toml::node& element : *array) {
      if (!element.is_string()) fail(element, fmt::format("{} must be an array of texts", key));
      result.push_back(element.as_string()->get());
    }
    return result;
  }

  /// Calls `read` with a reader for each table of the array of tables `key`.
  template <class F>
  void each(std::string_view key, F read) const {
    const toml::node& node = need(key);
    const auto* array = node.as_array();
    if (array == nullptr || array->empty()) fail(node, fmt::format("{0} must be an array of tables: [[{0}]]", key));
    for (const toml::node& element : *array) {
      if (!element.is_table()) fail(element, fmt::format("{0} must be an array of tables: [[{0}]]", key));
      read(Reader(*element.as_table(), path_));
    }
  }

 private:
  const toml::table& table_;
  const std::string& path_;
};

PlannedCell read_cell(const Reader& reader, Pitfalls pitfalls) {
  PlannedCell planned;
  try {
    planned.cell = normalised(parse_cell(reader.text("cell")));
    check_cell(planned.cell);
    plan_pitfall(planned, pitfalls);
  } catch (const UsageError& error) {
    reader.fail(reader.need("cell"), error.what());
  }
  planned.rounds = reader.number<int>("rounds", 0);
  if (reader.find("asked_rounds") != nullptr) planned.asked_rounds = reader.number<int>("asked_rounds", 1);
  planned.repetitions = reader.number<int>("repetitions", 1);
  planned.warmups = reader.number<int>("warmups", 0);
  if (reader.find("iterations") != nullptr) {
    Calibration calibration;
    calibration.iterations = reader.number<std::uint32_t>("iterations", 1);
    calibration.expected_ns = reader.number<std::uint64_t>("expected_ns", 0);
    const std::string digest = reader.text("digest");
    const auto [end, error] = std::from_chars(digest.data(), digest.data() + digest.size(), calibration.digest, 16);
    if (error != std::errc{} || end != digest.data() + digest.size() || digest.size() != 16) {
      reader.fail(reader.need("digest"), "digest must be 16 hexadecimal digits");
    }
    planned.calibration = calibration;
  }
  if (const toml::node* sees = reader.find("sees")) {
    if (!sees->is_number()) reader.fail(*sees, "sees must be a number");
    planned.sees = sees->value<double>();
  }
  planned.status = reader.text_if("status");
  planned.message = reader.text_if("message");
  planned.kernel = reader.text_if("kernel");
  planned.runtime = reader.text_if("runtime");
  return planned;
}

}  // namespace

PlanFile parse_plan(std::string_view text, const std::string& path, Pitfalls pitfalls) {
  toml::table table;
  try {
    table = toml::parse(text, path);
  } catch (const toml::parse_error& error) {
    throw UsageError(
        fmt::format("{}:{}:{}: {}", path, error.source().begin.line, error.source().begin.column, error.description()));
  }
  const Reader reader(table, path);
  if (const auto schema = reader.number<std::int64_t>("schema", 1); schema != kPlanSchema) {
    reader.fail(reader.need("schema"), fmt::format("this is a plan of schema {}, this program reads schema {}: use the "
                                                   "program that made the run",
                                                   schema, kPlanSchema));
  }
  PlanFile file;
  for (const auto& [key, node] : table) {
    if (const auto* value = node.as_string()) file.facts.emplace(key.str(), value->get());
  }
  file.plan.command = reader.texts("command");
  file.plan.sweeps = reader.texts("sweeps");
  file.plan.seed = reader.number<std::uint64_t>("seed", 0);
  file.plan.calibrated = reader.truth("calibrated");
  if (reader.find("budget_ns") != nullptr) {
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
      cell.fail(cell.need("cell"),
                "this cell has neither iterations nor a status that says why, yet the plan is calibrated");
    }
    file.plan.cells.push_back(std::move(planned));
  });
  return file;
}

PlanFile read_plan(const std::string& path, Pitfalls pitfalls) {
  std::ifstream file(path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  if (!file) throw UsageError(fmt::format("cannot read the plan {}: {}", path, std::strerror(errno)));
  return parse_plan(text, path, pitfalls);
}

}  // namespace noisefloor
