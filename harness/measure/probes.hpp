// What the system tells of a repetition: CPU time, memory, faults, switches, steal.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <optional>

#include "harness/base/usage.hpp"  // IWYU pragma: export

namespace noisefloor {

/// Time stolen by the hypervisor from all CPUs since boot, in clock ticks; empty where unknown.
std::optional<std::uint64_t> steal_ticks();

}  // namespace noisefloor
