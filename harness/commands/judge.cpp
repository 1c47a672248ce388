// Sessions as JSON lines in, verdicts as JSON lines out.
// SPDX-License-Identifier: MIT
#include "harness/statistics/judge.hpp"

#include <fmt/format.h>

#include <cmath>
#include <cstdio>
#include <iostream>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "harness/base/error.hpp"
#include "harness/commands/command.hpp"

namespace noisefloor {
namespace {

using nlohmann::json;

/// JSON knows no infinity: "inf" and "-inf" stand for it, null for what is not known.
json number(double value) {
  if (std::isnan(value)) return nullptr;
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  return value;
}

double number(const json& value) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  if (value == "inf") return kInfinity;
  if (value == "-inf") return -kInfinity;
  return value.get<double>();
}

std::vector<double> numbers(const json& cell, const char* name) {
  std::vector<double> values;
  for (const json& value : cell.value(name, json::array())) values.push_back(number(value));
  return values;
}

GateRules rules_of(const json& session) {
  GateRules rules;
  const json& given = session.value("rules", json::object());
  rules.screen_rounds = given.value("screen_rounds", rules.screen_rounds);
  rules.confirm_rounds = given.value("confirm_rounds", rules.confirm_rounds);
  rules.screen_alpha = given.value("screen_alpha", rules.screen_alpha);
  rules.alpha = given.value("alpha", rules.alpha);
  rules.margin = given.value("margin", rules.margin);
  return rules;
}

json as_json(const GateRules& rules) {
  return {{"screen_rounds", rules.screen_rounds},
          {"confirm_rounds", rules.confirm_rounds},
          {"screen_alpha", rules.screen_alpha},
          {"alpha", rules.alpha},
          {"margin", rules.margin}};
}

json answer(const json& session) {
  const GateRules rules = rules_of(session);
  std::vector<CellRounds> cells;
  for (const json& cell : session.at("cells")) {
    cells.push_back({numbers(cell, "screened"), numbers(cell, "confirmed"), cell.value("sees", CellRounds{}.sees)});
  }
  json found = {{"rules", as_json(rules)}, {"cells", json::array()}};
  for (const Judged& one : judge(cells, rules)) {
    const Change& change = one.change;
    found["cells"].push_back({{"verdict", name_of(one.verdict)},
                              {"sees", cells[found["cells"].size()].sees},
                              {"effect", number(change.effect)},
                              {"low", number(change.low)},
                              {"high", number(change.high)},
                              {"sigma", number(change.sigma)},
                              {"smallest_visible", number(change.smallest_visible)},
                              {"rounds", change.rounds},
                              {"p", number(one.p)},
                              {"flagged", one.flagged},
                              {"reason", one.reason}});
  }
  const double affordable =
      session.contains("affordable") ? number(session["affordable"]) : std::numeric_limits<double>::infinity();
  const Confirmation plan = plan_confirmation(cells, affordable, rules);
  found["confirm"] = {{"rounds", plan.rounds}, {"cells", plan.cells}, {"left_out", plan.left_out}};
  for (const json& sigma : session.value("sigmas", json::array())) {
    found["visible"].push_back(
        number(smallest_visible(number(sigma), rules.screen_rounds, rules.confirm_rounds, 1, rules)));
  }
  return found;
}

ExitStatus judge_lines() {
  std::string line;
  for (std::size_t number_of_line = 1; std::getline(std::cin, line); ++number_of_line) {
    try {
      fmt::print("{}\n", answer(json::parse(line)).dump());
    } catch (const json::exception& error) {
      throw UsageError(fmt::format("standard input, line {}: {}", number_of_line, error.what()));
    }
    std::fflush(stdout);  // whoever asks waits for the answer before the next question
  }
  return ExitStatus::done;
}

}  // namespace

Command judge_command() {
  return {.name = "judge",
          .help =
              "The gate's verdicts on rounds that were measured elsewhere. One session on each line of standard "
              "input, as JSON {\"cells\": [{\"screened\": [ln(head/base) of each round], \"confirmed\": […], "
              "\"sees\": 0.05}], \"rules\": {\"margin\": 0.01}}; verdicts, and what to confirm next, on each line of "
              "standard output.",
          .examples = {"echo '{\"cells\": [{\"screened\": [0.01, 0.02]}]}' | noisefloor judge"},
          .action = Action(judge_lines)};
}

}  // namespace noisefloor
