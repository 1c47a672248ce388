// What a sound file's own chunks say of the amount of its samples, and what to show libsndfile where they
// cannot be believed.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace noisefloor {

/// What a format says of its sound and libsndfile has no place for: bytes within a chunk, to be put over those that it
/// writes.
struct KeptField {
  std::string_view chunk;  ///< its name
  std::uint64_t offset;    ///< behind the chunk's size
  std::string bytes;
};

struct StatedSize {
  /// Bytes to be read in place of those at `offset`.
  struct Correction {
    std::uint64_t offset;
    std::vector<unsigned char> bytes;
  };

  std::optional<std::uint64_t> sample_bytes;  ///< promised; empty where the file does not say
  std::optional<std::uint64_t> frames;        ///< promised beside it (AIFF)
  /// Where samples lie in the file, from `begin` up to `end`; empty in other formats than those below.
  struct Extent {
    std::uint64_t begin, end;
  };
  std::optional<Extent> samples;
  std::uint64_t tail = 0;  ///< where what follows the samples begins
  /// Bytes behind them that are neither a known chunk nor a tag.
  std::uint64_t other_bytes = 0;
  /// The size was never filled in, as by a writer to a pipe or a recorder that was cut off: the samples
  /// reach to the end of the file. Not set where the format allows that (AU, CAF).
  bool is_missing = false;
  /// Samples go on behind the size that the file says, since another of its sizes says so.
  bool is_understated = false;
  /// Of integer samples; 0 where that is all of them.
  int valid_bits = 0;
  std::vector<KeptField> kept;
  /// Samples of 24 bits, each in 4 bytes: from `samples.begin` on, libsndfile is to be shown three bytes of every four.
  struct Packing {
    std::uint64_t skip;  ///< bytes before the three: 0 or 1
  };
  std::optional<Packing> packing;
  /// With these, the file says what it holds. libsndfile refuses it as it is, empties it, or never returns from it.
  std::vector<Correction> corrections;
  /// What follows these is not to be shown to libsndfile.
  std::optional<std::uint64_t> visible_bytes;
  /// A chunk beside the samples is left out, since it makes no sense.
  bool hides_chunks = false;
  /// Unless this is false, there may be something beside what the samples need.
  bool may_say_more = true;
};

/// What RIFF, RIFX, RF64, W64, AIFF, AU and CAF files say; nothing for others. libsndfile cuts what they
/// promise to what there is, without a word. Throws Error for facts that contradict each other, where
/// libsndfile would make samples of what are none. `path` is for messages.
[[nodiscard]] StatedSize stated_size(int fd, std::uint64_t file_bytes, const std::string& path);

}  // namespace noisefloor
