// `noisefloor completion`: what a shell needs to complete the command line.
// SPDX-License-Identifier: MIT
#pragma once

namespace CLI {
class App;
}

namespace noisefloor {

/// Adds the subcommand; its callback prints a script made from the commands and options of `app` as they are then.
void add_completion(CLI::App& app, int& status);

}  // namespace noisefloor
