// `noisefloor list`: the tables, for people and for programs.
// SPDX-License-Identifier: MIT
#pragma once

namespace CLI {
class App;
}

namespace noisefloor {

/// Adds the subcommand; its callback prints to stdout and leaves the exit status in `status`.
void add_list(CLI::App& app, int& status);

}  // namespace noisefloor
