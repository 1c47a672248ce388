// The text of the pitfalls' own source files, embedded by the build (cmake/EmbedPitfalls.cmake).
// SPDX-License-Identifier: MIT
#pragma once

#include <span>
#include <string_view>

namespace noisefloor {

struct PitfallSource {
  std::string_view name;  ///< of the file, without folder and ending
  std::string_view text;
};

std::span<const PitfallSource> pitfall_sources() noexcept;

}  // namespace noisefloor
