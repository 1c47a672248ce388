// What a shell may offer for the last word of a command line, from what the subcommands say of themselves.
// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "harness/commands/command.hpp"

namespace noisefloor {
namespace {

/// A line: the offer, a tab, what it is. The first clause of a help text: shells have one short line each.
void offer(std::string_view text, std::string_view begun, std::string_view help) {
  if (text.starts_with(begun)) fmt::print("{}\t{}\n", text, help.substr(0, help.find_first_of(".;:(\n\t")));
}

void offer_values(const Argument& argument, std::string_view begun, const std::string& before = {}) {
  if (!argument.rules.choices.names) return;
  for (const std::string& name : argument.rules.choices.names())
    offer(before + name, begun, argument.rules.choices.kind);
}

const Argument* find_option(const Command& command, std::string_view name) {
  const auto found = std::find_if(command.arguments.begin(), command.arguments.end(),
                                  [&](const Argument& one) { return one.name == name && !one.is_positional(); });
  return found == command.arguments.end() ? nullptr : &*found;
}

/// A word of a command line: may be empty.
struct Word {
  std::string text;
};

void parse_value(std::string_view text, Word& word) { word.text = text; }

struct Arguments {
  std::vector<Word> words;
};

ExitStatus complete(const Arguments& arguments) {
  Command command{.name = {}, .commands = subcommands()};
  const Argument* pending = nullptr;  // an option whose value comes next
  std::size_t positionals = 0;
  bool options_end = false;
  std::vector<std::string> words;
  for (const Word& word : arguments.words) {
    if (word.text != "=") words.push_back(word.text);  // bash splits --kernel=auto into three
  }
  const std::string last = words.empty() ? std::string() : words.back();
  for (std::size_t i = 0; i + 1 < words.size(); ++i) {
    const std::string& word = words[i];
    if (pending != nullptr) {
      pending = nullptr;
    } else if (!options_end && word == "--") {
      options_end = true;
    } else if (!options_end && word.starts_with("-")) {
      const Argument* option = find_option(command, word);
      if (option != nullptr && !option->is_flag()) pending = option;
    } else if (!command.commands.empty()) {
      const auto next = std::find_if(command.commands.begin(), command.commands.end(),
                                     [&](const Command& one) { return one.name == word; });
      if (next == command.commands.end()) return ExitStatus::done;
      const Command below = *next;
      command = below;
    } else {
      ++positionals;
    }
  }
  if (pending != nullptr) {
    offer_values(*pending, last);
    return ExitStatus::done;
  }
  if (!options_end && last.starts_with("-")) {
    if (const std::size_t equals = last.find('='); equals != std::string::npos) {
      const Argument* option = find_option(command, last.substr(0, equals));
      if (option != nullptr) offer_values(*option, last, last.substr(0, equals + 1));
      return ExitStatus::done;
    }
    for (const Argument& argument : command.arguments) {
      if (!argument.is_positional()) offer(argument.name, last, argument.help);
    }
    offer("--help", last, "Print this help");
    return ExitStatus::done;
  }
  for (const Command& one : command.commands) {
    if (!one.is_hidden) offer(one.name, last, one.help);
  }
  std::size_t at = 0;
  for (const Argument& argument : command.arguments) {
    if (argument.is_positional() && (at++ == positionals || argument.is_many)) {
      offer_values(argument, last);
      break;
    }
  }
  return ExitStatus::done;
}

}  // namespace

Command complete_command() {
  return {.name = "complete",
          .help =
              "What may stand for the last of the words behind the program's name, each on a line with what it is "
              "behind a tab. For shells (noisefloor completion).",
          .examples = {"noisefloor complete -- run --bud"},
          .arguments = {{"WORD", &Arguments::words, "Words of a command line, the last perhaps empty"}},
          .action = Action(complete),
          .is_hidden = true};
}

}  // namespace noisefloor
