// `noisefloor init`: the few lines to begin from with one's own function or command.
// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <cerrno>
#include <filesystem>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "harness/base/error.hpp"
#include "harness/commands/command.hpp"
#include "harness/commands/examples.hpp"

namespace noisefloor {
namespace {

namespace fs = std::filesystem;

struct Arguments {
  std::string kind = "function";
  std::string folder = ".";
};

/// From where, and to where in the folder.
using Copies = std::vector<std::pair<std::string, std::string>>;

Copies copies_of(const std::string& kind) {
  const std::string from = "examples/init/" + kind + "/";
  Copies copies = {{from + "mine.toml", "mine.toml"}, {from + "Makefile", "Makefile"}};
  if (kind == "function") {
    copies.emplace_back(from + "mine.cpp", "mine.cpp");
    copies.emplace_back("include/noisefloor/work.h", "noisefloor/work.h");
  }
  return copies;
}

ExitStatus init(const Arguments& arguments) {
  const Copies copies = copies_of(arguments.kind);
  const fs::path folder = arguments.folder;
  // Nothing is written unless all can be.
  for (const auto& [from, to] : copies) {
    static_cast<void>(example_path(from));
    std::error_code error;
    if (fs::exists(fs::symlink_status(folder / to, error))) {
      throw UsageError(fmt::format("{} is there already: choose another folder, as in noisefloor init {} mine",
                                   (folder / to).string(), arguments.kind));
    }
  }
  for (const auto& [from, to] : copies) {
    std::error_code error;
    fs::create_directories((folder / to).parent_path(), error);
    if (!error) fs::copy_file(example_path(from), folder / to, error);
    if (error) throw system_error("cannot write " + (folder / to).string(), error.value());
    fmt::print("{}\n", (folder / to).lexically_normal().string());
  }
  fmt::print("next: {}make measure\n", folder == "." ? "" : fmt::format("cd {} && ", folder.string()));
  return ExitStatus::done;
}

}  // namespace

Command init_command() {
  return {.name = "init",
          .help = "Write what one begins with to measure one's own work: code, a sweep and a Makefile",
          .examples = {"noisefloor init function", "noisefloor init command mine"},
          .arguments = {{"KIND",
                         &Arguments::kind,
                         "A function in C++, or a command over files",
                         {.choices = words("kind", {"function", "command"})}},
                        {"FOLDER", &Arguments::folder, "Made if it is not there", {.value = "DIR"}}},
          .action = Action(init)};
}

}  // namespace noisefloor
