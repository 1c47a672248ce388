// `noisefloor pitfall`: one pitfall, explained and measured here.
// SPDX-License-Identifier: MIT
#pragma once

#include <nlohmann/json_fwd.hpp>

namespace CLI {
class App;
}

namespace noisefloor {

/// Adds the subcommand; its exit status goes to `status` when the command line is parsed.
void add_pitfall(CLI::App& app, int& status);

/// The table of pitfalls with their variants, as `pitfall --json` prints it and runs keep it: what figures and
/// documents need beside the rows.
nlohmann::json pitfall_facts();

}  // namespace noisefloor
