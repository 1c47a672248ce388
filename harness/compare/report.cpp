// Writes down what a session found.
// SPDX-License-Identifier: MIT
#include "harness/compare/report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <string_view>

namespace noisefloor::compare {
namespace {

using nlohmann::json;

/// Three significant digits and the unit that suits.
std::string shown_time(double ns) {
  if (!std::isfinite(ns)) return "-";
  struct Unit {
    double size;
    std::string_view name;
  };
  for (const Unit& unit : {Unit{1e9, "s"}, Unit{1e6, "ms"}, Unit{1e3, "us"}, Unit{1, "ns"}}) {
    if (ns < unit.size && unit.size > 1) continue;
    const double scaled = ns / unit.size;
    return fmt::format("{:.{}f} {}", scaled, scaled >= 100 ? 0 : scaled >= 10 ? 1 : 2, unit.name);
  }
  return "-";
}

std::string percent(double share) { return std::isfinite(share) ? fmt::format("{:+.1f}%", 100 * share) : "-"; }

std::string interval(const Change& change) {
  if (!std::isfinite(change.low) || !std::isfinite(change.high)) return "-";
  return fmt::format("[{:+.1f}%, {:+.1f}%]", 100 * change.low, 100 * change.high);
}

std::string visible(const Change& change) {
  return std::isfinite(change.smallest_visible) ? fmt::format("{:.1f}%", 100 * change.smallest_visible) : "-";
}

std::string remarks(const Result& one) {
  std::string text = one.reason;
  for (const std::string& note : one.notes) {
    if (!text.empty()) text += "; ";
    text += note;
  }
  return text;
}

/// As many columns as a terminal needs: bytes that go on with a character are none.
std::size_t columns(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

std::string markup(std::string_view text) {
  std::string result;
  for (const char c : text) {
    switch (c) {
      case '&':
        result += "&amp;";
        break;
      case '<':
        result += "&lt;";
        break;
      case '>':
        result += "&gt;";
        break;
      case '"':
        result += "&quot;";
        break;
      default:
        result += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
    }
  }
  return result;
}

json number(double value) {
  if (std::isnan(value)) return nullptr;
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  return value;
}

/// Text that may hold anything: what is no UTF-8 is replaced.
std::string dumped(const json& value, int indent = -1) {
  return value.dump(indent, ' ', false, json::error_handler_t::replace);
}

bool is_failure(Outcome outcome) { return outcome == Outcome::regressed || outcome == Outcome::failed; }

std::string_view name_of(Arm arm) { return arm == Arm::base ? "old" : arm == Arm::head ? "new" : "control"; }

std::string_view name_of(End end) {
  switch (end) {
    case End::ok:
      return "ok";
    case End::failed:
      return "failed";
    case End::skipped:
      return "skipped";
    case End::absent:
      return "absent";
    case End::no_time:
      return "no_time";
    case End::interrupted:
      break;
  }
  return "interrupted";
}

std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\n\r") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"') quoted += '"';
    quoted += c;
  }
  quoted += '"';
  return quoted;
}

}  // namespace

std::string as_table(const Session& session, const Told& told) {
  std::vector<std::array<std::string, 6>> rows = {{"", "old", "new", "change", "95% interval", "sees"}};
  for (const Result& one : session.results) {
    rows.push_back({one.name, shown_time(one.base_ns), shown_time(one.head_ns), percent(one.change.effect),
                    interval(one.change), visible(one.change)});
  }
  std::array<std::size_t, 6> widths{};
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], columns(row[i]));
  }
  std::string text;
  for (std::size_t r = 0; r < rows.size(); ++r) {
    for (std::size_t i = 0; i < rows[r].size(); ++i) {
      const std::string fill(widths[i] - columns(rows[r][i]), ' ');
      text += i == 0 ? fmt::format("{}{}", rows[r][i], fill) : fmt::format("  {}{}", fill, rows[r][i]);
    }
    if (r == 0) {
      text += "  verdict\n";
      continue;
    }
    const Result& one = session.results[r - 1];
    text += fmt::format("  {}", compare::name_of(one.outcome));
    const std::string more = remarks(one);
    if (!more.empty()) text += fmt::format(": {}", more);
    text += "\n";
  }
  text += "\n";
  for (const std::string& note : session.notes) text += fmt::format("note: {}\n", note);
  std::size_t rounds = 0;
  for (const Result& one : session.results) rounds = std::max(rounds, one.screened + one.confirmed);
  text += fmt::format("{} launches in {:.0f} s, {} rounds at most, asked: {:g}%, margin: {:g}%\n",
                      session.observations.size(), std::chrono::duration<double>(session.time).count(), rounds,
                      100 * told.options.asked, 100 * told.options.margin);
  return text + session.headline + "\n";
}

std::string as_markdown(const Session& session, const Told& told) {
  const auto cell = [](std::string_view text) {
    std::string result;
    for (const char c : text) {
      if (c == '|' || c == '`' || c == '<' || c == '*' || c == '_') result += '\\';
      result += c == '\n' ? ' ' : c;
    }
    return result;
  };
  std::string text = fmt::format("**{}**\n\nold: `{}`, new: `{}`\n\n", cell(session.headline), told.base, told.head);
  text += "| | old | new | change | 95% interval | sees | verdict |\n| --- | ---: | ---: | ---: | --- | ---: | --- |\n";
  for (const Result& one : session.results) {
    const std::string more = remarks(one);
    text += fmt::format("| {} | {} | {} | {} | {} | {} | {}{} |\n", cell(one.name), shown_time(one.base_ns),
                        shown_time(one.head_ns), percent(one.change.effect), interval(one.change), visible(one.change),
                        compare::name_of(one.outcome), more.empty() ? "" : fmt::format(": {}", cell(more)));
  }
  text += "\n";
  for (const std::string& note : session.notes) text += fmt::format("- {}\n", cell(note));
  return text;
}

std::string as_json(const Session& session, const Told& told) {
  json report = {{"schema", 1},
                 {"verdict", compare::name_of(session.verdict)},
                 {"headline", session.headline},
                 {"interrupted", session.is_interrupted},
                 {"old", told.base},
                 {"new", told.head},
                 {"asked", told.options.asked},
                 {"margin", told.options.margin},
                 {"seed", told.options.seed},
                 {"budget_s", std::chrono::duration<double>(told.options.budget).count()},
                 {"time_s", std::chrono::duration<double>(session.time).count()},
                 {"launches", session.observations.size()},
                 {"notes", session.notes},
                 {"cases", json::array()}};
  for (const Result& one : session.results) {
    json differences = json::array();
    for (const double difference : one.differences) differences.push_back(number(difference));
    report["cases"].push_back(
        {{"name", one.name},
         {"verdict", compare::name_of(one.outcome)},
         {"reason", one.reason},
         {"notes", one.notes},
         {"measure", one.measure < 0 ? json() : json(told.measures[static_cast<std::size_t>(one.measure)])},
         {"old_ns", number(one.base_ns)},
         {"new_ns", number(one.head_ns)},
         {"effect", number(one.change.effect)},
         {"low", number(one.change.low)},
         {"high", number(one.change.high)},
         {"sigma", number(one.change.sigma)},
         {"smallest_visible", number(one.change.smallest_visible)},
         {"p", number(one.p)},
         {"flagged", one.flagged},
         {"screen_rounds", one.screened},
         {"confirm_rounds", one.confirmed},
         {"round_s", std::chrono::duration<double>(one.round).count()},
         {"differences", differences}});
  }
  return dumped(report, 1) + "\n";
}

std::string as_junit(const Session& session, const Told& told) {
  std::size_t failures = 0;
  std::size_t skipped = 0;
  std::string cases;
  for (const Result& one : session.results) {
    const std::string more = markup(remarks(one));
    cases += fmt::format(
        R"(  <testcase name="{}" classname="noisefloor.compare" time="{:.3f}")", markup(one.name),
        std::chrono::duration<double>(one.round).count() * static_cast<double>(one.screened + one.confirmed));
    const std::string found =
        fmt::format("{} {} {}", compare::name_of(one.outcome), percent(one.change.effect), interval(one.change));
    if (is_failure(one.outcome)) {
      ++failures;
      cases += fmt::format("><failure message=\"{}\">{}</failure></testcase>\n", markup(found), more);
    } else if (one.outcome != Outcome::ok && one.outcome != Outcome::improved) {
      ++skipped;
      cases += fmt::format("><skipped message=\"{}: {}\"/></testcase>\n", compare::name_of(one.outcome), more);
    } else {
      cases += fmt::format("><system-out>{}</system-out></testcase>\n", markup(found));
    }
  }
  return fmt::format(
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"{} against {}\" tests=\"{}\" failures=\"{}\" "
      "errors=\"0\" skipped=\"{}\" time=\"{:.3f}\">\n{}</testsuite>\n",
      markup(told.head), markup(told.base), session.results.size(), failures, skipped,
      std::chrono::duration<double>(session.time).count(), cases);
}

std::string as_annotations(const Session& session, const Told& /*told*/) {
  const auto escaped = [](std::string_view text, bool property) {
    std::string result;
    for (const char c : text) {
      const bool special = c == '%' || c == '\r' || c == '\n' || (property && (c == ':' || c == ','));
      result += special ? fmt::format("%{:02X}", c) : std::string(1, c);
    }
    return result;
  };
  std::string text;
  for (const Result& one : session.results) {
    const bool undecided = one.outcome == Outcome::inconclusive;
    if (!is_failure(one.outcome) && !undecided && one.outcome != Outcome::base_failed) continue;
    text += fmt::format(
        "::{} title={}::{}\n", is_failure(one.outcome) ? "error" : "warning",
        escaped(fmt::format("{}: {}", compare::name_of(one.outcome), one.name), true),
        escaped(fmt::format("{} {} {}", percent(one.change.effect), interval(one.change), remarks(one)), false));
  }
  return text + fmt::format("::notice title=noisefloor compare::{}\n", escaped(session.headline, false));
}

std::string as_csv(const Session& session, const Told& told) {
  std::string text = "phase,round,case,arm,place,status,duration_ns,cpu_share";
  for (const std::string& measure : told.measures) {
    std::string name = measure + "_ns";
    std::erase(name, ',');
    std::replace(name.begin(), name.end(), ' ', '_');
    text += fmt::format(",{}", name);
  }
  text += ",message\n";
  for (const Observation& one : session.observations) {
    text += fmt::format("{},{},{},{},{},{},{},{:.6g}", one.phase, one.round,
                        csv_field(session.results[one.number].name), name_of(one.arm), one.place,
                        name_of(one.reading.end), one.reading.duration.count(), one.reading.cpu_share);
    for (std::size_t m = 0; m < told.measures.size(); ++m) {
      const double value = m < one.reading.values.size() ? one.reading.values[m] : std::nan("");
      text += std::isfinite(value) ? fmt::format(",{:.9g}", value) : std::string(",");
    }
    text += fmt::format(",{}\n", csv_field(one.reading.message));
  }
  return text;
}

std::string as_figure(const Session& session, const Told& told) {
  constexpr int kLabel = 320;
  constexpr int kPlot = 480;
  constexpr int kRow = 24;
  std::vector<const Result*> drawn;
  double most = std::max(told.options.asked, told.options.margin);
  for (const Result& one : session.results) {
    if (!std::isfinite(one.change.effect)) continue;
    drawn.push_back(&one);
    for (const double value : {one.change.effect, one.change.low, one.change.high}) {
      if (std::isfinite(value)) most = std::max(most, std::abs(value));
    }
  }
  most *= 1.1;
  const double height = kRow * (static_cast<double>(drawn.size()) + 2.5);
  const auto x = [&](double share) { return kLabel + kPlot * (share + most) / (2 * most); };
  std::string text = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {:.0f}\" font-family=\"sans-serif\" "
      "font-size=\"12\">\n"
      "<title>{}</title>\n<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n",
      kLabel + kPlot + 20, height, markup(session.headline));
  // What counts as no change.
  text +=
      fmt::format("<rect x=\"{:.1f}\" y=\"8\" width=\"{:.1f}\" height=\"{:.0f}\" fill=\"#eeeeee\"/>\n",
                  x(-told.options.margin), x(told.options.margin) - x(-told.options.margin), height - 1.75 * kRow - 8);
  text += fmt::format("<line x1=\"{0:.1f}\" y1=\"8\" x2=\"{0:.1f}\" y2=\"{1:.0f}\" stroke=\"#555555\"/>\n", x(0),
                      height - 1.75 * kRow);
  for (std::size_t i = 0; i < drawn.size(); ++i) {
    const Result& one = *drawn[i];
    const double y = kRow * (static_cast<double>(i) + 1);
    const std::string_view color = is_failure(one.outcome)            ? "#b3261e"
                                   : one.outcome == Outcome::improved ? "#1b6e3c"
                                                                      : "#37474f";
    text += fmt::format("<text x=\"{}\" y=\"{:.0f}\" text-anchor=\"end\">{}</text>\n", kLabel - 12, y + 4,
                        markup(one.name));
    if (std::isfinite(one.change.low) && std::isfinite(one.change.high)) {
      text += fmt::format(
          "<line x1=\"{0:.1f}\" y1=\"{2:.0f}\" x2=\"{1:.1f}\" y2=\"{2:.0f}\" stroke=\"{3}\" stroke-width=\"2\"/>\n",
          x(one.change.low), x(one.change.high), y, color);
    }
    text += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.0f}\" r=\"4\" fill=\"{}\"/>\n", x(one.change.effect), y, color);
  }
  for (const double share : {-most / 1.1, 0.0, most / 1.1}) {
    text += fmt::format("<text x=\"{:.1f}\" y=\"{:.0f}\" text-anchor=\"middle\">{:+.1f}%</text>\n", x(share),
                        height - kRow, 100 * share);
  }
  text += fmt::format(
      "<text x=\"{}\" y=\"{:.0f}\" text-anchor=\"middle\">change of time from old to new, 95% interval; grey: the "
      "margin"
      "</text>\n</svg>\n",
      kLabel + kPlot / 2, height - 6);
  return text;
}

ExitStatus status_of(const Session& session, bool strict) {
  if (session.is_interrupted) return ExitStatus::interrupted;
  if (session.verdict == Outcome::failed || session.verdict == Outcome::regressed) return ExitStatus::failed;
  if (session.judged == 0) return ExitStatus::usage;
  if (session.verdict == Outcome::inconclusive && strict) return ExitStatus::inconclusive;
  return ExitStatus::done;
}

}  // namespace noisefloor::compare
