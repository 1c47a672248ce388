// `noisefloor launch`: one cell, rows on stdout: the protocol that sweeps are made of.
// SPDX-License-Identifier: MIT
#pragma once

namespace CLI {
class App;
}

namespace noisefloor {

class Team;

/// Adds the subcommand; its callback prints to stdout and leaves the exit status in `status`.
/// Where a team was started, this process measures with it, and becomes no other.
void add_launch(CLI::App& app, int& status, Team* team = nullptr);

}  // namespace noisefloor
