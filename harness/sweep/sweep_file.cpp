// Reads sweep files with toml++, and says with file, line and column what is wrong in them.
// SPDX-License-Identifier: MIT
#include "harness/sweep/sweep_file.hpp"

#include <fmt/format.h>
#include <toml++/toml.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <span>
#include <system_error>
#include <unordered_set>
#include <utility>

#include "harness/base/error.hpp"
#include "harness/base/limits.hpp"
#include "harness/base/names.hpp"
#include "harness/strategies/strategy.hpp"
#include "harness/sweep/budget.hpp"
#include "harness/workloads/table.hpp"
#include "harness/workloads/user_inputs.hpp"

namespace noisefloor {
namespace {

namespace fs = std::filesystem;

constexpr int kMostRounds = 100'000;
constexpr int kMostRepetitions = 10'000;

/// What a message points at.
class Place {
 public:
  Place(const std::string& path, const toml::source_region& region) : path_(path), region_(region) {}

  [[noreturn]] void fail(const std::string& message) const {
    throw UsageError(fmt::format("{}:{}:{}: {}", path_, region_.begin.line, region_.begin.column, message));
  }

 private:
  const std::string& path_;
  const toml::source_region& region_;
};

std::vector<std::string_view> settable_axes() {
  std::vector<std::string_view> names;
  for (const Axis& axis : axes()) {
    if (axis.settable) names.push_back(axis.name);
  }
  return names;
}

/// Whether an axis counts something: its default is a number.
bool is_number(const Axis& axis) {
  const std::string text = axis.get(Cell{});
  return !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
}

/// The value as axis.set() takes it: "all" workers become their number. Throws UsageError.
std::string resolve_value(const Axis& axis, const std::string& value) {
  std::string resolved = axis.name == "workers" && value == "all" ? std::to_string(available_workers()) : value;
  Cell scratch;
  axis.set(scratch, resolved);
  return resolved;
}

/// One value of an axis, as text.
std::string axis_value(const toml::node& node, const Axis& axis, const std::string& path) {
  const Place place(path, node.source());
  std::string text;
  if (const auto* number = node.as_integer()) {
    if (!is_number(axis)) place.fail(fmt::format("{} takes texts, not the number {}", axis.name, number->get()));
    text = std::to_string(number->get());
  } else if (const auto* words = node.as_string()) {
    const bool has_all = axis.name == "workers" || axis.name == "tasks";
    if (is_number(axis) && !(has_all && words->get() == "all")) {
      place.fail(fmt::format("{} takes numbers{}, not the text \"{}\"", axis.name, has_all ? " or \"all\"" : "",
                             words->get()));
    }
    text = words->get();
  } else {
    std::string kind(toml::impl::node_type_friendly_names[static_cast<std::size_t>(node.type())]);
    place.fail(fmt::format("{} takes {}, not a value of type {}", axis.name,
                           is_number(axis) ? "whole numbers" : "texts", kind));
  }
  try {
    return resolve_value(axis, text);
  } catch (const UsageError& error) {
    place.fail(error.what());
  }
}

std::string text_of(const toml::node& node, std::string_view key, const std::string& path) {
  if (const auto* text = node.as_string()) return text->get();
  Place(path, node.source()).fail(fmt::format("{} must be a text in quotes", key));
}

/// The value of an axis of words: a text as a person types it, or an array of words.
std::string words_value(const toml::node& node, const Axis& axis, const std::string& path) {
  const Place place(path, node.source());
  std::vector<std::string> words;
  if (const auto* array = node.as_array()) {
    for (const toml::node& element : *array) {
      if (!element.is_string()) place.fail(fmt::format("{} takes texts, or an array of words", axis.name));
      words.push_back(element.as_string()->get());
    }
  }
  try {
    return resolve_value(axis, node.is_array() ? join_words(words) : text_of(node, axis.name, path));
  } catch (const UsageError& error) {
    place.fail(error.what());
  }
}

/// The values that `node` gives to an axis: one, or those of an array. Of an axis of words, an array of texts is one.
AxisValues axis_values(const toml::node& node, const Axis& axis, const std::string& path) {
  AxisValues result{&axis, {}};
  const auto* array = node.as_array();
  if (axis.words) {
    const bool several = array != nullptr && !array->empty() && array->is_homogeneous(toml::node_type::array);
    if (!several) return {&axis, {words_value(node, axis, path)}};
    for (const toml::node& element : *array) result.values.push_back(words_value(element, axis, path));
    return result;
  }
  if (array == nullptr) {
    result.values.push_back(axis_value(node, axis, path));
    return result;
  }
  if (array->empty()) Place(path, node.source()).fail(fmt::format("{} has no values: the array is empty", axis.name));
  std::vector<const toml::node*> seen;
  for (const toml::node& element : *array) {
    std::string value = axis_value(element, axis, path);
    const auto same = [&](const toml::node* other) {
      if (element.is_string() != other->is_string()) return false;
      return element.is_string() ? *element.as_string() == *other->as_string()
                                 : *element.as_integer() == *other->as_integer();
    };
    if (std::any_of(seen.begin(), seen.end(), same)) {
      Place(path, element.source()).fail(fmt::format("{} holds {} twice", axis.name, value));
    }
    seen.push_back(&element);
    // "all" and its number may both be written: on some machine they are the same.
    if (std::find(result.values.begin(), result.values.end(), value) == result.values.end()) {
      result.values.push_back(std::move(value));
    }
  }
  return result;
}

const Axis& axis_of_key(const toml::key& key, const std::string& path, std::span<const std::string_view> other_keys) {
  for (const Axis& axis : axes()) {
    if (axis.settable && axis.name == key.str()) return axis;
  }
  std::vector<std::string_view> choices(other_keys.begin(), other_keys.end());
  for (const std::string_view name : settable_axes()) choices.push_back(name);
  Place(path, key.source()).fail(unknown_name("axis", key.str(), choices));
}

int count_of(const toml::node& node, std::string_view key, int least, int most, const std::string& path) {
  const auto* number = node.as_integer();
  if (number == nullptr || number->get() < least || number->get() > most) {
    Place(path, node.source()).fail(fmt::format("{} must be a whole number from {} to {}", key, least, most));
  }
  return static_cast<int>(number->get());
}

void put(std::vector<AxisValues>& list, AxisValues values) {
  const auto same = std::find_if(list.begin(), list.end(), [&](const auto& one) { return one.axis == values.axis; });
  if (same != list.end()) {
    *same = std::move(values);
  } else {
    list.push_back(std::move(values));
  }
  std::sort(list.begin(), list.end(), [](const auto& a, const auto& b) { return a.axis < b.axis; });
}

bool good_name(std::string_view name) {
  constexpr std::string_view kAllowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
  return !name.empty() && name.find_first_not_of(kAllowed) == std::string_view::npos;
}

void read_group(const toml::table& table, const std::vector<AxisValues>& base, SweepFile& sweep, bool only_group) {
  constexpr std::string_view kKeys[] = {"name", "question", "sees"};
  std::string name;
  std::string question;
  std::optional<double> sees;
  SweepBlock block{base};
  for (const auto& [key, node] : table) {
    if (key == "name") {
      name = text_of(node, "name", sweep.path);
      if (!good_name(name)) {
        Place(sweep.path, node.source())
            .fail(fmt::format("the group's name \"{}\" must be made of letters, digits, '_' and '-'", name));
      }
    } else if (key == "question") {
      question = text_of(node, "question", sweep.path);
    } else if (key == "sees") {
      sees = node.value<double>();
      if (!node.is_number() || !sees || !(*sees > 0 && *sees < 1)) {
        Place(sweep.path, node.source()).fail("sees must be a fraction between 0 and 1, such as 0.03 for 3%");
      }
    } else {
      const Axis& axis = axis_of_key(key, sweep.path, kKeys);
      put(block.axes, axis_values(node, axis, sweep.path));
    }
  }
  if (name.empty() && !only_group) {
    Place(sweep.path, table.source()).fail("this group needs a name: the file has several");
  }
  const auto same =
      std::find_if(sweep.groups.begin(), sweep.groups.end(), [&](const auto& g) { return g.name == name; });
  SweepGroup& group = same != sweep.groups.end()
                          ? *same
                          : sweep.groups.emplace_back(SweepGroup{.name = name, .question = {}, .blocks = {}});
  if (!question.empty()) {
    if (!group.question.empty() && group.question != question) {
      Place(sweep.path, table.source()).fail(fmt::format("group \"{}\" asks two different questions", name));
    }
    group.question = std::move(question);
  }
  if (sees) {
    if (group.sees && *group.sees != *sees) {
      Place(sweep.path, table.source()).fail(fmt::format("group \"{}\" is meant to see two different changes", name));
    }
    group.sees = sees;
  }
  group.blocks.push_back(std::move(block));
}

void expand(const SweepBlock& block, std::size_t depth, Cell& cell, std::unordered_set<std::string>& seen,
            std::vector<Cell>& result) {
  if (depth == block.axes.size()) {
    const Cell applicable = normalised(cell);
    if (seen.insert(format_cell(applicable)).second) result.push_back(applicable);
    return;
  }
  for (const std::string& value : block.axes[depth].values) {
    block.axes[depth].axis->set(cell, value);
    expand(block, depth + 1, cell, seen, result);
  }
}

}  // namespace

SweepFile parse_sweep(std::string_view text, const std::string& path) {
  toml::table table;
  try {
    table = toml::parse(text, path);
  } catch (const toml::parse_error& error) {
    Place(path, error.source()).fail(std::string(error.description()));
  }
  SweepFile sweep;
  sweep.path = path;
  sweep.name = fs::path(path).stem().string();
  if (!good_name(sweep.name)) {
    throw UsageError(
        fmt::format("{}: the file's name must be made of letters, digits, '_' and '-': it names the sweep", path));
  }
  std::vector<AxisValues> base;
  const toml::array* groups = nullptr;
  for (const auto& [key, node] : table) {
    if (key == "question") {
      sweep.question = text_of(node, "question", path);
    } else if (key == "rounds") {
      sweep.rounds = count_of(node, "rounds", 1, kMostRounds, path);
    } else if (key == "repetitions") {
      sweep.repetitions = count_of(node, "repetitions", 1, kMostRepetitions, path);
    } else if (key == "warmups") {
      sweep.warmups = count_of(node, "warmups", 0, kMostRepetitions, path);
    } else if (key == "budget") {
      try {
        sweep.budget = parse_duration(text_of(node, "budget", path));
      } catch (const UsageError& error) {
        Place(path, node.source()).fail(error.what());
      }
    } else if (key == "base") {
      if (!node.is_table()) Place(path, key.source()).fail("base must be a table: [base]");
      for (const auto& [axis_key, value] : *node.as_table()) {
        const Axis& axis = axis_of_key(axis_key, path, {});
        if (value.is_array() && !axis.words) {
          Place(path, value.source())
              .fail(fmt::format("{} in [base] takes one value; arrays belong into a [[group]]", axis.name));
        }
        put(base, axis_values(value, axis, path));
      }
    } else if (key == "group") {
      groups = node.as_array();
      if (groups == nullptr || !groups->is_homogeneous<toml::table>()) {
        Place(path, key.source()).fail("group must be an array of tables: [[group]]");
      }
    } else {
      constexpr std::string_view kKeys[] = {"question", "rounds", "repetitions", "warmups", "budget", "base", "group"};
      Place(path, key.source()).fail(unknown_name("key", key.str(), kKeys));
    }
  }
  if (groups == nullptr) throw UsageError(fmt::format("{}: no [[group]]: the sweep has no cells", path));
  for (const toml::node& node : *groups) read_group(*node.as_table(), base, sweep, groups->size() == 1);
  return sweep;
}

SweepFile read_sweep(const std::string& path) {
  std::error_code ignored;
  if (fs::is_directory(path, ignored)) throw UsageError(fmt::format("cannot read sweep file {}: it is a folder", path));
  std::ifstream file(path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  if (!file) throw UsageError(fmt::format("cannot read sweep file {}: {}", path, std::strerror(errno)));
  return parse_sweep(text, path);
}

std::uint64_t count_points(const SweepFile& sweep) noexcept {
  constexpr std::uint64_t kMost = std::numeric_limits<std::uint64_t>::max();
  std::uint64_t sum = 0;
  for (const SweepGroup& group : sweep.groups) {
    for (const SweepBlock& block : group.blocks) {
      std::uint64_t product = 1;
      for (const AxisValues& axis : block.axes) {
        if (__builtin_mul_overflow(product, axis.values.size(), &product)) return kMost;
      }
      if (__builtin_add_overflow(sum, product, &sum)) return kMost;
    }
  }
  return sum;
}

std::vector<Cell> cells(const SweepFile& sweep) {
  std::vector<Cell> result;
  for (const SweepGroup& group : sweep.groups) {
    std::unordered_set<std::string> seen;
    for (const SweepBlock& block : group.blocks) {
      Cell cell;
      cell.sweep = group.name.empty() ? sweep.name : sweep.name + "." + group.name;
      expand(block, 0, cell, seen, result);
    }
  }
  return result;
}

AxisValues parse_axis_values(std::string_view text) {
  const std::size_t equals = text.find('=');
  if (equals == std::string_view::npos) {
    throw UsageError(fmt::format("--set {}: expected axis=value[,value…], as in --set workers=1,all", text));
  }
  AxisValues result{&select_axis(text.substr(0, equals)), {}};
  std::vector<std::string> seen;
  for (std::size_t from = equals + 1; from <= text.size();) {
    const std::size_t comma = std::min(text.find(',', from), text.size());
    const std::string value(text.substr(from, comma - from));
    if (value.empty()) throw UsageError(fmt::format("--set {}: a value is missing", text));
    if (std::find(seen.begin(), seen.end(), value) != seen.end()) {
      throw UsageError(fmt::format("--set {}: {} is there twice", text, value));
    }
    seen.push_back(value);
    std::string resolved;
    try {
      resolved = resolve_value(*result.axis, value);
    } catch (const UsageError& error) {
      throw UsageError(fmt::format("--set {}: {}", text, error.what()));
    }
    if (std::find(result.values.begin(), result.values.end(), resolved) == result.values.end()) {
      result.values.push_back(std::move(resolved));
    }
    from = comma + 1;
  }
  return result;
}

void replace_axis(SweepFile& sweep, const AxisValues& values) {
  for (SweepGroup& group : sweep.groups) {
    for (SweepBlock& block : group.blocks) put(block.axes, values);
  }
}

namespace {

/// "all" of `tasks`, and the fractions of them that `values` are of their largest.
std::vector<std::string> fractions(const std::vector<std::string>& values, std::uint32_t tasks) {
  std::vector<double> numbers;
  numbers.reserve(values.size());
  for (const std::string& value : values) numbers.push_back(std::strtod(value.c_str(), nullptr));  // 0: all
  const double largest = std::max(1.0, *std::max_element(numbers.begin(), numbers.end()));
  std::vector<std::string> result;
  for (const double number : numbers) {
    const double share = number == 0 ? 1 : number / largest;
    const std::string count = std::to_string(std::max<long long>(1, std::llround(tasks * share)));
    if (std::find(result.begin(), result.end(), count) == result.end()) result.push_back(count);
  }
  return result;
}

void replace_work(SweepBlock& block, const Cell& work) {
  const auto keeps = [&](const AxisValues& axis) {  // etl and copy both run over the user's files
    return axis.axis->name == "workload" && work.work.library.empty() && work.work.command.empty() &&
           std::all_of(axis.values.begin(), axis.values.end(),
                       [](const std::string& name) { return select_workload(name).takes == "inputs"; });
  };
  const bool may_keep = std::any_of(block.axes.begin(), block.axes.end(), keeps);
  const std::string all = select_axis("tasks").get(work);
  AxisValues tasks{&select_axis("tasks"), {all}};
  for (const AxisValues& axis : block.axes) {
    const bool size = axis.axis->name == "task_size" && work.task_size == 0;
    if ((size || axis.axis == tasks.axis) && axis.values.size() > 1) tasks.values = fractions(axis.values, work.tasks);
  }
  std::erase_if(block.axes, [&](const AxisValues& axis) {
    constexpr std::string_view kOwn[] = {"kernel", "format", "output_mode"};
    const bool meant = select_workload(work.workload).uses_files && axis.axis->name != "format";
    return (std::find(std::begin(kOwn), std::end(kOwn), axis.axis->name) != std::end(kOwn) && !meant) ||
           (axis.axis->name == "task_size" && work.task_size == 0);
  });
  for (AxisValues& axis : block.axes) {
    if (axis.axis->name != "strategy") continue;
    std::erase_if(axis.values, [&](const std::string& name) {
      const Strategy& strategy = find_by_name(strategies(), name, "strategy");
      return strategy.start == Start::reference &&
             (!knows(strategy.reference, work.workload) || work.workload == "etl");
    });
  }
  for (const Axis& axis : axes()) {
    constexpr std::string_view kWork[] = {"workload", "work", "library", "command", "inputs", "unchecked"};
    if (std::find(std::begin(kWork), std::end(kWork), axis.name) == std::end(kWork)) continue;
    if (axis.name == "workload" && may_keep) continue;
    if (const std::string value = axis.get(work); !value.empty()) put(block.axes, {&axis, {value}});
  }
  put(block.axes, std::move(tasks));
}

}  // namespace

void replace_work(SweepFile& sweep, const Cell& work) {
  const auto names = [](const SweepBlock& block, std::string_view name) {
    return std::any_of(block.axes.begin(), block.axes.end(),
                       [&](const AxisValues& axis) { return axis.axis->name == name; });
  };
  for (SweepGroup& group : sweep.groups) {
    std::erase_if(group.blocks, [&](const SweepBlock& block) { return names(block, "pitfall"); });
    for (SweepBlock& block : group.blocks) replace_work(block, work);
    std::erase_if(group.blocks, [](const SweepBlock& block) {
      return std::any_of(block.axes.begin(), block.axes.end(), [](const auto& axis) { return axis.values.empty(); });
    });
  }
  std::erase_if(sweep.groups, [](const SweepGroup& group) { return group.blocks.empty(); });
  if (sweep.groups.empty()) {
    throw UsageError(
        fmt::format("sweep {} has nothing but work of its own: give another one for {}", sweep.name, work.work.name));
  }
}

std::string source_tree(const std::string& folder) {
  const auto is_top = [](const fs::path& path) {
    std::error_code ignored;
    return fs::is_directory(path / "benchmarks" / "sweeps", ignored) &&
           fs::is_regular_file(path / "harness" / "sweep" / "sweep_file.cpp", ignored);
  };
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  if (!error) {
    const fs::path top = program.parent_path().parent_path().parent_path();
    if (is_top(top)) return top.string();
  }
  if (folder.empty()) return {};
  for (fs::path path = fs::weakly_canonical(folder, error); !path.empty(); path = path.parent_path()) {
    if (is_top(path)) return path.string();
    if (path == path.parent_path()) break;
  }
  return {};
}

std::vector<std::string> sweep_folders() {
  std::vector<std::string> folders;
  if (const char* given = std::getenv("NOISEFLOOR_SWEEPS"); given != nullptr && *given != '\0')
    folders.emplace_back(given);
  if (const std::string top = source_tree(); !top.empty()) folders.push_back(top + "/benchmarks/sweeps");
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  if (!error) folders.push_back((program.parent_path().parent_path() / "share" / "noisefloor" / "sweeps").string());
  return folders;
}

std::vector<SweepEntry> list_sweeps(const std::vector<std::string>& folders) {
  std::vector<SweepEntry> entries;
  for (const std::string& folder : folders) {
    std::error_code error;
    for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
      const fs::path& path = it->path();
      if (path.extension() != ".toml") continue;
      SweepEntry entry{path.stem().string(), {}, {}, path.string()};
      const auto same = [&](const auto& other) { return other.name == entry.name; };
      if (std::any_of(entries.begin(), entries.end(), same)) continue;
      try {
        entry.help = read_sweep(entry.path).question;
      } catch (const Error& wrong) {
        entry.unavailable = wrong.what();
      }
      entries.push_back(std::move(entry));
    }
  }
  std::sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  return entries;
}

std::string find_sweep(std::string_view name, const std::vector<std::string>& folders) {
  if (name.ends_with(".toml")) return std::string(name);
  // Not through list_sweeps(): a name is a name, whatever is wrong in other files.
  std::vector<std::string> names;
  for (const std::string& folder : folders) {
    std::error_code error;
    for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
      if (it->path().extension() != ".toml") continue;
      if (it->path().stem() == name) return it->path().string();
      names.push_back(it->path().stem().string());
    }
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  if (names.empty()) {
    throw UsageError(fmt::format("unknown sweep '{}': no sweeps in {}; give the path of a .toml file", name,
                                 fmt::join(folders, ", ")));
  }
  const std::vector<std::string_view> choices(names.begin(), names.end());
  throw_unknown("sweep", name, choices);
}

}  // namespace noisefloor
