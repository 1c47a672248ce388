// What OpenMP's runtime in this process would do where nobody says otherwise.
// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace noisefloor {

/// Settings by name, as texts: version of the specification, threads, thread limit, schedule, binding, places,
/// levels of nesting. Starts no threads.
std::vector<std::pair<std::string, std::string>> openmp_settings();

}  // namespace noisefloor
