// `noisefloor judge`: the gate's verdicts on rounds that were measured elsewhere.
// SPDX-License-Identifier: MIT
#pragma once

namespace CLI {
class App;
}

namespace noisefloor {

void add_judge(CLI::App& app, int& status);

}  // namespace noisefloor
