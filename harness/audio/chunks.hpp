// What a sound file holds beside its format and its samples, by name.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "harness/audio/chunk_walk.hpp"

namespace noisefloor {

/// The names of what the file says beside its samples, sorted, each once: chunks of RIFF, RIFX, RF64, W64, AIFF and CAF
/// files ("iXML", and the parts of lists: "LIST/INFO/INAM"), metadata blocks and comments of FLAC ("picture",
/// "comment/ARTIST"), comments of Ogg, frames of ID3v2. What only serves reading is left out (sizes, seek tables,
/// peaks, padding, sums). Nothing for other formats. Looks at the names, not at what is behind them; a name that the
/// file does not hold whole ends the list. Never throws on what the file says.
[[nodiscard]] std::vector<std::string> chunk_names(int fd, std::uint64_t file_bytes);

/// Whether a chunk of this name only serves reading.
[[nodiscard]] bool is_plain_chunk(const ChunkForm& form, std::string_view name) noexcept;

/// Whether a chunk of this name is one that programs write into such files.
[[nodiscard]] bool is_known_chunk(const ChunkForm& form, std::string_view name) noexcept;

}  // namespace noisefloor
