// Completion scripts: stubs that ask the program what fits, so that a script outlives additions to the program.
// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <array>
#include <string>
#include <string_view>

#include "harness/base/names.hpp"
#include "harness/commands/command.hpp"

namespace noisefloor {
namespace {

struct Shell {
  std::string_view name;
  std::string_view stub;
};
// Where the program offers nothing, a file is meant.
constexpr std::array<Shell, 3> kShells{{
    {"bash", R"(# bash completion of noisefloor: noisefloor completion bash
_noisefloor() {
  local offer
  COMPREPLY=()
  while IFS=$'\t' read -r offer _; do COMPREPLY+=("$offer"); done < <(
    "${COMP_WORDS[0]}" complete -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -o bashdefault -o default -F _noisefloor noisefloor
)"},
    {"zsh", R"(#compdef noisefloor
# zsh completion of noisefloor: noisefloor completion zsh
_noisefloor() {
  local -a offers
  local line
  while IFS= read -r line; do
    offers+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}")
  done < <("${words[1]}" complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)
  if (( $#offers )); then _describe -V noisefloor offers; else _files; fi
}
if [[ $funcstack[1] == _noisefloor ]]; then _noisefloor "$@"; else compdef _noisefloor noisefloor; fi
)"},
    {"fish", R"(# fish completion of noisefloor: noisefloor completion fish
function __noisefloor_offers
  set -l words (commandline -opc)
  set -l offers ($words[1] complete -- $words[2..-1] (commandline -ct) 2>/dev/null)
  if set -q offers[1]; printf '%s\n' $offers; else; __fish_complete_path (commandline -ct); end
end
complete -c noisefloor -f -a '(__noisefloor_offers)'
)"},
}};

struct Arguments {
  std::string shell;
};

ExitStatus print(const Arguments& arguments) {
  fmt::print("{}", find_by_name(kShells, arguments.shell, "shell").stub);
  return ExitStatus::done;
}

}  // namespace

Command completion_command() {
  return {.name = "completion",
          .help = "Print a completion script: source it, or install it",
          .examples = {"source <(noisefloor completion bash)"},
          .arguments = {{"SHELL",
                         &Arguments::shell,
                         "bash, zsh or fish",
                         {.choices = rows_of("shell", kShells), .required = true}}},
          .action = Action(print)};
}

}  // namespace noisefloor
