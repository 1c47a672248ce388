// The axis table.
// SPDX-License-Identifier: MIT
#include "harness/measure/cell.hpp"

#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <filesystem>
#include <limits>
#include <map>
#include <utility>
#include <vector>

#include "harness/base/error.hpp"
#include "harness/base/names.hpp"
#include "harness/strategies/deliver.hpp"
#include "harness/strategies/strategy.hpp"
#include "harness/workloads/table.hpp"
#include "harness/workloads/user_inputs.hpp"

namespace noisefloor {
namespace {

template <class T>
T whole_number(std::string_view axis, std::string_view text, T least) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value < least) {
    throw UsageError(
        fmt::format("{} '{}' is not a whole number from {} to {}", axis, text, least, std::numeric_limits<T>::max()));
  }
  return value;
}

template <class Table>
std::string known_name(const Table& table, std::string_view name, std::string_view kind) {
  return std::string(find_by_name(table, name, kind).name);
}

std::string known_word(std::string_view axis, std::string_view word, std::span<const std::string_view> choices) {
  if (std::find(choices.begin(), choices.end(), word) == choices.end()) throw_unknown(axis, word, choices);
  return std::string(word);
}

constexpr std::string_view kSchedules[] = {"static", "dynamic", "guided", "auto", "simple"};
constexpr std::string_view kFormats[] = {"int16", "int32", "float32", "float64"};
constexpr std::string_view kRuntimes[] = {"libgomp", "libomp"};
constexpr std::string_view kShips[] = {"name", "samples"};
constexpr std::string_view kTransports[] = {"pipe", "socket", "shm", "shm_in_place"};
constexpr std::string_view kPools[] = {"cold", "warm"};
constexpr std::string_view kBinds[] = {"none", "close", "spread"};
constexpr std::string_view kWaitPolicies[] = {"active", "passive"};
constexpr std::string_view kOutputModes[] = {"new", "replace", "in_place"};

constexpr std::string_view kYes[] = {"yes"};

std::string work_name(std::string_view name) {
  constexpr std::string_view kAllowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.";
  if (name.find_first_not_of(kAllowed) != std::string_view::npos) {
    throw UsageError(fmt::format("work '{}' is no name: letters, digits, '_', '-' and '.'", name));
  }
  return std::string(name);
}

/// What is in `text` as a name.
std::string name_from(std::string_view text) {
  std::string name(text);
  std::replace_if(
      name.begin(), name.end(),
      [](char c) { return std::isalnum(static_cast<unsigned char>(c)) == 0 && c != '_' && c != '-' && c != '.'; }, '_');
  return name;
}

void set_library(Cell& cell, std::string_view path) {
  cell.work.library = path.empty() ? "" : std::filesystem::absolute(path).lexically_normal().string();
  if (path.empty()) return;
  cell.workload = "library";
  cell.tasks = 0;
}

void set_command(Cell& cell, std::string_view words) {
  cell.work.command = join_words(split_words(words));
  if (cell.work.command.empty()) return;
  cell.workload = "command";
  cell.tasks = 0;
}

/// Relative paths are those of the current folder.
void set_inputs(Cell& cell, std::string_view words) {
  std::vector<std::string> entries = split_words(words);
  for (std::string& entry : entries) {
    const bool list = entry.starts_with('@') && !std::filesystem::exists(entry);
    const auto path = std::filesystem::absolute(list ? entry.substr(1) : entry).lexically_normal();
    entry = (list ? "@" : "") + path.string();
  }
  cell.work.inputs = join_words(entries);
  if (!entries.empty()) cell.tasks = 0;
}

constexpr std::string_view kWorkAxes[] = {"library", "command", "inputs"};

/// Blank-separated words.
bool contains_word(std::string_view text, std::string_view word) {
  return fmt::format(" {} ", text).find(fmt::format(" {} ", word)) != std::string::npos;
}

/// What is wrong with the user's work for this workload; empty if nothing is.
std::string problem_of_work(const Cell& cell, const WorkloadRow& workload) {
  for (const std::string_view axis : kWorkAxes) {
    const std::string value = select_axis(axis).get(cell);
    if (value.empty() && contains_word(workload.needs, axis)) {
      return fmt::format("workload {} without {}: give {}=…", cell.workload, axis, axis);
    }
    if (!value.empty() && !contains_word(workload.needs, axis) && !contains_word(workload.takes, axis)) {
      return fmt::format("{} '{}' with workload {}, which has no use for it: leave it out", axis, value, cell.workload);
    }
  }
  if (cell.work.given()) return {};
  if (cell.tasks == 0) return fmt::format("tasks 'all' of workload {}: give a number", cell.workload);
  for (const std::string_view axis : {"work", "unchecked"}) {
    const std::string value = select_axis(axis).get(cell);
    if (!value.empty()) {
      return fmt::format("{} '{}' with workload {}, which is not your own: leave it out", axis, value, cell.workload);
    }
  }
  return {};
}

/// What the user's work is called if nobody says so.
std::string name_of_work(const UserWork& work) {
  const auto file = [](const std::string& path) { return std::filesystem::path(path); };
  if (!work.library.empty()) return name_from(file(work.library).stem().string());
  if (!work.command.empty()) return name_from(file(split_words(work.command).front()).filename().string());
  return name_from(file(split_words(work.inputs).front()).filename().string());
}

/// The name of a pitfall or variant. Whether there is one is asked where the table is known: it lies above.
std::string plain_name(std::string_view axis, std::string_view value) {
  if (value.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") != std::string_view::npos) {
    throw UsageError(fmt::format("{} '{}' is no name: small letters, digits and '_'", axis, value));
  }
  return std::string(value);
}

// clang-format off
constexpr std::array<Axis, 26> kAxes{{
    {"sweep", "the sweep, and its group after a dot", "",
     [](const Cell& c) { return c.sweep; }, [](Cell& c, std::string_view v) { c.sweep = v; }, false},
    {"workload", "what is done", "", [](const Cell& c) { return c.workload; },
     [](Cell& c, std::string_view v) { c.workload = known_name(workloads(), v, "workload"); }, true},
    {"work", "name of your own work, in rows and figures", "", [](const Cell& c) { return c.work.name; },
     [](Cell& c, std::string_view v) { c.work.name = work_name(v); }, true},
    {"library", "your own function: a shared library built on <noisefloor/work.h>", "",
     [](const Cell& c) { return c.work.library; }, [](Cell& c, std::string_view v) { set_library(c, v); }, true},
    {"command", "your own command: words, with {} for one input, {...} for as many as chunk_size says, {out} for a folder", "",
     [](const Cell& c) { return c.work.command; }, [](Cell& c, std::string_view v) { set_command(c, v); }, true, true},
    {"inputs", "your own files: words that are folders, files, globs or @lists", "",
     [](const Cell& c) { return c.work.inputs; }, [](Cell& c, std::string_view v) { set_inputs(c, v); }, true, true},
    {"unchecked", "yes: the output of your own work differs from run to run, and is not compared", "",
     [](const Cell& c) { return c.work.unchecked; },
     [](Cell& c, std::string_view v) { c.work.unchecked = v.empty() ? "" : known_word("unchecked", v, kYes); }, true},
    {"work_id", "identity of your own work: a hash of what is run", "", [](const Cell& c) { return c.work.id; },
     [](Cell& c, std::string_view v) { c.work.id = v; }, false},
    {"strategy", "how tasks are run", "", [](const Cell& c) { return c.strategy; },
     [](Cell& c, std::string_view v) { c.strategy = known_name(strategies(), v, "strategy"); }, true},
    {"delivery", "how results come back", "", [](const Cell& c) { return c.delivery; },
     [](Cell& c, std::string_view v) { c.delivery = known_name(deliveries(), v, "delivery"); }, true},
    {"kernel", "which code adds the noise; auto: the widest that runs here", "", [](const Cell& c) { return c.kernel; },
     [](Cell& c, std::string_view v) {
       if (v == "auto") { c.kernel = v; return; }
       std::vector<std::string_view> names{"auto"};
       for (const Kernel& k : kernels()) names.push_back(k.name);
       c.kernel = known_word("kernel", v, names);
     }, true},
    {"format", "sample format: int16 | int32 | float32 | float64", "", [](const Cell& c) { return c.format; },
     [](Cell& c, std::string_view v) { c.format = known_word("format", v, kFormats); }, true},
    {"workers", "threads, processes or ranks that run tasks", "", [](const Cell& c) { return fmt::to_string(c.workers); },
     [](Cell& c, std::string_view v) { c.workers = whole_number<int>("workers", v, 1); }, true},
    {"tasks", "tasks per iteration; of your own work the first ones, or all", "",
     [](const Cell& c) { return c.tasks == 0 ? "all" : fmt::to_string(c.tasks); },
     [](Cell& c, std::string_view v) { c.tasks = v == "all" ? 0 : whole_number<std::uint32_t>("tasks", v, 1); }, true},
    {"task_size",
     "size of one task: samples (etl, copy, noise), chain steps (spin), ns (wait), items (multiply), bytes (payload)", "",
     [](const Cell& c) { return c.task_size == 0 ? std::string() : fmt::to_string(c.task_size); },
     [](Cell& c, std::string_view v) { c.task_size = whole_number<std::uint64_t>("task_size", v, 1); }, true},
    {"task_ns", "how long one task takes alone, ns: measured sequentially once per run", "",
     [](const Cell& c) { return c.task_ns ? fmt::to_string(*c.task_ns) : std::string(); },
     [](Cell& c, std::string_view v) { c.task_ns = whole_number<std::uint64_t>("task_ns", v, 0); }, false},
    {"chunk_size", "consecutive tasks that a worker takes at a time", "",
     [](const Cell& c) { return fmt::to_string(c.chunk_size); },
     [](Cell& c, std::string_view v) { c.chunk_size = whole_number<std::uint32_t>("chunk_size", v, 1); }, true},
    {"schedule", "OpenMP's loop schedule: static | dynamic | guided | auto; oneTBB's partitioner: simple | auto | static", "", [](const Cell& c) { return c.schedule; },
     [](Cell& c, std::string_view v) { c.schedule = v.empty() ? "" : known_word("schedule", v, kSchedules); }, true},
    {"runtime", "the OpenMP runtime that answers: libgomp | libomp", "", [](const Cell& c) { return c.runtime; },
     [](Cell& c, std::string_view v) { c.runtime = v.empty() ? "" : known_word("runtime", v, kRuntimes); }, true},
    {"ship", "what crosses to a worker: name | samples", "", [](const Cell& c) { return c.ship; },
     [](Cell& c, std::string_view v) { c.ship = v.empty() ? "" : known_word("ship", v, kShips); }, true},
    {"transport", "how samples cross: pipe | socket | shm | shm_in_place", "", [](const Cell& c) { return c.transport; },
     [](Cell& c, std::string_view v) { c.transport = v.empty() ? "" : known_word("transport", v, kTransports); }, true},
    {"pool", "whether workers are made inside the clock: cold | warm", "", [](const Cell& c) { return c.pool; },
     [](Cell& c, std::string_view v) { c.pool = v.empty() ? "" : known_word("pool", v, kPools); }, true},
    {"bind", "where workers may run: none | close | spread", "", [](const Cell& c) { return c.bind; },
     [](Cell& c, std::string_view v) { c.bind = v.empty() ? "" : known_word("bind", v, kBinds); }, true},
    {"wait_policy", "OMP_WAIT_POLICY: active | passive", "", [](const Cell& c) { return c.wait_policy; },
     [](Cell& c, std::string_view v) { c.wait_policy = v.empty() ? "" : known_word("wait_policy", v, kWaitPolicies); }, true},
    {"output_mode", "new: into an empty folder; replace: published over earlier output; in_place: written into it", "",
     [](const Cell& c) { return c.output_mode; },
     [](Cell& c, std::string_view v) { c.output_mode = v.empty() ? "" : known_word("output_mode", v, kOutputModes); }, true},
    {"pitfall", "the pitfall that the cell shows, instead of a workload; in a sweep \"all\" stands for each", "",
     [](const Cell& c) { return c.pitfall; }, [](Cell& c, std::string_view v) { c.pitfall = plain_name("pitfall", v); }, true},
}};
// clang-format on

constexpr Axis kVariant{"variant",
                        "the pitfall's variant; in a sweep none stands for each",
                        "",
                        [](const Cell& c) { return c.variant; },
                        [](Cell& c, std::string_view v) { c.variant = plain_name("variant", v); },
                        true};

constexpr auto kAllAxes = [] {
  std::array<Axis, kAxes.size() + 1> all{};
  std::copy(kAxes.begin(), kAxes.end(), all.begin());
  all.back() = kVariant;
  return all;
}();

}  // namespace

std::span<const Axis> axes() noexcept { return kAllAxes; }

const Axis& select_axis(std::string_view name) {
  std::vector<std::string_view> choices;
  for (const Axis& axis : axes()) {
    if (!axis.settable) continue;
    if (axis.name == name) return axis;
    choices.push_back(axis.name);
  }
  throw_unknown("axis", name, choices);
}

void check_cell(const Cell& cell) {
  if (!cell.pitfall.empty()) {
    if (!cell.variant.empty()) return;
    throw UsageError(fmt::format("pitfall '{}' without a variant: add variant=…", cell.pitfall));
  }
  if (!cell.variant.empty()) {
    throw UsageError(fmt::format("variant '{}' without a pitfall: add pitfall=…", cell.variant));
  }
  const WorkloadRow& workload = select_workload(cell.workload);
  if (const std::string problem = problem_of_work(cell, workload); !problem.empty()) throw UsageError(problem);
  if (cell.chunk_size > cell.tasks && cell.tasks != 0) {
    throw UsageError(
        fmt::format("chunk_size {} is larger than tasks {}: one worker would do all, and the label would not say so; "
                    "take a chunk_size of at most {}",
                    cell.chunk_size, cell.tasks, cell.tasks));
  }
  if (!cell.output_mode.empty() && !workload.uses_files) {
    throw UsageError(fmt::format("output_mode '{}': workload {} writes no files; leave the axis out", cell.output_mode,
                                 cell.workload));
  }
}

Cell normalised(Cell cell) {
  if (!cell.pitfall.empty()) {  // it brings its own work and its own way to run it
    Cell own;
    own.workload = own.strategy = own.delivery = own.kernel = own.format = {};
    own.sweep = std::move(cell.sweep);
    own.workers = cell.workers;
    own.pitfall = std::move(cell.pitfall);
    own.variant = std::move(cell.variant);
    return own;
  }
  const WorkloadRow& workload = select_workload(cell.workload);
  // A reference program brings code of its own.
  const auto strategy = std::find_if(strategies().begin(), strategies().end(),
                                     [&](const Strategy& row) { return row.name == cell.strategy; });
  const bool foreign = strategy != strategies().end() && strategy->start == Start::reference;
  if (!workload.uses_kernel || foreign) cell.kernel.clear();
  if (!workload.uses_kernel && !workload.uses_files) cell.format.clear();
  if (workload.uses_files && !cell.work.inputs.empty()) cell.format.clear();
  if (workload.uses_files && cell.output_mode.empty()) cell.output_mode = "new";
  if (cell.work.given() && cell.work.name.empty()) {
    cell.work.name = name_of_work(cell.work);
  }
  return cell;
}

Cell resolved(Cell cell) {
  cell = normalised(std::move(cell));
  if (!cell.pitfall.empty()) return cell;
  const WorkloadRow& workload = select_workload(cell.workload);
  if (!cell.work.given() || (cell.tasks != 0 && !cell.work.id.empty())) return cell;
  if (const std::string problem = problem_of_work(cell, workload); !problem.empty()) throw UsageError(problem);
  static std::map<std::string, WorkFacts> known;  // to ask takes a process, or reads all inputs
  const auto key = fmt::format("{}\n{}\n{}\n{}\n{}", cell.workload, cell.work.library, cell.work.command,
                               cell.work.inputs, cell.task_size);
  auto found = known.find(key);
  if (found == known.end()) {
    found = known.emplace(key, workload.describe({.task_size = cell.task_size, .work = cell.work})).first;
  }
  const WorkFacts& facts = found->second;
  cell.work.id = facts.id;
  if (cell.tasks == 0) cell.tasks = facts.tasks;
  if (!facts.sized) cell.task_size = 0;
  if (cell.tasks > facts.tasks) {
    throw UsageError(fmt::format("tasks {}: {} has {}; give fewer, or all", cell.tasks, cell.work.name, facts.tasks));
  }
  return cell;
}

std::string changed_work(const Cell& cell) {
  if (cell.work.id.empty()) return {};
  Cell now = cell;
  now.work.id.clear();
  now = resolved(now);
  if (now.work.id == cell.work.id) return {};
  const UserWork& work = cell.work;
  return fmt::format("{} is another one by now ({}) than it was ({})",
                     !work.library.empty()   ? work.library
                     : !work.command.empty() ? work.command + " over " + work.inputs
                                             : work.inputs,
                     now.work.id, work.id);
}

namespace {

bool is_plain(char c) { return c > ' ' && c <= '~' && c != ',' && c != '%'; }

std::string escaped(std::string_view text) {
  std::string result;
  for (const char c : text) {
    if (is_plain(c)) {
      result += c;
    } else {
      result += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return result;
}

std::string unescaped(std::string_view text) {
  std::string result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    unsigned char byte = 0;
    if (text[i] != '%') {
      result += text[i];
      continue;
    }
    const char* const digits = text.data() + i + 1;
    if (i + 2 >= text.size() || std::from_chars(digits, digits + 2, byte, 16).ptr != digits + 2) {
      throw UsageError(fmt::format("'{}': a '%' is followed by two hexadecimal digits; write %25 for itself", text));
    }
    result += static_cast<char>(byte);
    i += 2;
  }
  return result;
}

}  // namespace

std::string format_cell(const Cell& cell) {
  std::string text;
  for (const Axis& axis : axes()) {
    const std::string value = axis.get(cell);
    if (value.empty()) continue;
    if (!text.empty()) text += ',';
    text += fmt::format("{}={}", axis.name, escaped(value));
  }
  return text;
}

Cell parse_cell(std::string_view text) {
  Cell cell;
  std::vector<std::string_view> seen;
  std::vector<std::pair<const Axis*, std::string>> given;
  while (!text.empty()) {
    const std::size_t comma = text.find(',');
    const std::string_view part = text.substr(0, comma);
    text = comma == std::string_view::npos ? std::string_view() : text.substr(comma + 1);
    const std::size_t equals = part.find('=');
    if (equals == std::string_view::npos) {
      throw UsageError(fmt::format("'{}' is not axis=value: write --cell workload=etl,strategy=openmp,…", part));
    }
    const std::string_view name = part.substr(0, equals);
    if (std::find(seen.begin(), seen.end(), name) != seen.end()) {
      throw UsageError(fmt::format("axis '{}' is given twice: give it once", name));
    }
    seen.push_back(name);
    const auto all = axes();
    const auto engine_axis = std::find_if(all.begin(), all.end(), [&](const Axis& a) { return a.name == name; });
    const Axis& axis = engine_axis != all.end() ? *engine_axis : select_axis(name);
    given.emplace_back(&axis, unescaped(part.substr(equals + 1)));
  }
  // In table order: a user's work says how many tasks there are, unless the cell does.
  std::sort(given.begin(), given.end());
  for (const auto& [axis, value] : given) axis->set(cell, value);
  return cell;
}

std::string cell_id(const Cell& cell) {
  Cell named = normalised(cell);
  named.task_ns.reset();
  const std::string text = format_cell(named);
  return fmt::format("{:016x}", XXH3_64bits(text.data(), text.size())).substr(0, 12);
}

}  // namespace noisefloor
