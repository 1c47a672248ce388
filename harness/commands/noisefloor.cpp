// The program: reads the command line, prints errors, exits.
// SPDX-License-Identifier: MIT
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <string>
#include <string_view>

#include "harness/base/limits.hpp"
#include "harness/commands/command.hpp"
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

Command program() {
  return {.name = "noisefloor",
          .help =
              "Which way of running a batch of independent tasks is fastest on this machine? Measures ways of running "
              "audio jobs and synthetic tasks (threads, OpenMP, oneTBB, processes, io_uring, MPI) and vectorised "
              "kernels, shows pitfalls of each, and adds noise to collections of sound files with the code that it "
              "measures.",
          .examples = {"noisefloor doctor                                # what makes timings doubtful here?",
                       "noisefloor run quick --budget 3m                 # measure; rows go into a new folder",
                       "noisefloor list strategies                       # what there is to compare",
                       "noisefloor pitfall false_sharing                 # a mistake explained, and measured here",
                       "noisefloor process speech noisy --snr-db 10:30   # noisy copies of a folder of sound files"},
          .commands = subcommands()};
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

}  // namespace
}  // namespace noisefloor

int main(int argc, char** argv) {
  noisefloor::hold_standard_descriptors();
  noisefloor::use_given_cpus();
  return noisefloor::exit_status("noisefloor", [&] {
    return noisefloor::parse(noisefloor::program(), noisefloor::version_text(), noisefloor::words_of(argc, argv))();
  });
}
