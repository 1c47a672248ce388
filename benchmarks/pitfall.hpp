// `noisefloor pitfall`: one pitfall, explained and measured here.
// SPDX-License-Identifier: MIT
#pragma once

namespace CLI {
class App;
}

namespace noisefloor {

/// Adds the subcommand; its exit status goes to `status` when the command line is parsed.
void add_pitfall(CLI::App& app, int& status);

}  // namespace noisefloor
