// The program: reads the command line, prints errors, exits.
// SPDX-License-Identifier: MIT
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>
#include <string>
#include <string_view>
#include <vector>

#include "harness/base/error.hpp"
#include "harness/base/limits.hpp"
#include "harness/base/names.hpp"
#include "harness/commands/completion.hpp"
#include "harness/commands/disturbance.hpp"
#include "harness/commands/doctor.hpp"
#include "harness/commands/judge.hpp"
#include "harness/commands/launch.hpp"
#include "harness/commands/list.hpp"
#include "harness/commands/manifests.hpp"
#include "harness/commands/pitfall.hpp"
#include "harness/commands/process/process.hpp"
#include "harness/commands/run.hpp"
#include "kernels/kernel.hpp"
#include "noisefloor_version.hpp"

namespace noisefloor {
namespace {

std::string version_text() {
  std::string names;
  for (const Kernel& kernel : kernels()) {
    if (!kernel.unavailable.empty()) continue;
    if (!names.empty()) names += ' ';
    names += kernel.name;
  }
  return fmt::format("noisefloor {} ({}{})\n{}, {}\nkernels here: {}", kVersion,
                     std::string_view(kGitSha).substr(0, 12), kGitDirty ? ", changed" : "", kCompiler, kBuildType,
                     names);
}

/// What CLI11 says of arguments that nothing takes, with the nearest name.
std::string explain_extras(const CLI::App& app) {
  const CLI::App* command = &app;
  while (!command->get_subcommands().empty()) command = command->get_subcommands().front();
  const std::vector<std::string> extras = app.remaining(true);
  if (extras.empty()) return "unexpected arguments";
  const std::string& extra = extras.front();
  std::vector<std::string> names;
  if (extra.starts_with('-')) {
    for (const CLI::Option* option : command->get_options()) {
      for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
    }
  } else {
    for (const CLI::App* sub : command->get_subcommands([](const CLI::App*) { return true; })) {
      names.push_back(sub->get_name());
    }
    if (names.empty()) return fmt::format("unexpected argument '{}'", extra);
  }
  const std::vector<std::string_view> choices(names.begin(), names.end());
  const std::string name = extra.substr(0, extra.find('='));
  return unknown_name(extra.starts_with('-') ? "option" : "command", name, choices);
}

int run(int argc, char** argv) {
  CLI::App app{"Which way of running a batch of independent tasks is fastest on this machine?", "noisefloor"};
  app.set_version_flag("--version", version_text());
  app.require_subcommand(1);
  app.get_formatter()->column_width(34);
  int status = 0;
  add_run(app, status);
  add_list(app, status);
  add_process(app, status);
  add_manifest(app, status);
  add_pitfall(app, status);
  add_launch(app, status);
  add_judge(app, status);
  add_doctor(app, status);
  add_disturbance(app, status);
  add_completion(app, status);
  if (argc == 1) {
    fmt::print("{}", app.help());
    return static_cast<int>(ExitStatus::usage);
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& success) {
    return app.exit(success);
  } catch (const CLI::ExtrasError&) {
    throw UsageError(explain_extras(app));
  } catch (const CLI::RequiredError& error) {
    if (app.get_subcommands().empty() && !app.remaining(true).empty()) throw UsageError(explain_extras(app));
    throw UsageError(error.what());
  } catch (const CLI::ParseError& error) {
    throw UsageError(error.what());
  }
  return status;
}

/// A standard descriptor that is closed would be given to the next file opened, and what is printed would
/// end up in that file. Held open the wrong way round, it stays an error to use it.
void hold_standard_descriptors() {
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::fcntl(fd, F_GETFD) >= 0) continue;
    const int held = ::open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);  // the lowest free one: fd
    if (held != fd) return;                                                          // no /dev/null here
  }
}

/// The status to exit with after run(): what was printed may wait in a buffer for a disk that is full.
int flushed(int status) {
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return status;
  fmt::print(stderr, "noisefloor: what was printed is not whole: standard output: {}\n", std::strerror(errno));
  return status == 0 ? static_cast<int>(ExitStatus::failed) : status;
}

}  // namespace
}  // namespace noisefloor

int main(int argc, char** argv) {
  noisefloor::hold_standard_descriptors();
  noisefloor::use_given_cpus();
  try {
    return noisefloor::flushed(noisefloor::run(argc, argv));
  } catch (const noisefloor::Error& error) {
    fmt::print(stderr, "noisefloor: {}\n", error.what());
    return static_cast<int>(error.status());
  } catch (const std::exception& error) {
    fmt::print(stderr, "noisefloor: {}\n", error.what());
    return static_cast<int>(noisefloor::ExitStatus::failed);
  }
}
