// `noisefloor launch`: one cell, rows on stdout: the protocol that sweeps are made of.
// SPDX-License-Identifier: MIT
#pragma once

namespace CLI {
class App;
}

namespace noisefloor {

/// Adds the subcommand; its callback prints to stdout and leaves the exit status in `status`.
void add_launch(CLI::App& app, int& status);

}  // namespace noisefloor
