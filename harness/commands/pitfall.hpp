// `noisefloor pitfall`: one pitfall, explained and measured here.
// SPDX-License-Identifier: MIT
#pragma once

#include <nlohmann/json_fwd.hpp>

namespace noisefloor {

/// The table of pitfalls with their variants, as `pitfall --json` prints it and runs keep it: what figures and
/// documents need beside the rows.
nlohmann::json pitfall_facts();

}  // namespace noisefloor
