// Whether the strategy on io_uring is in this build.
// SPDX-License-Identifier: MIT
#pragma once

#include <string_view>

namespace noisefloor {

/// Why it is not; empty if it is.
#ifdef NOISEFLOOR_URING
inline constexpr std::string_view kNoUring;
#else
inline constexpr std::string_view kNoUring = "built without liburing: install liburing-dev and configure again";
#endif

}  // namespace noisefloor
