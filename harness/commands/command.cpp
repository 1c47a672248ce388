// Understands command lines and prints help, both from what subcommands say of themselves. The one unit with CLI11,
// which splits the words; what they mean is decided here.
// SPDX-License-Identifier: MIT
#include "harness/commands/command.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <exception>
#include <map>
#include <stdexcept>

#include "harness/base/names.hpp"
#include "harness/base/say.hpp"
#include "harness/sweep/budget.hpp"

namespace noisefloor {
namespace parsing {
namespace {

/// "from 1 to 100000", "from 0", or empty.
std::string range(std::optional<long double> least, std::optional<long double> most) {
  std::string text;
  if (least) text += fmt::format(" from {}", *least);
  if (most) text += fmt::format("{} {}", least ? " to" : ", at most", *most);
  return text;
}

}  // namespace

std::uint64_t whole_number(std::string_view text, const Rules& rules, std::uint64_t most) {
  const auto least = static_cast<std::uint64_t>(rules.least.value_or(0));
  if (rules.most) most = std::min(most, static_cast<std::uint64_t>(*rules.most));
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < least || value > most) {
    throw UsageError(fmt::format("it must be a whole number from {} to {}, in digits alone", least, most));
  }
  return value;
}

double number(std::string_view text, const Rules& rules) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value) ||
      value < rules.least.value_or(value) || value > rules.most.value_or(value)) {
    throw UsageError(fmt::format("it must be a number{}", range(rules.least, rules.most)));
  }
  return value;
}

std::chrono::nanoseconds duration(std::string_view text) { return parse_duration(text); }

std::string word(std::string_view text) {
  if (text.empty()) throw UsageError("it is empty: leave it out, or give a value");
  return std::string(text);
}

std::string shown(std::uint64_t value) { return fmt::to_string(value); }
std::string shown(double value) { return fmt::format("{:g}", value); }

}  // namespace parsing

namespace {

// --- Help ---

constexpr std::size_t kColumns = 100;
constexpr std::size_t kHelpColumn = 30;

/// `text` in lines that begin at column `indent`, but the first, which begins at `at`.
std::string wrapped(std::string_view text, std::size_t indent, std::size_t at) {
  std::string result;
  std::size_t column = at;
  while (!text.empty()) {
    const std::size_t blank = std::min(text.find(' '), text.size());
    const bool is_first = column == indent;
    if (!is_first && column + 1 + blank > kColumns) {
      result += fmt::format("\n{:{}}", "", indent);
      column = indent;
    } else if (!is_first) {
      result += ' ';
      ++column;
    }
    result += text.substr(0, blank);
    column += blank;
    text.remove_prefix(std::min(blank + 1, text.size()));
  }
  return result;
}

void print_entry(const std::string& name, std::string_view help) {
  std::string line = fmt::format("  {:<{}}", name, kHelpColumn - 2);
  if (line.size() > kHelpColumn || line.back() != ' ') line += fmt::format("\n{:{}}", "", kHelpColumn);
  fmt::print("{}{}\n", line, wrapped(help, kHelpColumn, kHelpColumn));
}

/// The name of an argument's value: as the row says, else its words if they are few, else their kind.
std::string value_name(const Argument& argument) {
  const Choices& choices = argument.rules.choices;
  if (!argument.rules.value.empty() || !choices.names) return argument.value;
  constexpr std::size_t kFew = 4;
  const std::vector<std::string> names = choices.names();
  if (!choices.open && names.size() <= kFew) return fmt::format("{}", fmt::join(names, "|"));
  std::string name = choices.kind;
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return name;
}

/// "--seed N", "--resume".
std::string shown_name(const Argument& argument) {
  return argument.is_positional() || argument.is_flag() ? argument.name : argument.name + " " + value_name(argument);
}

std::string notes(const Argument& argument) {
  const Rules& rules = argument.rules;
  std::vector<std::string> notes;
  if (rules.required && !argument.is_positional()) notes.emplace_back("required");
  if (!argument.shown_default.empty()) notes.push_back(fmt::format("default: {}", argument.shown_default));
  if (argument.is_many && !argument.is_positional()) notes.emplace_back("may be given again");
  if (!rules.needs.empty()) notes.push_back(fmt::format("requires {}", fmt::join(rules.needs, ", ")));
  return notes.empty() ? "" : fmt::format(" [{}]", fmt::join(notes, "; "));
}

std::string first_sentence(const std::string& text) { return text.substr(0, text.find(". ")); }

/// `path`: the program's name and those of the subcommands that lead to the command.
void print_help(const Command& command, const std::string& path) {
  fmt::print("{}\n\n", wrapped(command.help, 0, 0));
  const bool is_program = command.examples.size() > 1;
  fmt::print("{}", is_program ? "Examples:\n" : "Example: ");
  for (const std::string& example : command.examples) fmt::print("{}{}\n", is_program ? "  " : "", example);
  std::string usage = fmt::format("Usage: {} [OPTIONS]", path);
  for (const Argument& argument : command.arguments) {
    if (!argument.is_positional()) continue;
    const std::string name = argument.name + (argument.is_many ? "..." : "");
    usage += argument.rules.required ? " " + name : " [" + name + "]";
  }
  fmt::print("\n{}{}\n", usage, command.commands.empty() ? "" : " COMMAND");
  for (const bool is_positional : {true, false}) {
    bool is_first = true;
    for (const Argument& argument : command.arguments) {
      if (argument.is_positional() != is_positional) continue;
      if (std::exchange(is_first, false)) fmt::print("\n{}:\n", is_positional ? "Positionals" : "Options");
      print_entry(shown_name(argument), argument.help + notes(argument));
    }
    if (is_positional) continue;
    if (is_first) fmt::print("\nOptions:\n");
    print_entry("-h, --help", "Print this help");
    if (path.find(' ') == std::string::npos) print_entry("--version", "Print version, compiler and kernels");
  }
  if (command.commands.empty()) return;
  fmt::print("\nCommands:\n");
  for (const Command& one : command.commands) {
    if (!one.is_hidden) print_entry(one.name, first_sentence(one.help));
  }
  fmt::print("\n`{} COMMAND --help` says more of each.\n", path);
}

// --- Understanding ---

/// A command and what CLI11 made of it.
struct Node {
  const Command* command;
  CLI::App* app;
  std::vector<std::pair<const Argument*, CLI::Option*>> options{};
  std::vector<Node> below{};
};

Node declare(const Command& command, CLI::App& app) {
  Node node{&command, &app};
  app.set_help_flag("-h,--help");
  for (const Argument& argument : command.arguments) {
    if (command.action.of() != argument.of) {
      throw std::logic_error(fmt::format("{} {} sets a member of other values", command.name, argument.name));
    }
    CLI::Option* option = nullptr;
    if (argument.is_flag()) {
      option = app.add_flag(argument.name)->disable_flag_override();
    } else {
      option = app.add_option(argument.name, [](const CLI::results_t&) { return true; });
      option->expected(argument.is_positional() && argument.is_many ? -1 : 1)
          ->allow_extra_args(option->get_positional() && argument.is_many);
    }
    option->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    node.options.emplace_back(&argument, option);
  }
  for (const Command& one : command.commands) node.below.push_back(declare(one, *app.add_subcommand(one.name)));
  return node;
}

/// The command that was chosen, as far as words name one.
const Node& chosen(const Node& top, std::string& path) {
  const Node* node = &top;
  path = top.command->name;
  for (;;) {
    const auto next =
        std::find_if(node->below.begin(), node->below.end(), [](const Node& one) { return one.app->parsed(); });
    if (next == node->below.end()) return *node;
    node = &*next;
    path += ' ' + node->command->name;
  }
}

/// What is said of a word that nothing takes.
std::string explain_extra(const Node& node, const std::string& path, const std::string& extra) {
  const Command& command = *node.command;
  std::vector<std::string_view> names;
  if (extra.size() > 1 && extra.starts_with('-')) {
    const std::string name = extra.substr(0, extra.find('='));
    for (const Argument& argument : command.arguments) {
      if (!argument.is_positional()) names.push_back(argument.name);
    }
    names.emplace_back("--help");
    const std::string_view nearest = nearest_name(name, names);
    return fmt::format("unknown option '{}': {}", name,
                       nearest.empty() ? fmt::format("{} --help lists those that there are", path)
                                       : fmt::format("did you mean '{}'?", nearest));
  }
  for (const Command& one : command.commands) {
    if (!one.is_hidden) names.push_back(one.name);
  }
  if (names.empty()) return fmt::format("unexpected argument '{}': see {} --help", extra, path);
  return unknown_name("command", extra, names);
}

bool is_given(const Node& node, std::string_view name) {
  return std::any_of(node.options.begin(), node.options.end(),
                     [&](const auto& one) { return one.first->name == name && one.second->count() > 0; });
}

/// Throws UsageError where arguments lack what they need or contradict each other.
void check_together(const Node& node) {
  for (const auto& [argument, option] : node.options) {
    const Rules& rules = argument->rules;
    if (option->count() == 0) {
      if (!rules.required) continue;
      throw UsageError(fmt::format("{} is required: {}", argument->name, node.command->examples.front()));
    }
    for (const std::string& other : rules.needs) {
      if (is_given(node, other)) continue;
      const auto needed = std::find_if(node.options.begin(), node.options.end(),
                                       [&](const auto& one) { return one.first->name == other; });
      throw UsageError(fmt::format("{} requires {}: add it", argument->name, shown_name(*needed->first)));
    }
    for (const std::string& other : rules.excludes) {
      if (is_given(node, other)) {
        throw UsageError(fmt::format("{} and {} exclude each other: leave one out", argument->name, other));
      }
    }
  }
}

void check_choice(const std::string& text, const Choices& choices) {
  if (!choices.names || choices.open) return;
  const std::vector<std::string> names = choices.names();
  if (std::find(names.begin(), names.end(), text) != names.end()) return;
  throw_unknown(choices.kind, text, std::vector<std::string_view>(names.begin(), names.end()));
}

/// Sets the values. Throws UsageError for the first that is not what its argument takes.
void set_values(const Node& node, void* values) {
  for (const auto& [argument, option] : node.options) {
    if (option->count() == 0) continue;
    if (argument->is_flag()) {
      argument->store(values, {}, argument->rules);
      continue;
    }
    const CLI::results_t& texts = option->results();
    if (!argument->is_many && texts.size() > 1) {
      throw UsageError(fmt::format("{} is given {} times: once is enough", argument->name, texts.size()));
    }
    for (const std::string& text : texts) {
      check_choice(text, argument->rules.choices);
      try {
        argument->store(values, text, argument->rules);
      } catch (const UsageError& error) {
        const bool is_plain = !text.empty() && text.find_first_of(" \t\n") == std::string::npos;
        const std::string shown = is_plain ? printable(text) : fmt::format("'{}'", printable(text));
        throw UsageError(fmt::format("{} {}: {}", argument->name, shown, error.what()));
      }
    }
  }
}

}  // namespace

Choices words(std::string kind, std::vector<std::string> names) {
  return {std::move(kind), [names = std::move(names)] { return names; }};
}

std::vector<std::string> words_of(int argc, char** argv) { return {argv + std::min(argc, 1), argv + argc}; }

Call parse(const Command& program, const std::string& version, const std::vector<std::string>& words) {
  CLI::App app;
  app.set_version_flag("--version", version);
  const Node top = declare(program, app);
  std::string path;
  try {
    app.parse(std::vector<std::string>(words.rbegin(), words.rend()));
  } catch (const CLI::CallForHelp&) {
    const Command& command = *chosen(top, path).command;
    return [command, path] {
      print_help(command, path);
      return ExitStatus::done;
    };
  } catch (const CLI::CallForVersion&) {
    return [version] {
      fmt::print("{}\n", version);
      return ExitStatus::done;
    };
  } catch (const CLI::ExtrasError&) {
    const Node& node = chosen(top, path);
    throw UsageError(explain_extra(node, path, app.remaining(true).front()));
  } catch (const CLI::ArgumentMismatch& error) {
    const std::string_view what = error.what();
    const std::string_view name = what.substr(0, what.find(':'));
    throw UsageError(fmt::format("{} requires a value: see {} --help", name, (chosen(top, path), path)));
  } catch (const CLI::ParseError& error) {
    throw UsageError(fmt::format("{} ({} --help says more)", error.what(), (chosen(top, path), path)));
  }
  const Node& node = chosen(top, path);
  const Command& command = *node.command;
  if (!command.action) {
    return [command, path] {
      print_help(command, path);
      return ExitStatus::usage;
    };
  }
  const std::shared_ptr<void> values = command.action.values();
  set_values(node, values.get());
  check_together(node);
  return [action = command.action, values] { return action(values.get()); };
}

int exit_status(std::string_view program, const std::function<ExitStatus()>& run) noexcept {
  const auto tell = [&](const char* what) noexcept {
    std::fprintf(stderr, "%.*s: %s\n", static_cast<int>(program.size()), program.data(), what);
  };
  ExitStatus status = ExitStatus::failed;
  try {
    status = run();
  } catch (const Error& error) {
    tell(error.what());
    status = error.status();
  } catch (const std::exception& error) {
    tell(error.what());
  }
  // What was printed may wait in a buffer for a disk that is full.
  if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) {
    tell((std::string("what was printed is not whole: standard output: ") + std::strerror(errno)).c_str());
    if (status == ExitStatus::done) status = ExitStatus::failed;
  }
  return static_cast<int>(status);
}

}  // namespace noisefloor
