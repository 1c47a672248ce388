// The subcommand `run`: sweeps in, a run folder out.
// SPDX-License-Identifier: MIT
#pragma once

#include <CLI/CLI.hpp>

namespace noisefloor {

/// Adds `run` to `app`. When it is chosen, parsing runs it: `status` becomes its exit status, errors are
/// thrown as noisefloor::Error.
void add_run(CLI::App& app, int& status);

}  // namespace noisefloor
