// Prints completion scripts for bash, zsh and fish, made from the program's own commands and options.
// SPDX-License-Identifier: MIT
#include "harness/commands/completion.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "harness/base/names.hpp"

namespace noisefloor {
namespace {

/// Where the values of an option come from: a table of `noisefloor list`, asked when the user presses the key, so that
/// a script outlives additions to the tables; or fixed words. Options that are not here take names of files.
struct Source {
  std::string_view option;  ///< an option, or a command and its positional
  std::string_view table;
  std::string_view words;
};
constexpr std::array<Source, 7> kSources{{
    {"--strategy", "strategies", ""},
    {"--kernel", "kernels", "auto"},
    {"--progress", "", "auto bar plain none"},
    {"run SWEEP", "sweeps", ""},
    {"pitfall NAME", "pitfalls", ""},
    {"list table", "", "strategies deliveries kernels workloads pitfalls sweeps axes columns"},
    {"completion SHELL", "", "bash zsh fish"},
}};

struct Argument {
  std::vector<std::string> names;  ///< with dashes; empty for a positional
  std::string help;
  bool takes_value = false;
  const Source* source = nullptr;
};

struct Command {
  std::string name, help;
  std::vector<Argument> arguments;
};

/// The first clause of a help text: lists of completions have one short line each.
std::string brief(std::string_view help) {
  const std::size_t end = help.find_first_of(".;:(\n");
  help = help.substr(0, end);
  while (!help.empty() && help.back() == ' ') help.remove_suffix(1);
  return std::string(help);
}

const Source* source_of(std::string_view name) {
  const auto* const found =
      std::find_if(kSources.begin(), kSources.end(), [&](const Source& one) { return one.option == name; });
  return found == kSources.end() ? nullptr : found;
}

Command described(const CLI::App& app) {
  Command command{app.get_name(), brief(app.get_description()), {}};
  for (const CLI::Option* option : app.get_options()) {
    Argument argument;
    argument.help = brief(option->get_description());
    argument.takes_value = option->get_items_expected_max() > 0;
    for (const std::string& name : option->get_snames()) argument.names.push_back("-" + name);
    for (const std::string& name : option->get_lnames()) {
      argument.names.push_back("--" + name);
      if (argument.source == nullptr) argument.source = source_of("--" + name);
    }
    if (argument.names.empty()) argument.source = source_of(fmt::format("{} {}", command.name, option->get_name(true)));
    command.arguments.push_back(std::move(argument));
  }
  return command;
}

/// What a shell runs or takes for the values of `source`; `names` is the function or command that asks for a table.
std::string values(const Source& source, std::string_view names) {
  if (source.table.empty()) return std::string(source.words);
  return fmt::format("{}{}$({} {})", source.words, source.words.empty() ? "" : " ", names, source.table);
}

std::string replaced(std::string_view text, std::string_view from, std::string_view to) {
  std::string result;
  for (std::size_t at = 0; at < text.size();) {
    if (text.substr(at).starts_with(from)) {
      result += to;
      at += from.size();
    } else {
      result += text[at++];
    }
  }
  return result;
}

/// For bash and zsh, within single quotes.
std::string quoted(const std::string& text) { return "'" + replaced(text, "'", R"('\'')") + "'"; }
/// For fish, whose single quotes know two escapes.
std::string fish_quoted(const std::string& text) {
  return "'" + replaced(replaced(text, "\\", "\\\\"), "'", "\\'") + "'";
}

std::string joined(const std::vector<std::string>& words) { return fmt::format("{}", fmt::join(words, " ")); }

// What `noisefloor list` prints begins with two blanks and the name.
constexpr std::string_view kNames = R"(_noisefloor_names() { noisefloor list "$1" 2>/dev/null | awk '{ print $1 }'; }
)";

void print_bash(const Command& top, const std::vector<Command>& commands) {
  fmt::print("# bash completion of noisefloor: noisefloor completion bash\n{}", kNames);
  fmt::print(R"(_noisefloor() {{
  local cur=${{COMP_WORDS[COMP_CWORD]}} prev=${{COMP_WORDS[COMP_CWORD - 1]}} command='' word words=''
  for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
    if [[ $word != -* ]]; then command=$word; break; fi
  done
  COMPREPLY=()
  case "$command $prev" in
)");
  for (const Command& command : commands) {
    for (const Argument& argument : command.arguments) {
      if (argument.names.empty() || !argument.takes_value) continue;
      std::string patterns;
      for (const std::string& name : argument.names) {
        patterns += fmt::format("{}'{} {}'", patterns.empty() ? "" : " | ", command.name, name);
      }
      const std::string words = argument.source == nullptr ? "" : values(*argument.source, "_noisefloor_names");
      if (words.empty()) {
        fmt::print("    {}) return ;;\n", patterns);
      } else {
        fmt::print("    {}) mapfile -t COMPREPLY < <(compgen -W \"{}\" -- \"$cur\"); return ;;\n", patterns, words);
      }
    }
  }
  fmt::print("  esac\n  case $command in\n");
  const auto print_words = [](const Command& command, const std::vector<std::string>& others) {
    std::vector<std::string> options;
    std::string positional = joined(others);
    for (const Argument& argument : command.arguments) {
      options.insert(options.end(), argument.names.begin(), argument.names.end());
      if (argument.names.empty() && argument.source != nullptr)
        positional = values(*argument.source, "_noisefloor_names");
    }
    fmt::print("if [[ $cur == -* ]]; then words='{}'; else words=\"{}\"; fi ;;\n", joined(options), positional);
  };
  std::vector<std::string> names;
  names.reserve(commands.size());
  for (const Command& command : commands) names.push_back(command.name);
  fmt::print("    '') ");
  print_words(top, names);
  for (const Command& command : commands) {
    fmt::print("    {}) ", command.name);
    print_words(command, {});
  }
  fmt::print(R"(  esac
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}}
complete -o bashdefault -o default -F _noisefloor noisefloor
)");
}

void print_zsh(const Command& top, const std::vector<Command>& commands) {
  fmt::print("#compdef noisefloor\n# zsh completion of noisefloor: noisefloor completion zsh\n{}", kNames);
  const auto print_arguments = [](const Command& command) {
    for (const Argument& argument : command.arguments) {
      const std::string help = replaced(replaced(argument.help, "[", "\\["), "]", "\\]");
      const std::string action =
          argument.source == nullptr ? "_files" : fmt::format("({})", values(*argument.source, "_noisefloor_names"));
      if (argument.names.empty()) {
        // Expanded when it is needed, not when the script is read: the parentheses are _arguments' own.
        fmt::print(" \\\n        \"*:{}:{}\"", command.name, replaced(action, "\"", "\\\""));
        continue;
      }
      for (const std::string& name : argument.names) {
        fmt::print(" \\\n        {}", quoted(fmt::format("{}[{}]", name, help)));
        if (argument.takes_value) fmt::print("\":value:{}\"", action);
      }
    }
    fmt::print("\n");
  };
  fmt::print("_noisefloor() {{\n  if (( CURRENT == 2 )); then\n    local -a commands=(\n");
  for (const Command& command : commands) {
    fmt::print("      {}\n", quoted(fmt::format("{}:{}", command.name, command.help)));
  }
  fmt::print("    )\n    _describe command commands\n    _arguments");
  print_arguments(top);
  fmt::print("    return\n  fi\n  shift words\n  (( CURRENT-- ))\n  case $words[1] in\n");
  for (const Command& command : commands) {
    fmt::print("    {})\n      _arguments -s", command.name);
    print_arguments(command);
    fmt::print("      ;;\n");
  }
  fmt::print(
      "  esac\n}}\nif [[ $funcstack[1] == _noisefloor ]]; then _noisefloor \"$@\"; "
      "else compdef _noisefloor noisefloor; fi\n");
}

void print_fish(const Command& top, const std::vector<Command>& commands) {
  fmt::print(R"(# fish completion of noisefloor: noisefloor completion fish
function __noisefloor_names; noisefloor list $argv[1] 2>/dev/null | awk '{{ print $1 }}'; end
)");
  const auto print_options = [](const std::string& condition, const Command& command) {
    for (const Argument& argument : command.arguments) {
      std::string line = fmt::format("complete -c noisefloor -n {}", fish_quoted(condition));
      for (const std::string& name : argument.names) {
        line += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
      }
      if (argument.source != nullptr) {
        const std::string words =
            argument.source->table.empty()
                ? std::string(argument.source->words)
                : fmt::format("{} (__noisefloor_names {})", argument.source->words, argument.source->table);
        line += fmt::format(" -x -a {}", fish_quoted(words));
      } else if (argument.names.empty()) {
        continue;  // files, as without any completion
      } else if (argument.takes_value) {
        line += " -r";
      }
      fmt::print("{} -d {}\n", line, fish_quoted(argument.help));
    }
  };
  print_options("__fish_use_subcommand", top);
  for (const Command& command : commands) {
    fmt::print("complete -c noisefloor -n __fish_use_subcommand -f -a {} -d {}\n", command.name,
               fish_quoted(command.help));
    print_options("__fish_seen_subcommand_from " + command.name, command);
  }
}

struct Shell {
  std::string_view name;
  void (*print)(const Command& top, const std::vector<Command>& commands);
};
constexpr std::array<Shell, 3> kShells{{{"bash", print_bash}, {"zsh", print_zsh}, {"fish", print_fish}}};

}  // namespace

void add_completion(CLI::App& app, int& status) {
  auto* command = app.add_subcommand("completion", "Print a completion script: source it, or install it");
  const auto shell = std::make_shared<std::string>();
  command->add_option("SHELL", *shell, "bash, zsh or fish")->required();
  command->callback([shell, &app, &status] {
    const Shell& chosen = find_by_name(kShells, *shell, "shell");
    std::vector<Command> commands;
    for (const CLI::App* one : app.get_subcommands([](const CLI::App*) { return true; })) {
      commands.push_back(described(*one));
    }
    chosen.print(described(app), commands);
    status = 0;
  });
}

}  // namespace noisefloor
