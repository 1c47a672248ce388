// What a sound file says beside its samples, and its way into another file.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

#include "harness/audio/sound_file.hpp"

namespace noisefloor {

/// Copies what libsndfile carries from one file to another of the same kind: the channel map, titles and other texts,
/// cue points, loops and instrument, broadcast and cart chunk. Call it before the first sample is written; `from` may
/// have been read from. Returns false if something that was read has no place in the file to be written (libsndfile
/// reads more than it writes), or is more than a header holds; of what libsndfile does not read, keeps_metadata()
/// knows.
bool copy_metadata(const SoundReader& from, SoundWriter& to);

/// Whether the finished file of `bytes` bytes behind `to` has all that `from` says beside its samples, by name. To be
/// asked beside copy_metadata(): chunks that libsndfile does not know have not been copied.
bool keeps_metadata(const SoundReader& from, int to, std::uint64_t bytes);

}  // namespace noisefloor
