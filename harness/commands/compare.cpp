// `noisefloor compare`: is the new version of a program slower than the old one?
// SPDX-License-Identifier: MIT
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "harness/base/child.hpp"
#include "harness/base/error.hpp"
#include "harness/base/names.hpp"
#include "harness/commands/command.hpp"
#include "harness/compare/benchmark_programs.hpp"
#include "harness/compare/command_lines.hpp"
#include "harness/compare/report.hpp"
#include "harness/compare/session.hpp"
#include "harness/sweep/launcher.hpp"
#include "harness/sweep/progress.hpp"

namespace noisefloor {
namespace {

namespace fs = std::filesystem;

/// A part of something: "5%" or "0.05".
struct Share {
  double value = 0;
};

void parse_value(std::string_view text, Share& share) {
  const bool percent = text.ends_with('%');
  const std::string_view digits = percent ? text.substr(0, text.size() - 1) : text;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), share.value);
  if (percent) share.value /= 100;
  if (error != std::errc() || end != digits.data() + digits.size() || !(share.value >= 0 && share.value <= 1)) {
    throw UsageError(fmt::format("'{}' is no share: give one such as 5% or 0.05, at most 1", text));
  }
}

struct Arguments {
  std::string base, head;
  std::vector<std::string> arguments;
  bool command = false;
  std::string filter;
  Share asked{0.05};
  Share margin{0.01};
  std::chrono::nanoseconds budget = std::chrono::seconds(90);
  std::chrono::nanoseconds timeout = std::chrono::seconds(60);
  std::string prepare;
  bool same_output = false;
  bool shell = false;
  bool control = false;
  bool strict = false;
  std::optional<std::uint64_t> seed;
  std::string out;
  std::string format = "table";
  std::string progress = "auto";
};

struct Format {
  std::string_view name;
  std::string_view file;  ///< in the folder of --out
  std::string (*write)(const compare::Session&, const compare::Told&);
};
constexpr Format kFormats[] = {{"table", "summary.txt", compare::as_table},
                               {"markdown", "summary.md", compare::as_markdown},
                               {"json", "verdicts.json", compare::as_json},
                               {"junit", "junit.xml", compare::as_junit},
                               {"csv", "launches.csv", compare::as_csv},
                               {"svg", "compare.svg", compare::as_figure},
                               {"annotations", "annotations.txt", compare::as_annotations}};

/// Whole or not at all.
void write_file(const fs::path& path, const std::string& text) {
  const fs::path temporary = path.string() + fmt::format(".{}", ::getpid());
  std::ofstream file(temporary, std::ios::binary);
  file << text;
  file.close();
  std::error_code error;
  if (file) fs::rename(temporary, path, error);
  if (!file || error) {
    const int why = errno;
    fs::remove(temporary, error);
    throw system_error(fmt::format("cannot write {}", path.string()), why);
  }
}

std::unique_ptr<compare::Subject> subject_of(const Arguments& arguments, ChildRunner& children) {
  if (arguments.command) {
    if (!arguments.arguments.empty()) {
      throw UsageError(
          fmt::format("'{}': --command takes two command lines: quote each as a whole", arguments.arguments[0]));
    }
    return std::make_unique<compare::CommandLines>(compare::CommandOptions{.commands = {arguments.base, arguments.head},
                                                                           .prepare = arguments.prepare,
                                                                           .same_output = arguments.same_output,
                                                                           .shell = arguments.shell,
                                                                           .timeout = arguments.timeout},
                                                   children);
  }
  return std::make_unique<compare::BenchmarkPrograms>(
      compare::BenchmarkOptions{.programs = {arguments.base, arguments.head},
                                .arguments = arguments.arguments,
                                .filter = arguments.filter,
                                .timeout = arguments.timeout},
      children);
}

ExitStatus run(const Arguments& arguments) {
  const auto& format = find_by_name(kFormats, arguments.format, "format");
  const ProgressPlace place = progress_place(stderr);
  const ProgressStyle style = choose_style(arguments.progress, place);
  if (arguments.budget <= std::chrono::nanoseconds(0)) throw UsageError("--budget: there must be some time");
  if (arguments.timeout <= std::chrono::nanoseconds(0)) throw UsageError("--timeout: there must be some time");
  if (!arguments.out.empty()) {  // before anything is measured that could not be kept
    std::error_code error;
    fs::create_directories(arguments.out, error);
    if (error) throw Error(fmt::format("--out {}: {}", arguments.out, error.message()));
    if (::access(arguments.out.c_str(), W_OK | X_OK) != 0) throw system_error("--out " + arguments.out, errno);
  }

  const Interrupt interrupt;
  ChildRunner children(interrupt.fd());
  const auto subject = subject_of(arguments, children);
  compare::Told told{.measures = subject->measures(), .options = {}, .base = arguments.base, .head = arguments.head};
  told.options.asked = arguments.asked.value;
  told.options.margin = arguments.margin.value;
  told.options.budget = arguments.budget;
  told.options.control = arguments.control;
  told.options.seed = arguments.seed ? *arguments.seed : std::random_device{}();
  if (!(told.options.asked > told.options.margin)) {
    throw UsageError(fmt::format("--asked {:g}% must be more than --margin {:g}%: smaller changes do not count",
                                 100 * told.options.asked, 100 * told.options.margin));
  }
  Progress progress(stderr, style, place, real_clock());
  const compare::Session session =
      compare::compare(*subject, told.options,
                       {.clock = real_clock(),
                        .interrupted = Interrupt::requested,
                        .progress = [&](std::string_view phase, std::size_t done, std::size_t total,
                                        std::chrono::nanoseconds left) { progress.update(phase, done, total, left); }});
  progress.clear();
  fmt::print("{}", format.write(session, told));
  if (std::getenv("GITHUB_ACTIONS") != nullptr && format.name == "table") {
    fmt::print("{}", compare::as_annotations(session, told));
  }
  if (!arguments.out.empty()) {
    for (const Format& each : kFormats) write_file(fs::path(arguments.out) / each.file, each.write(session, told));
  }
  return compare::status_of(session, arguments.strict);
}

}  // namespace

Command compare_command() {
  std::vector<std::string> formats;
  for (const Format& format : kFormats) formats.emplace_back(format.name);
  return {
      .name = "compare",
      .help =
          "Is the new version slower than the old one? Two Google Benchmark programs, or two commands, run in "
          "turns. What looks changed is measured again before it is said. Exit status: 1 for a confirmed "
          "regression or a failure in NEW, 2 where nothing could be compared.",
      .examples = {"noisefloor compare old/bench new/bench --asked 5%",
                   "noisefloor compare --command 'old/tool data' 'new/tool data'"},
      .arguments =
          {{"OLD", &Arguments::base, "A Google Benchmark program; with --command, a command line", {.required = true}},
           {"NEW", &Arguments::head, "The same of the new version", {.required = true}},
           {"ARGS", &Arguments::arguments, "Arguments for both programs, behind --"},
           {"--command", &Arguments::command, "OLD and NEW are command lines: their wall and CPU time is compared"},
           {"--filter",
            &Arguments::filter,
            "Only benchmarks that the programs' own --benchmark_filter matches",
            {.value = "REGEX", .excludes = {"--command"}}},
           {"--asked",
            &Arguments::asked,
            "The change that shall be seen: decides how many rounds there are (5%)",
            {.value = "SHARE"}},
           {"--margin", &Arguments::margin, "The least change that counts (1%)", {.value = "SHARE"}},
           {"--budget", &Arguments::budget, "No launch begins later (90s)"},
           {"--timeout", &Arguments::timeout, "A launch that takes longer has failed (60s)"},
           {"--prepare",
            &Arguments::prepare,
            "A command that runs before each launch, outside the clock",
            {.value = "COMMAND", .needs = {"--command"}}},
           {"--same-output",
            &Arguments::same_output,
            "Both must print the same on standard output",
            {.needs = {"--command"}}},
           {"--shell", &Arguments::shell, "/bin/sh reads the commands; its own start counts", {.needs = {"--command"}}},
           {"--control", &Arguments::control,
            "Measure OLD twice: if it differs from itself, the session is inconclusive"},
           {"--strict", &Arguments::strict, "Exit status 4 where something is inconclusive"},
           {"--seed", &Arguments::seed, "Of the random order"},
           {"--out", &Arguments::out, "Write all formats, and every launch, into this folder", {.value = "DIR"}},
           {"--format", &Arguments::format, "What standard output gets", {.choices = words("format", formats)}},
           {"--progress",
            &Arguments::progress,
            "How progress is shown on standard error",
            {.choices = words("progress style", {"auto", "bar", "plain", "none"})}}},
      .action = Action(run)};
}

}  // namespace noisefloor
