// Runs sweeps: plan, folder, engine, and what the user sees of it.
// SPDX-License-Identifier: MIT
#include "benchmarks/run.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "benchmarks/pitfalls/table.hpp"
#include "harness/audio/signals.hpp"
#include "harness/base/error.hpp"
#include "harness/measure/machine.hpp"
#include "harness/sweep/engine.hpp"
#include "harness/sweep/launcher.hpp"
#include "harness/sweep/observations.hpp"
#include "harness/sweep/plan.hpp"
#include "harness/sweep/progress.hpp"
#include "harness/sweep/run_folder.hpp"
#include "harness/sweep/sweep_file.hpp"
#include "harness/workloads/table.hpp"
#include "noisefloor_version.hpp"

namespace noisefloor {
namespace {

namespace fs = std::filesystem;

struct RunArguments {
  std::vector<std::string> sweeps;
  std::vector<std::string> sets;
  std::optional<int> rounds;
  std::optional<std::uint64_t> seed;
  std::string out;
  std::string filter;
  std::string progress = "auto";
  std::string head;
  std::string base;
  bool control = false;
  bool yes = false;
  bool dry_run = false;
};

/// This process's command line, as typed.
std::vector<std::string> command_line() {
  std::ifstream file("/proc/self/cmdline", std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  std::vector<std::string> words;
  for (std::size_t from = 0; from < text.size();) {
    const std::size_t end = text.find('\0', from);
    words.push_back(text.substr(from, end - from));
    if (end == std::string::npos) break;
    from = end + 1;
  }
  return words;
}

/// The file that runs now, even if its name was replaced meanwhile.
std::string own_program() {
  std::error_code error;
  const fs::path path = fs::read_symlink("/proc/self/exe", error);
  if (error) throw Error(fmt::format("cannot find this program's own file: /proc/self/exe: {}", error.message()));
  return path.string();
}

/// Relative to the current folder where it lies in it.
std::string shown(const std::string& path) {
  std::error_code error;
  const fs::path here = fs::current_path(error);
  const fs::path relative = fs::path(path).lexically_relative(here);
  return error || relative.empty() || *relative.begin() == ".." ? path : relative.string();
}

void say(const std::string& line) { std::fputs((line + '\n').c_str(), stderr); }

void print_plan(const Plan& plan) {
  for (const PlannedCell& planned : plan.cells) fmt::print("{}\n", format_cell(planned.cell));
  say(fmt::format("{} cells, {} launches in {} rounds, seed {}; how long they take is not known before calibration",
                  plan.cells.size(), count_launches(plan), count_rounds(plan), plan.seed));
}

std::string describe(const RunSummary& summary) {
  std::string text = fmt::format("launches measured: {}, observations: {}", summary.measured, summary.observations);
  const std::pair<std::uint64_t, std::string_view> others[] = {{summary.skipped, "cells skipped"},
                                                               {summary.failed, "launches failed"},
                                                               {summary.wrong_output, "launches with wrong output"},
                                                               {summary.timeout, "launches timed out"},
                                                               {summary.failed_base, "launches of base failed"}};
  for (const auto& [count, what] : others) {
    if (count != 0) text += fmt::format(", {}: {}", what, count);
  }
  return text;
}

/// The arms run from copies in the run's folder, whose paths are of equal length: the length of a program's
/// path moves its stack. All are copied alike, so that none lies in the page cache as another does.
void copy_arms(Plan& plan, const std::string& folder) {
  for (Arm& arm : plan.arms) {
    const std::string name = arm.name == "base2" ? "bas2" : arm.name;
    arm.program = copy_program(arm.program, fmt::format("{}/bin/{}", folder, name));
  }
}

ExitStatus run(const RunArguments& arguments) {
  if (const std::string pinning = openmp_pinning(); !pinning.empty()) {
    throw UsageError(
        fmt::format("{} pins the threads of every strategy, not only OpenMP's, before a cell can choose: unset it; "
                    "taskset chooses the CPUs for all",
                    pinning));
  }
  PlanOptions options;
  for (const std::string& text : arguments.sets) options.sets.push_back(parse_axis_values(text));
  options.filter = arguments.filter;
  options.rounds = arguments.rounds;
  options.many_cells = arguments.yes;
  options.pitfalls = pitfalls();
  constexpr auto kMostSeed = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  options.seed = arguments.seed.value_or(std::random_device{}());
  if (options.seed > kMostSeed) {
    throw UsageError(
        fmt::format("--seed {} is larger than {}, the largest that plan.toml can hold", options.seed, kMostSeed));
  }
  const ProgressPlace place = progress_place(stderr);
  const ProgressStyle style = choose_style(arguments.progress, place);
  std::vector<SweepFile> sweeps;
  for (const std::string& name : arguments.sweeps) {
    sweeps.push_back(read_sweep(find_sweep(name)));
    sweeps.back().path = fs::absolute(sweeps.back().path).lexically_normal().string();
  }
  Plan plan = make_plan(std::move(sweeps), options);
  plan.command = command_line();
  if (arguments.control && arguments.base.empty()) {
    throw UsageError("--control copies base to measure it against itself: give --base BIN, too");
  }
  if (!arguments.head.empty() && arguments.base.empty()) {
    throw UsageError("--head is compared with a base: give --base BIN, too");
  }
  if (!arguments.base.empty()) {
    plan.arms.push_back({.name = "base"});
    if (arguments.control) plan.arms.push_back({.name = "base2"});
  }
  if (arguments.dry_run) {
    print_plan(plan);
    return ExitStatus::done;
  }

  // A kernel that NOISEFLOOR_KERNEL forces in vain is an error of the call, not of every cell that takes "auto".
  if (std::any_of(plan.cells.begin(), plan.cells.end(), [](const auto& one) { return one.cell.kernel == "auto"; })) {
    static_cast<void>(select_kernel("auto"));
  }
  const std::string program = own_program();
  const Interrupt interrupt;
  ProcessLauncher launcher(program, interrupt.fd());
  if (!arguments.base.empty()) {
    const std::string base = fs::absolute(arguments.base).lexically_normal().string();
    for (std::size_t i = 1; i < plan.arms.size(); ++i) plan.arms[i] = greet(launcher, plan.arms[i].name, base);
  }
  if (arguments.head.empty()) {
    plan.arms[0] = {.name = "head", .program = program, .build_id = build_id(), .git_sha = kGitSha};
  } else {
    plan.arms[0] = greet(launcher, "head", fs::absolute(arguments.head).lexically_normal().string());
  }

  const nlohmann::json facts = machine_facts(cache_folder());
  RunIdentity identity;
  identity.machine_id = machine_id(facts);
  const std::string parent = arguments.out.empty() ? default_parent(fs::current_path().string()) : arguments.out;
  const auto now = std::chrono::system_clock::now();
  const std::string folder = make_run_folder(parent, run_name(now, kGitSha, identity.machine_id));
  identity.run_id = fs::path(folder).filename().string();

  if (plan.arms.size() > 1) copy_arms(plan, folder);
  const std::vector<std::pair<std::string, std::string>> head = {{"run_id", identity.run_id},
                                                                 {"machine_id", identity.machine_id},
                                                                 {"build_id", build_id()},
                                                                 {"git_sha", kGitSha},
                                                                 {"program", program}};
  const auto write_plan = [&](const Plan& written) { replace_file(folder + "/plan.toml", format_plan(written, head)); };
  write_plan(plan);
  // Names of files and hosts may hold anything: JSON takes UTF-8 only.
  replace_file(folder + "/machine.json", facts.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + '\n');
  ObservationFile rows(folder + "/observations.csv");
  point_latest_to(folder);

  RunSummary summary;
  {
    Progress progress(stderr, style, place, real_clock());
    try {
      summary = run_plan(plan, identity, launcher, rows, progress, write_plan);
    } catch (const Error&) {
      progress.clear();
      say(fmt::format("the run stops; its rows so far are in {}", shown(folder)));
      throw;
    }
  }
  if (!summary.interrupted) {
    std::error_code ignored;  // they are no result
    fs::remove_all(folder + "/bin", ignored);
  }
  if (summary.interrupted) say("interrupted; what was measured is kept");
  if (!summary.interrupted && summary.measured == 0) say("nothing was measured");
  say(fmt::format("{} in {}", describe(summary), shown(folder)));
  fmt::print("{}\n", shown(folder));
  return summary.status();
}

}  // namespace

void add_run(CLI::App& app, int& status) {
  auto arguments = std::make_shared<RunArguments>();
  CLI::App* command = app.add_subcommand("run", "Measure sweeps: rows, plan and machine go into a new folder");
  command->add_option("SWEEP", arguments->sweeps, "A sweep's name (noisefloor list sweeps) or the path of a .toml file")
      ->required();
  command
      ->add_option("--set", arguments->sets,
                   "Every cell takes each of these values in this axis, whatever the sweep says: --set workers=1,all. "
                   "May be repeated for other axes")
      ->type_name("AXIS=V1,V2")
      ->allow_extra_args(false);
  command->add_option("--rounds", arguments->rounds, "Passes over all cells, instead of what the sweep says")
      ->type_name("N")
      ->check(CLI::Range(1, 100000));
  command->add_option("--seed", arguments->seed, "Of order, padding and noise; a new one is drawn if none is given")
      ->type_name("S");
  command
      ->add_option("--out", arguments->out,
                   "Parent of the run's folder; default: results/runs in the source tree, else the current folder")
      ->type_name("DIR");
  command
      ->add_option("--filter", arguments->filter,
                   "Only cells in whose text (see --dry-run) this ECMAScript regex is found")
      ->type_name("REGEX");
  command
      ->add_option("--progress", arguments->progress,
                   "auto: a bar on a terminal, plain lines elsewhere or where CI is set or TERM=dumb; bar; plain; none")
      ->type_name("STYLE");
  command
      ->add_option(
          "--head", arguments->head,
          "With --base: arm head is this program, which need only speak the launch protocol, instead of this one")
      ->type_name("BIN");
  command
      ->add_option("--base", arguments->base,
                   "Another build of this program: it takes turns with this one in every round, as arm base")
      ->type_name("BIN");
  command->add_flag("--control", arguments->control, "A byte copy of --base takes turns too, as arm base2");
  command->add_flag("--yes", arguments->yes, fmt::format("Run more than {} cells", kMostCells));
  command->add_flag("--dry-run", arguments->dry_run, "Print the cells, measure nothing");
  command->callback([arguments, &status] { status = static_cast<int>(run(*arguments)); });
}

}  // namespace noisefloor
