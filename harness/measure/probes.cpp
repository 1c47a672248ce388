// Probes: /proc/stat.
// SPDX-License-Identifier: MIT
#include "harness/measure/probes.hpp"

namespace noisefloor {

std::optional<std::uint64_t> steal_ticks() { return number_after(read_proc("/proc/stat"), "cpu ", 7); }

}  // namespace noisefloor
