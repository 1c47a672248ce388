// Waits for a quiet machine.
// SPDX-License-Identifier: MIT
#include "harness/sweep/quiet.hpp"

namespace noisefloor {

Waited wait_until_quiet(const std::function<MachineUse()>& look, std::chrono::nanoseconds patience, const Clock& clock,
                        const std::function<bool(const MachineUse&)>& waiting) {
  const std::chrono::nanoseconds start = clock();
  for (;;) {
    Waited waited;
    waited.last = look();
    waited.time = clock() - start;
    waited.quiet = taken_share(waited.last) <= kBusyShare;
    if (waited.quiet || waited.time >= patience || !waiting(waited.last)) return waited;
  }
}

}  // namespace noisefloor
