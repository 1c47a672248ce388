// Whether the strategies on oneTBB are in this build.
// SPDX-License-Identifier: MIT
#pragma once

#include <string_view>

namespace noisefloor {

/// Why they are not; empty if they are.
#ifdef NOISEFLOOR_TBB
inline constexpr std::string_view kNoTbb;
#else
inline constexpr std::string_view kNoTbb =
    "built without oneTBB: install libtbb-dev and configure with NOISEFLOOR_TBB=ON";
#endif

}  // namespace noisefloor
