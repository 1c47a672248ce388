// Looking at the machine before anything is measured, and waiting until others leave it alone.
// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <functional>

#include "harness/sweep/attempts.hpp"
#include "harness/sweep/progress.hpp"

namespace noisefloor {

/// What was seen last, and how long it was waited for.
struct Waited {
  MachineUse last;
  std::chrono::nanoseconds time{};
  bool quiet = false;  ///< others took no more than kBusyShare, or nothing is known of them
};

/// Looks once, and again while others take more than kBusyShare and `patience` is not over. `waiting` is called with
/// what was seen before every further look; where it returns false, the waiting ends.
Waited wait_until_quiet(const std::function<MachineUse()>& look, std::chrono::nanoseconds patience, const Clock& clock,
                        const std::function<bool(const MachineUse&)>& waiting);

}  // namespace noisefloor
