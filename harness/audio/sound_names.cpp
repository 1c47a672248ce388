// The extensions of sound files.
// SPDX-License-Identifier: MIT
#include "harness/audio/sound_names.hpp"

#include <algorithm>
#include <array>

namespace noisefloor {
namespace {

/// Extensions of what libsndfile knows by its header: what counts as a sound file in a folder. Some it reads only
/// (.mp2): such a file is an error of its own, not one to be passed over.
constexpr std::array<std::string_view, 32> kSoundExtensions = {
    ".aif", ".aifc", ".aiff", ".au",   ".avr", ".bwf", ".caf",  ".flac", ".htk", ".iff",  ".m1a",
    ".mat", ".mp2",  ".mp3",  ".nist", ".oga", ".ogg", ".opus", ".paf",  ".pvf", ".rf64", ".sd2",
    ".sds", ".sf",   ".snd",  ".sph",  ".svx", ".voc", ".w64",  ".wav",  ".wve", ".xi"};

}  // namespace

std::string extension_of(std::string_view name) {
  const std::size_t dot = name.rfind('.');
  if (dot == std::string_view::npos || dot == 0) return {};
  std::string extension(name.substr(dot));
  std::ranges::transform(extension, extension.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return extension;
}

bool has_sound_name(std::string_view path) {
  const std::string extension = extension_of(path.substr(path.find_last_of('/') + 1));
  return std::ranges::find(kSoundExtensions, extension) != kSoundExtensions.end();
}

}  // namespace noisefloor
