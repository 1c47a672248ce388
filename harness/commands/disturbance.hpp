// `noisefloor disturbance`: readings in, the values of rows out. For reference programs.
// SPDX-License-Identifier: MIT
#pragma once

namespace CLI {
class App;
}

namespace noisefloor {

void add_disturbance(CLI::App& app, int& status);

}  // namespace noisefloor
