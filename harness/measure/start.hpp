// How a launch is started: which process a cell must be measured in, and how this one becomes it.
// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "harness/measure/launch.hpp"
#include "harness/strategies/strategy.hpp"

namespace noisefloor {

/// What must happen before a cell can be measured.
struct LaunchStart {
  std::string skipped;               ///< why it cannot be started here; then the rest is empty
  std::vector<std::string> command;  ///< to become, the program's path first; empty: go on in this process
  std::vector<std::pair<std::string, std::string>> environment;  ///< set for it
};

/// How to start the launch of `options`. For a reference program the test signals and its output folder are made, and
/// outlive this process. A process that was started for this very launch goes on, whatever it finds: the strategy then
/// refuses what is still not as asked. Throws UsageError for cells that mean nothing.
LaunchStart how_to_start(const LaunchOptions& options);

/// Becomes start.command (execve): the process id, the group and who waits for it stay. Throws Error if it cannot.
[[noreturn]] void become(const LaunchStart& start);

/// Why `strategy` cannot run here: Strategy::unavailable, or what is not found now (mpirun, Python and its modules,
/// sox); empty if it can. Not thread-safe.
std::string missing_here(const Strategy& strategy);

/// The command line of a launch, without the program.
std::vector<std::string> launch_arguments(const LaunchOptions& options);

/// LLVM's OpenMP runtime: $NOISEFLOOR_LIBOMP, where Debian puts it, or what the dynamic linker knows; empty if there is
/// none.
std::string find_libomp();

}  // namespace noisefloor
