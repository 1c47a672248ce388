// `noisefloor launch`: one cell, rows on stdout: the protocol that sweeps are made of.
// SPDX-License-Identifier: MIT
#pragma once

#include "harness/commands/command.hpp"

namespace noisefloor {

class Team;

/// The subcommand. Where a team was started, this process measures with it, and becomes no other.
Command launch_command(Team* team);

}  // namespace noisefloor
