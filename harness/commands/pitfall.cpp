// Explains a pitfall with its own source, measures its variants in turn, and says what that means here.
// SPDX-License-Identifier: MIT
#include "harness/commands/pitfall.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "benchmarks/pitfalls/table.hpp"
#include "benchmarks/pitfalls/verdict.hpp"
#include "harness/base/error.hpp"
#include "harness/base/limits.hpp"
#include "harness/commands/command.hpp"
#include "harness/sweep/launcher.hpp"
#include "harness/sweep/plan.hpp"

namespace noisefloor {
namespace {

using std::chrono::steady_clock;

constexpr std::size_t kColumns = 100;
constexpr int kMostRounds = 20;
constexpr int kRepetitions = 3;
constexpr std::chrono::milliseconds kMeasuring{8500};  ///< no round begins that would probably end later
/// A variant that is only there to be looked at runs once if it takes as long as this: the others need the rounds.
constexpr std::chrono::milliseconds kLongReference{500};

/// `text` in lines of kColumns, each indented.
void print_wrapped(std::string_view text, std::size_t indent) {
  std::size_t column = 0;
  while (!text.empty()) {
    const std::size_t blank = std::min(text.find(' '), text.size());
    const std::string_view word = text.substr(0, blank);
    if (column != 0 && column + 1 + word.size() > kColumns) {
      fmt::print("\n");
      column = 0;
    }
    fmt::print("{:{}}{}", "", column == 0 ? indent : 1, word);
    column += (column == 0 ? indent : 1) + word.size();
    text.remove_prefix(std::min(blank + 1, text.size()));
  }
  fmt::print("\n");
}

std::optional<std::uint64_t> number(const std::string& text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

bool is_level(std::string_view measure) { return measure == "peak_rss_bytes" || measure == "cpu_percent"; }

/// The launch's value: the median of its repetitions, per iteration where the measure is a total.
std::optional<double> value_of(const std::vector<Row>& rows, std::string_view measure) {
  std::vector<double> values;
  for (const Row& row : rows) {
    const auto total = number(row[measure]);
    const auto iterations = number(row["iterations"]);
    if (!total || !iterations || *iterations == 0) continue;
    values.push_back(static_cast<double>(*total) / (is_level(measure) ? 1.0 : static_cast<double>(*iterations)));
  }
  if (values.empty()) return std::nullopt;
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2), values.end());
  return values[values.size() / 2];
}

/// Three significant digits and the unit that suits.
std::string shown(double value, std::string_view measure) {
  struct Unit {
    double size;
    std::string_view name;
  };
  constexpr Unit kTimes[] = {{1e9, "s"}, {1e6, "ms"}, {1e3, "µs"}, {1, "ns"}};
  constexpr Unit kSizes[] = {{1 << 30, "GiB"}, {1 << 20, "MiB"}, {1 << 10, "KiB"}, {1, "bytes"}};
  const bool time = measure.ends_with("_ns");
  if (!time && !measure.ends_with("_bytes")) return fmt::format("{:.0f}", value);
  for (const Unit& unit : time ? kTimes : kSizes) {
    if (value < unit.size && unit.size > 1) continue;
    const double scaled = value / unit.size;
    return fmt::format("{:.{}f} {}", scaled, scaled >= 100 ? 0 : scaled >= 10 ? 1 : 2, unit.name);
  }
  return {};
}

/// One variant while it is measured.
struct Course {
  const Variant* variant;
  LaunchOptions options;
  Seen seen;
  std::vector<double> peaks;         ///< of memory, in bytes
  steady_clock::duration longest{};  ///< launch
};

class Measurement {
 public:
  Measurement(const Pitfall& pitfall, int workers, const std::string& program, int interrupt_fd)
      : pitfall_(pitfall), launcher_(program, interrupt_fd) {
    for (const Variant& variant : pitfall.variants) {
      Course course{&variant, {}, {}, {}, {}};
      PlannedCell planned;
      planned.repetitions = kRepetitions;
      planned.warmups = 1;
      planned.cell.pitfall = pitfall.name;
      planned.cell.variant = variant.name;
      planned.cell.workers = workers;
      plan_pitfall(planned, pitfalls());
      course.options.cell = normalised(planned.cell);
      course.options.iterations = planned.pitfall.iterations;
      course.options.repetitions = planned.repetitions;
      course.options.warmups = planned.warmups;
      courses_.push_back(std::move(course));
    }
    // The cure first: its answer is the right one, and every other is checked against it.
    std::stable_partition(courses_.begin(), courses_.end(),
                          [](const Course& c) { return c.variant->role == Role::good; });
  }

  /// False if interrupted.
  bool run() {
    const auto start = steady_clock::now();
    for (Course& course : courses_) {
      if (!calibrate(course)) return false;
    }
    std::mt19937_64 random(std::random_device{}());
    for (int round = 0; round < kMostRounds; ++round) {
      std::vector<Course*> order;
      auto expected = steady_clock::duration::zero();
      for (Course& course : courses_) {
        if (course.seen.status != "ok" && course.seen.status != "wrong_output") continue;
        if (course.variant->role == Role::reference && course.longest >= kLongReference) continue;
        order.push_back(&course);
        expected += course.longest;
      }
      if (order.empty() || (round > 0 && steady_clock::now() - start + expected > kMeasuring)) break;
      std::shuffle(order.begin(), order.end(), random);
      for (Course* course : order) {
        const auto begin = steady_clock::now();
        if (!measure(*course, std::chrono::seconds(20), round)) return false;
        course->longest = std::max(course->longest, steady_clock::now() - begin);
      }
    }
    return true;
  }

  [[nodiscard]] const std::vector<Course>& courses() const noexcept { return courses_; }
  [[nodiscard]] const Course& first(Role role) const {
    return *std::find_if(courses_.begin(), courses_.end(), [&](const Course& c) { return c.variant->role == role; });
  }

 private:
  /// Finds the iterations. Variants with a fixed number of them need none of it, and hanging ones show
  /// themselves here, once.
  bool calibrate(Course& course) {
    if (course.variant->hangs) return measure(course, std::chrono::seconds(kHangSeconds), 0);
    if (course.options.iterations != 0) {
      course.seen.status = "ok";  // as far as is known
      if (course.variant->role == Role::good && !digest_) return learn(course, 1);
      return true;
    }
    return learn(course, 0);
  }

  bool learn(Course& course, std::uint32_t iterations) {
    LaunchRequest request{.options = course.options, .deadline = std::chrono::seconds(20)};
    request.options.iterations = iterations;
    request.options.repetitions = 1;
    request.options.warmups = 0;
    request.options.expected_digest = digest_;
    const LaunchOutcome outcome = launcher_.launch(request);
    if (outcome.end == LaunchEnd::interrupted) return false;
    note(course, outcome);
    if (outcome.end != LaunchEnd::finished) return true;
    const Row& row = outcome.rows.front();
    if (const auto found = number(row["iterations"])) course.options.iterations = static_cast<std::uint32_t>(*found);
    const auto wall = number(row["wall_ns"]);
    constexpr std::uint64_t kLong = 100'000'000;
    if (wall && *wall > kLong) {
      course.options.repetitions = 1;
      course.options.warmups = 0;
    }
    std::uint64_t digest = 0;
    const std::string& text = row["digest"];
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), digest, 16);
    if (!digest_ && course.variant->role == Role::good && error == std::errc()) digest_ = digest;
    return true;
  }

  bool measure(Course& course, std::chrono::nanoseconds deadline, int round) {
    LaunchRequest request{.options = course.options, .deadline = deadline};
    request.options.expected_digest = digest_;
    request.padding_bytes = static_cast<std::size_t>(round) * 208 % 4096;
    const LaunchOutcome outcome = launcher_.launch(request);
    if (outcome.end == LaunchEnd::interrupted) return false;
    note(course, outcome);
    course.seen.by_round.resize(static_cast<std::size_t>(round) + 1);
    if (outcome.end == LaunchEnd::finished) {
      course.seen.by_round.back() = value_of(outcome.rows, pitfall_.measure);
      if (const auto peak = value_of(outcome.rows, "peak_rss_bytes")) course.peaks.push_back(*peak);
    }
    return true;
  }

  static void note(Course& course, const LaunchOutcome& outcome) {
    if (outcome.end == LaunchEnd::finished) {
      course.seen.status = "ok";
      for (const Row& row : outcome.rows) {
        if (row["status"] == "ok") continue;
        course.seen.status = row["status"];
        course.seen.message = row["message"];
      }
    } else {
      course.seen.status = outcome.end == LaunchEnd::timeout ? "timeout" : "failed";
      course.seen.message = outcome.message;
    }
  }

  const Pitfall& pitfall_;
  ProcessLauncher launcher_;
  std::vector<Course> courses_;
  std::optional<std::uint64_t> digest_;
};

std::string elsewhere(const Pitfall& pitfall) {
  if (pitfall.most <= 0) return fmt::format("no figure ({})", pitfall.source);
  const std::string range = pitfall.least == pitfall.most ? fmt::format("×{:g}", pitfall.least)
                                                          : fmt::format("×{:g} to ×{:g}", pitfall.least, pitfall.most);
  return fmt::format("{} ({})", range, pitfall.source);
}

void print_explanation(const Pitfall& pitfall) {
  fmt::print("{}: {} [{}]\n\n", pitfall.name, pitfall.title, name_of(pitfall.harm));
  print_wrapped(pitfall.lesson, 2);
  std::vector<std::string> printed;
  for (const Variant& variant : pitfall.variants) {
    fmt::print("\n{} ({}): {}\n", variant.name, name_of(variant.role), variant.help);
    if (!variant.environment.empty()) fmt::print("  started with {}\n", variant.environment);
    for (const std::string& block : code_of(pitfall, variant)) {
      if (std::find(printed.begin(), printed.end(), block) != printed.end()) continue;  // shared with one above
      fmt::print("\n");
      for (std::size_t from = 0; from < block.size();) {
        const std::size_t end = block.find('\n', from);
        const std::string_view line = std::string_view(block).substr(from, end - from);
        fmt::print("{}{}\n", line.empty() ? "" : "    ", line);
        from = end + 1;
      }
      printed.push_back(block);
    }
  }
}

/// How much better the bad variant is than what it is usually compared with.
void print_temptation(const Pitfall& pitfall, const Measurement& measurement) {
  const Course& bad = measurement.first(Role::bad);
  const auto& courses = measurement.courses();
  const auto other = std::find_if(courses.begin(), courses.end(),
                                  [&](const Course& c) { return c.variant->name == pitfall.tempting; });
  std::vector<double> ratios;
  for (std::size_t round = 0; round < std::min(bad.seen.by_round.size(), other->seen.by_round.size()); ++round) {
    const auto& [ours, theirs] = std::pair(bad.seen.by_round[round], other->seen.by_round[round]);
    if (ours && theirs && *ours > 0) ratios.push_back(*theirs / *ours);
  }
  fmt::print("\n  what tempts: {} over {} is {}\n", pitfall.tempting, bad.variant->name, text_of(ratio_of(ratios)));
}

void print_measurement(const Pitfall& pitfall, const Measurement& measurement) {
  const Course& good = measurement.first(Role::good);
  std::size_t width = 0;
  for (const Variant& variant : pitfall.variants) width = std::max(width, variant.name.size());
  for (const Variant& variant : pitfall.variants) {
    const auto course = std::find_if(measurement.courses().begin(), measurement.courses().end(),
                                     [&](const Course& c) { return c.variant == &variant; });
    const Seen& seen = course->seen;
    std::vector<double> values;
    std::vector<double> ratios;
    for (std::size_t round = 0; round < seen.by_round.size(); ++round) {
      if (!seen.by_round[round]) continue;
      values.push_back(*seen.by_round[round]);
      if (round < good.seen.by_round.size() && good.seen.by_round[round] && *good.seen.by_round[round] > 0) {
        ratios.push_back(*seen.by_round[round] / *good.seen.by_round[round]);
      }
    }
    std::string text = values.empty() ? "–" : shown(ratio_of(values).median, pitfall.measure);
    if (&*course == &good) {
      text += "  the cure, to which the others are compared";
    } else if (!ratios.empty()) {
      text += "  " + text_of(ratio_of(ratios));
    }
    if (!course->peaks.empty() && pitfall.measure != "peak_rss_bytes") {
      text += fmt::format("  ({} at most)", shown(ratio_of(course->peaks).median, "peak_rss_bytes"));
    }
    if (seen.status != "ok") text += fmt::format("  {}: {}", seen.status, seen.message);
    if (values.size() == 1 && good.seen.by_round.size() > 1) text += "  (ran once)";
    fmt::print("  {:<{}}  {:<9}  {}\n", variant.name, width, name_of(variant.role), text);
  }
  if (!pitfall.tempting.empty()) print_temptation(pitfall, measurement);
}

ExitStatus explain(const std::string& name, bool measured) {
  const Pitfall& pitfall = select_pitfall(pitfalls(), name);
  print_explanation(pitfall);
  ExitStatus status = ExitStatus::done;
  if (measured) {
    const int workers = available_workers();
    std::fflush(stdout);
    const Interrupt interrupt;
    Measurement measurement(pitfall, workers, "/proc/self/exe", interrupt.fd());
    const std::string reason = refuse(pitfall, workers);
    if (reason.empty() && !measurement.run()) return ExitStatus::interrupted;
    const Course& bad = measurement.first(Role::bad);
    const Course& good = measurement.first(Role::good);
    const std::size_t rounds = good.seen.by_round.size();
    fmt::print("\n");
    if (reason.empty()) {
      fmt::print("measured here: {}, {} round{}, {} CPU{}\n\n", pitfall.measure, rounds, rounds == 1 ? "" : "s",
                 workers, workers == 1 ? "" : "s");
      print_measurement(pitfall, measurement);
      fmt::print("\n");
    }
    fmt::print("verdict: {}\n", reason.empty() ? verdict(pitfall, bad.seen, good.seen) : "not applicable: " + reason);
    if (reason.empty() && good.seen.status != "ok" && good.seen.status != "skipped") status = ExitStatus::failed;
  }
  fmt::print("elsewhere: {}\n\n", elsewhere(pitfall));
  fmt::print("what to do instead\n");
  print_wrapped(pitfall.advice, 2);
  return status;
}

void print_list() {
  for (const Pitfall* pitfall : pitfalls()) {
    fmt::print("{} [{}]: {}\n", pitfall->name, name_of(pitfall->harm), pitfall->title);
    print_wrapped(pitfall->lesson, 2);
  }
  fmt::print("\n{} pitfalls; `noisefloor pitfall NAME` explains one and measures it here\n", pitfalls().size());
}

}  // namespace

nlohmann::json pitfall_facts() {
  auto all = nlohmann::json::array();
  const int workers = available_workers();
  for (const Pitfall* pitfall : pitfalls()) {
    auto variants = nlohmann::json::array();
    for (const Variant& variant : pitfall->variants) {
      variants.push_back({{"name", variant.name},
                          {"role", name_of(variant.role)},
                          {"help", variant.help},
                          {"environment", variant.environment},
                          {"hangs", variant.hangs},
                          {"code", code_of(*pitfall, variant)}});
    }
    all.push_back({{"name", pitfall->name},
                   {"title", pitfall->title},
                   {"lesson", pitfall->lesson},
                   {"harm", name_of(pitfall->harm)},
                   {"measure", pitfall->measure},
                   {"expected", {pitfall->least, pitfall->most}},
                   {"source", pitfall->source},
                   {"advice", pitfall->advice},
                   {"tempting", pitfall->tempting},
                   {"unavailable", refuse(*pitfall, workers)},
                   {"variants", variants}});
  }
  return all;
}

namespace {

struct Arguments {
  std::string name;
  bool code_only = false;
  bool json = false;
};

ExitStatus pitfall(const Arguments& arguments) {
  if (!arguments.json && !arguments.name.empty()) return explain(arguments.name, !arguments.code_only);
  if (arguments.json) {
    fmt::print("{}\n", pitfall_facts().dump(2));
  } else {
    print_list();
  }
  return ExitStatus::done;
}

std::vector<std::string> names_of_pitfalls() {
  std::vector<std::string> names;
  for (const Pitfall* one : pitfalls()) names.emplace_back(one->name);
  return names;
}

}  // namespace

Command pitfall_command() {
  return {.name = "pitfall",
          .help = "Explain a pitfall by its own code, and measure it here; alone: list them",
          .examples = {"noisefloor pitfall false_sharing"},
          .arguments = {{"NAME",
                         &Arguments::name,
                         "Which one; all are listed if left out",
                         {.choices = {"pitfall", names_of_pitfalls}}},
                        {"--no-measure", &Arguments::code_only, "Lesson, code and advice only"},
                        {"--json", &Arguments::json,
                         "All of them, with their variants and code, as JSON; nothing is measured"}},
          .action = Action(pitfall)};
}

}  // namespace noisefloor
