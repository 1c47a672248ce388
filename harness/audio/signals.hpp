// Test signals: sound files to measure with, made once and kept in the cache.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "harness/base/error.hpp"

namespace noisefloor {

inline constexpr int kSignalRate = 44100;                             ///< frames per second, mono
inline constexpr std::uint32_t kCorpusTasks = 24;                     ///< files of the default corpus,
inline constexpr std::uint64_t kCorpusFrames = 240ULL * kSignalRate;  ///< of 240 s each

/// $NOISEFLOOR_CACHE, else $XDG_CACHE_HOME/noisefloor, else ~/.cache/noisefloor: an absolute path, not
/// necessarily there. Throws MissingError if none of the three variables is set.
[[nodiscard]] std::string cache_folder();

/// cache_folder(), or nothing where it has no place.
[[nodiscard]] std::string cache_folder_if_any();

/// Calls f(), which writes into the cache: an Error says which variable names another place.
template <class F>
decltype(auto) in_cache(F&& f) {
  try {
    return f();
  } catch (const Error& error) {
    if (error.status() != ExitStatus::failed) throw;
    throw Error(std::string(error.what()) + "; NOISEFLOOR_CACHE names another folder for signals and outputs");
  }
}

/// Makes `folder` and its parents. Throws Error.
void make_folders(const std::string& folder);

/// Paths of `tasks` mono WAV files of `frames` frames, <cache>/signals/<format>-<frames>/NNNN.wav: sines
/// of half amplitude, each with a frequency and phase of its own. `format` is int16, int32, float32 or float64. What is
/// not there yet, or not complete, is made; several processes may do so at once. Throws UsageError for
/// other formats and for more frames than a WAV file holds, Error if files cannot be written.
[[nodiscard]] std::vector<std::string> test_signals(std::uint32_t tasks, std::uint64_t frames, std::string_view format);

}  // namespace noisefloor
