// `noisefloor doctor`: what this machine offers and what makes its timings doubtful.
// SPDX-License-Identifier: MIT
#pragma once

namespace CLI {
class App;
}

namespace noisefloor {

/// Adds the subcommand; its callback prints to stdout and leaves the exit status in `status`.
void add_doctor(CLI::App& app, int& status);

}  // namespace noisefloor
