// What a sound file is called.
// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <string_view>

namespace noisefloor {

/// Of a file's name, from its last dot, in small letters; empty for a name that begins with its only dot.
[[nodiscard]] std::string extension_of(std::string_view name);

/// Whether a path or name ends as those of sound files do that libsndfile knows by their header. Some it reads only.
[[nodiscard]] bool has_sound_name(std::string_view path);

}  // namespace noisefloor
