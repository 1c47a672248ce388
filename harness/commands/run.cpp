// Runs sweeps: plan, folder, engine, and what the user sees of it.
// SPDX-License-Identifier: MIT
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <random>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "benchmarks/pitfalls/table.hpp"
#include "harness/audio/signals.hpp"
#include "harness/base/error.hpp"
#include "harness/base/names.hpp"
#include "harness/base/say.hpp"
#include "harness/base/unique_fd.hpp"
#include "harness/commands/command.hpp"
#include "harness/commands/pitfall.hpp"
#include "harness/measure/machine.hpp"
#include "harness/measure/probes.hpp"
#include "harness/measure/start.hpp"
#include "harness/strategies/strategy.hpp"
#include "harness/sweep/attempts.hpp"
#include "harness/sweep/benchmark_json.hpp"
#include "harness/sweep/budget.hpp"
#include "harness/sweep/engine.hpp"
#include "harness/sweep/estimate.hpp"
#include "harness/sweep/launcher.hpp"
#include "harness/sweep/observations.hpp"
#include "harness/sweep/plan.hpp"
#include "harness/sweep/progress.hpp"
#include "harness/sweep/quiet.hpp"
#include "harness/sweep/run_folder.hpp"
#include "harness/sweep/sweep_file.hpp"
#include "harness/workloads/command.hpp"
#include "harness/workloads/table.hpp"
#include "harness/workloads/user_inputs.hpp"
#include "noisefloor_version.hpp"

namespace noisefloor {
namespace {

namespace fs = std::filesystem;

/// What --budget says.
struct BudgetGiven {
  std::optional<std::chrono::nanoseconds> time;  ///< empty: none
};

void parse_value(std::string_view text, BudgetGiven& budget) {
  if (text != "none") budget.time = parse_duration(text);
}

struct RunArguments {
  std::vector<std::string> sweeps;
  std::vector<std::string> sets;
  std::optional<int> rounds;
  std::optional<std::uint64_t> seed;
  std::string out;
  std::string library;
  std::string own_command;
  std::vector<std::string> inputs;
  std::string work;
  bool shell = false;
  bool unchecked = false;
  std::string filter;
  std::string progress = "auto";
  std::string head;
  std::string base;
  bool control = false;
  std::string resume;
  std::optional<BudgetGiven> budget;
  std::optional<std::chrono::nanoseconds> wait_quiet;
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

/// For the launches that tell how long one task takes, before an estimate.
constexpr std::chrono::seconds kRatesPatience{10};

/// Where runs go.
std::string parent_of(const RunArguments& arguments) {
  return arguments.out.empty() ? default_parent(fs::current_path().string()) : arguments.out;
}

void print_plan(const Plan& plan, const RunArguments& arguments) {
  for (const PlannedCell& planned : plan.cells) fmt::print("{}\n", format_cell(planned.cell));
  const auto earlier = newest_plan(parent_of(arguments), machine_id(machine_facts(cache_folder_if_any())), pitfalls());
  Rates rates;
  if (earlier) rates.learn(earlier->plan);
  const Interrupt interrupt;
  ProcessLauncher launcher(own_program(), interrupt.fd());
  rates.measure(plan, launcher, real_clock(), kRatesPatience);
  const Estimate expected = estimate(plan, earlier ? &earlier->plan : nullptr, rates);
  say(fmt::format("{} cells, {} launches in {} rounds, seed {}", plan.cells.size(), count_launches(plan),
                  count_rounds(plan), plan.seed));
  const auto skipped = static_cast<std::uint64_t>(std::count_if(
      plan.cells.begin(), plan.cells.end(), [](const PlannedCell& planned) { return !planned.status.empty(); }));
  std::string known;
  const std::pair<std::uint64_t, std::string> kinds[] = {
      {expected.known_cells, fmt::format("as in {}", earlier ? earlier->facts.at("run_id") : std::string())},
      {expected.rated_cells, "from their tasks, of which one of a kind was timed just now or in an earlier run"},
      {plan.cells.size() - skipped - expected.known_cells - expected.rated_cells,
       fmt::format("at {} ms a launch, for want of anything better", kUnknownLaunch.count())},
      {skipped, "impossible, and skipped"}};
  for (const auto& [count, how] : kinds) {
    if (count != 0) known += fmt::format("{}{} cells {}", known.empty() ? "" : ", ", count, how);
  }
  const bool too_long = plan.budget && expected.time > *plan.budget;
  say(fmt::format("about {}: {}", format_duration(too_long ? *plan.budget : expected.time), known));
  if (plan.budget) {
    say(fmt::format("the budget of {} cuts rounds where they take longer, to no fewer than {}, then cells{}",
                    format_duration(*plan.budget), kLeastRounds,
                    too_long ? fmt::format("; all of it would take about {}", format_duration(expected.time)) : ""));
  }
  const std::string cache = cache_folder_if_any();
  say(fmt::format("disk: about {}{}{}; memory: about {}", format_size(expected.disk_bytes),
                  cache.empty() ? "" : " under ", cache, format_size(expected.memory_bytes)));
}

std::string describe(const RunSummary& summary) {
  std::string text = fmt::format("launches measured: {}, observations: {}", summary.measured, summary.observations);
  const std::pair<std::uint64_t, std::string_view> others[] = {{summary.skipped, "cells skipped"},
                                                               {summary.failed, "launches failed"},
                                                               {summary.wrong_output, "launches with wrong output"},
                                                               {summary.timeout, "launches timed out"},
                                                               {summary.failed_base, "launches of base failed"},
                                                               {summary.again, "measured again"}};
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

/// Takes the name that says "a run measures on this machine"; it is free again when the descriptor is closed,
/// however the process ends. Says so where another run has it: two at once measure each other, and nothing in
/// their rows would tell. An abstract socket: no file is left, and all users of the network name space see the same
/// one (a container with a network of its own is not seen).
UniqueFd claim_machine() {
  constexpr std::string_view kName = "noisefloor: a run measures";
  UniqueFd claim(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!claim) return claim;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  kName.copy(address.sun_path + 1, kName.size());
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + kName.size());
  if (::bind(claim.get(), reinterpret_cast<const sockaddr*>(&address), size) != 0 && errno == EADDRINUSE) {
    say("warning: another noisefloor run is measuring on this machine: both get wrong times; run one after the other");
  }
  return claim;
}

/// A sweep's strategy that cannot run here is a skipped row; one that is asked for by name ends the call.
void refuse_missing(const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    const std::string missing = missing_here(find_by_name(strategies(), name, "strategy"));
    if (!missing.empty()) throw MissingError(fmt::format("strategy {} cannot run here: {}", name, missing));
  }
}

/// Of --seed: a plan's file has signed numbers.
constexpr auto kMostSeed = std::numeric_limits<std::int64_t>::max();

/// A run: new, or taken up where it ended.
struct Session {
  std::string folder;
  RunIdentity identity;
  Plan plan;
  std::vector<std::pair<std::string, std::string>> head;  ///< of plan.json
  std::string machine_json;
  std::unique_ptr<ObservationFile> rows;
  RunOptions options;
  nlohmann::json before = {};  ///< what was seen of the machine
  bool complete = false;       ///< nothing is left to launch
};

/// Looks at the machine before anything is measured, waits until it is quiet if that is asked for, and says what is
/// doubtful: what disturbance.json holds as `before`. A short run is not made much longer: it looks for a tenth of the
/// time that its launches take at least.
nlohmann::json look_around(const Plan& plan, nlohmann::json facts, std::chrono::nanoseconds patience) {
  constexpr std::chrono::milliseconds kLongLook{2000}, kShortLook{100};
  const auto tenth = std::chrono::milliseconds(count_launches(plan) * kUnknownLaunch.count() / 10);
  const auto time = patience > patience.zero() ? kLongLook : std::clamp(tenth, kShortLook, kLongLook);
  bool said = false;
  const Waited waited = wait_until_quiet([&] { return look(time); }, patience, real_clock(),
                                         [&](const MachineUse& seen) {
                                           if (!std::exchange(said, true))
                                             say(fmt::format("waiting: {}", describe(seen)));
                                           return !Interrupt::requested();
                                         });
  if (Interrupt::requested()) throw Error("interrupted", ExitStatus::interrupted);
  nlohmann::json before = facts["use"] = facts_of(waited.last);
  std::vector<std::string> doubtful;
  std::vector<std::string> standing;
  for (Doubt& doubt : doubts(facts)) {
    if (doubt.of == Doubt::Of::run) say(fmt::format("doubtful: {}", doubt.text));
    (doubt.of == Doubt::Of::run ? doubtful : standing).push_back(std::move(doubt.text));
  }
  if (!standing.empty()) {
    say(fmt::format("{} thing{} about this machine make{} every time here doubtful: noisefloor doctor tells them",
                    standing.size(), standing.size() == 1 ? "" : "s", standing.size() == 1 ? "s" : ""));
  }
  if (!waited.quiet) {
    say(fmt::format("{}: what is measured now may describe the busy machine{}", describe(waited.last),
                    patience > patience.zero() ? ", --wait-quiet has waited in vain"
                                               : "; --wait-quiet TIME waits until that ends"));
  }
  before["waited_seconds"] = std::chrono::duration<double>(waited.time).count();
  before["quiet"] = waited.quiet;
  before["doubts"] = doubtful;
  before["standing_doubts"] = standing;
  return before;
}

/// What the user is told of a run's disturbance; empty if there was hardly any.
std::string describe(const RunDisturbance& seen) {
  std::string text = seen.sentence();
  if (seen.disturbed() == 0) return text;
  return fmt::format(
      "{}{}{} launch{} wanted and did not get more than {:.0f}% of their time, because of others: "
      "disturbance.json has it",
      text, text.empty() ? "" : "\n", seen.disturbed(), seen.disturbed() == 1 ? "" : "es", 100 * kLaunchLimit);
}

std::string text_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

/// Measures, and says what came of it.
ExitStatus measure(Session& session, ProcessLauncher& launcher, ProgressStyle style, const ProgressPlace& place) {
  const std::string& folder = session.folder;
  const UniqueFd claim = session.complete ? UniqueFd() : claim_machine();
  session.options.changed = [&](const Plan& plan) {
    replace_file(folder + "/plan.json", format_plan(plan, session.head));
  };
  std::string disturbance;
  std::set<std::uint64_t> not_counted;
  session.options.disturbed = [&](const RunDisturbance& seen) {
    not_counted = seen.not_counted();
    nlohmann::json told = seen.facts();
    told["before"] = session.before;
    replace_file(folder + "/disturbance.json",
                 told.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + '\n');
    disturbance = describe(seen);
  };
  RunSummary summary;
  {
    Progress progress(stderr, style, place, real_clock());
    try {
      summary = run_plan(session.plan, session.identity, launcher, *session.rows, progress, session.options);
      for (const Arm& arm : session.plan.arms) {
        write_benchmark_json(
            folder + "/observations.csv", arm.name, session.machine_json,
            arm.name == "head" ? folder + "/benchmark.json" : fmt::format("{}/benchmark-{}.json", folder, arm.name),
            not_counted);
      }
    } catch (const Error&) {
      progress.clear();
      say(fmt::format("the run stops; its rows so far are in {}", shown(folder)));
      throw;
    }
  }
  if (summary.interrupted) {
    say(fmt::format("interrupted; what was measured is kept: noisefloor run --resume {} goes on", shown(folder)));
  } else {
    // Told before the arms' copies go, which are no result: whoever takes up a run that is complete needs none.
    if (session.plan.arms.size() > 1 && !session.complete) {
      session.head.emplace_back("complete", "yes");
      session.options.changed(session.plan);
    }
    std::error_code ignored;
    fs::remove_all(folder + "/bin", ignored);
    if (summary.measured == 0) say("nothing was measured");
  }
  if (!disturbance.empty()) say(disturbance);
  say(fmt::format("{} in {}", describe(summary), shown(folder)));
  fmt::print("{}\n", shown(folder));
  return summary.status();
}

/// How long --wait-quiet waits; 0 without it.
std::chrono::nanoseconds patience_of(const RunArguments& arguments) {
  return arguments.wait_quiet.value_or(std::chrono::nanoseconds(0));
}

/// Time for all of the run: that of --budget, else `given`.
std::optional<std::chrono::nanoseconds> budget_of(const RunArguments& arguments,
                                                  std::optional<std::chrono::nanoseconds> given) {
  return arguments.budget ? arguments.budget->time : given;
}

/// The session of the run in `folder`, ready to go on. Throws UsageError where this program or this machine may
/// not continue it.
Session take_up(const std::string& folder, ProcessLauncher& launcher) {
  Session session;
  session.folder = fs::absolute(folder).lexically_normal().string();
  if (session.folder.ends_with('/')) session.folder.pop_back();
  std::error_code error;
  session.folder = fs::canonical(session.folder, error).string();
  if (error) throw UsageError(fmt::format("--resume {}: {}", folder, error.message()));
  const std::string path = plan_path(session.folder);
  if (path.empty()) {
    throw UsageError(
        fmt::format("--resume {}: no plan.json in it: it is not the folder of a run, or the run was "
                    "killed before it had a plan; start a new one",
                    folder));
  }
  PlanFile file = read_plan(path, pitfalls());
  const auto fact = [&](const char* name) {
    const auto found = file.facts.find(name);
    if (found == file.facts.end()) throw UsageError(fmt::format("{}: {} is missing", path, name));
    return found->second;
  };
  if (const std::string made_by = fact("build_id"); made_by != build_id()) {
    throw UsageError(
        fmt::format("--resume {}: the run was made by build {} (commit {}), this is build {} (commit {}): "
                    "its times may not be mixed with those. Run {} or start a new run",
                    folder, made_by, fact("git_sha"), build_id(), kGitSha, fact("program")));
  }
  const nlohmann::json facts = machine_facts(cache_folder_if_any());
  session.machine_json = text_of(session.folder + "/machine.json");
  const auto before = nlohmann::json::parse(session.machine_json, nullptr, false);
  if (const std::string made_on = fact("machine_id"); made_on != machine_id(facts)) {
    throw UsageError(
        fmt::format("--resume {}: the run was made on machine {}, this is {}{}: their times may not be "
                    "mixed. Start a new run",
                    folder, made_on, machine_id(facts), describe_differences(before, facts)));
  }
  if (const std::string differences = describe_differences(before, facts); !differences.empty()) {
    throw UsageError(
        fmt::format("--resume {}: the run was made in another environment{}: rows of one cell would differ. Set it as "
                    "it was or start a new run",
                    folder, differences));
  }
  session.plan = std::move(file.plan);
  for (const PlannedCell& planned : session.plan.cells) {
    if (const std::string changed = changed_work(planned.cell); !changed.empty()) {
      throw UsageError(fmt::format("--resume {}: {}: their times may not be mixed. Start a new run", folder, changed));
    }
  }
  for (const char* name : {"run_id", "machine_id", "build_id", "git_sha", "program"}) {
    session.head.emplace_back(name, fact(name));
  }
  session.identity = {fact("run_id"), fact("machine_id")};
  session.complete = file.facts.count("complete") != 0;
  if (session.complete) {
    session.head.emplace_back("complete", "yes");
  } else if (session.plan.arms.size() > 1) {
    for (const Arm& arm : session.plan.arms) {
      const Arm now = greet(launcher, arm.name, arm.program);
      if (now.build_id != arm.build_id) {
        throw UsageError(fmt::format("--resume {}: {} is build {} by now, the run had {}: start a new run", folder,
                                     arm.program, now.build_id, arm.build_id));
      }
    }
  } else {
    session.plan.arms.front().program = own_program();
  }
  std::map<std::string, int> repetitions;
  for (const PlannedCell& planned : session.plan.cells) repetitions[cell_id(planned.cell)] = planned.repetitions;
  const std::string csv = session.folder + "/observations.csv";
  if (!fs::exists(csv, error)) {
    session.rows = std::make_unique<ObservationFile>(csv);
  } else {
    auto taken = ObservationFile::take_up(csv, [&](std::span<const Row> launch) {
      if (launch.size() == 1 && launch.front()["repetition"].empty()) return true;
      const auto due = repetitions.find(launch.front()["cell_id"]);
      return due == repetitions.end() || launch.size() == static_cast<std::size_t>(due->second);
    });
    session.rows = std::move(taken.file);
    session.options.earlier = std::move(taken.launches);
    if (taken.removed_bytes != 0) {
      say(fmt::format("{}: the last launch was cut off: its {} bytes are removed, and it is made again", shown(csv),
                      taken.removed_bytes));
    }
  }
  if (!session.machine_json.empty()) {
    try {
      const auto whole = nlohmann::json::parse(session.machine_json);
      static_cast<void>(whole);
    } catch (const nlohmann::json::parse_error& wrong) {
      throw UsageError(fmt::format("--resume {}: machine.json: {}", folder, wrong.what()));
    }
  } else {  // killed before it was written
    session.machine_json = facts.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + '\n';
    replace_file(session.folder + "/machine.json", session.machine_json);
  }
  say(fmt::format("{}: {} launches are there already", shown(session.folder), session.options.earlier.size()));
  return session;
}

ExitStatus resume(const RunArguments& arguments) {
  const ProgressPlace place = progress_place(stderr);
  const ProgressStyle style = choose_style(arguments.progress, place);
  const Interrupt interrupt;
  ProcessLauncher launcher(own_program(), interrupt.fd());
  const std::chrono::nanoseconds patience = patience_of(arguments);
  Session session = take_up(arguments.resume, launcher);
  Plan& plan = session.plan;
  plan.budget = budget_of(arguments, plan.budget);
  if (session.complete) plan.budget.reset();  // nothing may be launched any more
  if (plan.budget) {
    say(fmt::format("budget {}: {} of it is spent", format_duration(*plan.budget), format_duration(plan.spent)));
  }
  if (!session.complete) session.before = look_around(plan, nlohmann::json::parse(session.machine_json), patience);
  point_latest_to(session.folder);
  return measure(session, launcher, style, place);
}

/// The user's work, resolved; empty if none is given.
std::optional<Cell> work_of(const RunArguments& arguments) {
  const std::size_t equals = arguments.work.find('=');
  std::string library = arguments.library;
  std::string command = arguments.own_command;
  if (equals != std::string::npos) {
    const std::string what = arguments.work.substr(equals + 1);
    if (!library.empty() || !command.empty()) {
      throw UsageError(fmt::format("--work {} says what it is, and so does {}: give it once", arguments.work,
                                   library.empty() ? "--command" : "--library"));
    }
    (what.ends_with(".so") ? library : command) = what;
  }
  if (!library.empty() && !command.empty()) throw UsageError("--library and --command are two works: give one of them");
  if (arguments.shell && command.empty()) throw UsageError("--shell is for --command: give one");
  if (!command.empty() && arguments.inputs.empty()) {
    throw UsageError(fmt::format("--command '{}' runs over files: add --inputs DIR, files, a glob or @LIST", command));
  }
  if (library.empty() && arguments.inputs.empty()) {
    constexpr std::string_view kGive = "give --library FILE.so, --command 'WORDS {}' or --inputs DIR";
    if (!arguments.work.empty()) {
      throw UsageError(fmt::format("--work {} names your own work, and none is given: {}", arguments.work, kGive));
    }
    if (arguments.unchecked) throw UsageError(fmt::format("--unchecked is for your own work: {}", kGive));
    return std::nullopt;
  }
  Cell cell;
  const auto set = [&](std::string_view axis, const std::string& value) { select_axis(axis).set(cell, value); };
  set("library", library);
  set("command", arguments.shell ? shell_command(command) : command);
  set("inputs", join_words(arguments.inputs));
  set("work", arguments.work.substr(0, equals));
  if (arguments.unchecked) set("unchecked", "yes");
  return resolved(cell);
}

Plan plan_of(const RunArguments& arguments) {
  PlanOptions options;
  for (const std::string& text : arguments.sets) {
    options.sets.push_back(parse_axis_values(text));
    if (options.sets.back().axis->name == "strategy") refuse_missing(options.sets.back().values);
  }
  options.work = work_of(arguments);
  options.filter = arguments.filter;
  options.rounds = arguments.rounds;
  options.many_cells = arguments.yes;
  options.pitfalls = pitfalls();
  options.seed = arguments.seed.value_or(std::random_device{}());
  std::vector<SweepFile> sweeps;
  for (const std::string& name : arguments.sweeps) {
    sweeps.push_back(read_sweep(find_sweep(name)));
    sweeps.back().path = fs::absolute(sweeps.back().path).lexically_normal().string();
  }
  Plan plan = make_plan(std::move(sweeps), options);
  plan.command = command_line();
  if (!arguments.base.empty()) {
    plan.arms.push_back({.name = "base"});
    if (arguments.control) plan.arms.push_back({.name = "base2"});
  }
  return plan;
}

ExitStatus run(const RunArguments& arguments) {
  if (arguments.resume.empty() && arguments.sweeps.empty()) {
    throw UsageError("give a SWEEP (noisefloor list sweeps), or --resume DIR");
  }
  if (!arguments.resume.empty()) return resume(arguments);
  const ProgressPlace place = progress_place(stderr);
  const ProgressStyle style = choose_style(arguments.progress, place);
  Session session;
  session.plan = plan_of(arguments);
  Plan& plan = session.plan;
  plan.budget = budget_of(arguments, plan.budget);
  const std::chrono::nanoseconds patience = patience_of(arguments);
  if (arguments.dry_run) {
    print_plan(plan, arguments);
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

  const nlohmann::json facts = machine_facts(cache_folder_if_any());
  session.before = look_around(plan, facts, patience);
  session.identity.machine_id = machine_id(facts);
  const auto now = std::chrono::system_clock::now();
  session.folder = make_run_folder(parent_of(arguments), run_name(now, kGitSha, session.identity.machine_id));
  session.identity.run_id = fs::path(session.folder).filename().string();
  if (plan.arms.size() > 1) copy_arms(plan, session.folder);
  session.head = {{"run_id", session.identity.run_id},
                  {"machine_id", session.identity.machine_id},
                  {"build_id", build_id()},
                  {"git_sha", kGitSha},
                  {"program", program}};
  replace_file(session.folder + "/plan.json", format_plan(plan, session.head));
  // Names of files and hosts may hold anything: JSON takes UTF-8 only.
  session.machine_json = facts.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + '\n';
  replace_file(session.folder + "/machine.json", session.machine_json);
  if (std::any_of(plan.cells.begin(), plan.cells.end(), [](const auto& one) { return !one.cell.pitfall.empty(); })) {
    replace_file(session.folder + "/pitfalls.json", pitfall_facts().dump(2) + '\n');
  }
  session.rows = std::make_unique<ObservationFile>(session.folder + "/observations.csv");
  point_latest_to(session.folder);
  return measure(session, launcher, style, place);
}

}  // namespace

Command run_command() {
  Command command{
      .name = "run",
      .help = "Measure sweeps: rows, plan and machine go into a new folder",
      .examples = {"noisefloor run quick --budget 3m"},
      .arguments =
          {{"SWEEP",
            &RunArguments::sweeps,
            "A sweep's name (noisefloor list sweeps) or the path of a .toml file",
            {.choices = {"sweep",
                         [] {
                           std::vector<std::string> names;
                           for (const SweepEntry& sweep : list_sweeps()) names.push_back(sweep.name);
                           return names;
                         },
                         true}}},
           {"--set",
            &RunArguments::sets,
            "Every cell takes each of these values in this axis, whatever the sweep says: --set workers=1,all",
            {.value = "AXIS=V1,V2"}},
           {"--library",
            &RunArguments::library,
            "Your own function instead of what the sweeps do: a shared library built on <noisefloor/work.h>",
            {.value = "FILE.so"}},
           {"--command",
            &RunArguments::own_command,
            "Your own command instead of what the sweeps do. In a word, {} becomes one of the inputs; the word {...} "
            "becomes as many as chunk_size says; {out} becomes a folder for files that it writes",
            {.value = "WORDS"}},
           {"--shell", &RunArguments::shell, "--command is for sh -c, with {} and {...} as \"$1\" and \"$@\""},
           {"--inputs",
            &RunArguments::inputs,
            "Files of --command; without one, sound files of your own for etl and copy: a folder, files, a glob or "
            "@LIST, a file with one on each line",
            {.value = "PATH"}},
           {"--work",
            &RunArguments::work,
            "What your own work is called in rows and figures; default: the name of its file",
            {.value = "NAME[=FILE.so|WORDS]"}},
           {"--unchecked", &RunArguments::unchecked, "The output of your own work differs from run to run"},
           {"--rounds",
            &RunArguments::rounds,
            "Passes over all cells, instead of what the sweep says",
            {.least = 1, .most = 100000}},
           {"--seed",
            &RunArguments::seed,
            "Of order, padding and noise; a new one is drawn if none is given",
            {.most = kMostSeed}},
           {"--out",
            &RunArguments::out,
            "Parent of the run's folder; default: results/runs in the source tree, else the current folder",
            {.value = "DIR"}},
           {"--filter",
            &RunArguments::filter,
            "Only cells in whose text (see --dry-run) this ECMAScript regex is found",
            {.value = "REGEX"}},
           {"--progress",
            &RunArguments::progress,
            "auto: a bar on a terminal, plain lines elsewhere or where CI is set or TERM=dumb",
            {.choices = words("progress", {"auto", "bar", "plain", "none"})}},
           {"--head",
            &RunArguments::head,
            "Arm head is this program, which need only speak the launch protocol, instead of this one",
            {.value = "BIN", .needs = {"--base"}}},
           {"--base",
            &RunArguments::base,
            "Another build of this program: it takes turns with this one in every round, as arm base",
            {.value = "BIN"}},
           {"--control",
            &RunArguments::control,
            "A byte copy of --base takes turns too, as arm base2",
            {.needs = {"--base"}}},
           {"--budget",
            &RunArguments::budget,
            fmt::format(
                "Time for all of it, such as 90s, 3m or 1h, or none; default: the sweep's own, unless --rounds is "
                "given. Rounds are cut evenly, to no fewer than {}; where those do not fit, cells are left out, "
                "reference programs first. With --resume: instead of what it was, time that is spent already "
                "counts",
                kLeastRounds),
            {.value = "TIME"}},
           {"--wait-quiet", &RunArguments::wait_quiet,
            fmt::format("Wait so long at most, such as 10m, until others take no more than {:.0f}% of the CPUs",
                        100 * kBusyShare)},
           {"--resume",
            &RunArguments::resume,
            "Go on with the run in this folder, by the same program on the same machine",
            {.value = "DIR"}},
           {"--yes", &RunArguments::yes, fmt::format("Run more than {} cells", kMostCells)},
           {"--dry-run", &RunArguments::dry_run,
            "Print the cells and about how long they take; no more is launched than one small task of each kind"}},
      .action = Action(run)};
  // A run goes on as it began: only what does not change it may be given again.
  std::vector<std::string> others;
  for (const Argument& one : command.arguments) {
    if (one.name != "--resume" && one.name != "--wait-quiet" && one.name != "--progress" && one.name != "--budget")
      others.push_back(one.name);
  }
  for (Argument& one : command.arguments) {
    if (one.name == "--resume") one.rules.excludes = others;
  }
  return command;
}

}  // namespace noisefloor
