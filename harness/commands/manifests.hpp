// `noisefloor manifest`: manifests of shards joined, and what is missing, double or failed in them.
// SPDX-License-Identifier: MIT
#pragma once

namespace CLI {
class App;
}

namespace noisefloor {

/// Adds the subcommand `manifest` with `check` and `merge`. `status` becomes 1 where an output is missing, double or
/// failed; `status` outlives the parsing.
void add_manifest(CLI::App& app, int& status);

}  // namespace noisefloor
