// What a sound file's own chunks say of the amount of its samples, and what to show libsndfile where they
// cannot be believed.
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace noisefloor {

/// The few bytes of a file from one offset on; fewer at its end.
class HeaderBytes {
 public:
  HeaderBytes(int fd, std::uint64_t offset) noexcept;
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] bool is(std::size_t at, std::string_view id) const noexcept;
  /// The first four.
  [[nodiscard]] std::string_view name() const noexcept {
    return {reinterpret_cast<const char*>(bytes_.data()), std::min<std::size_t>(size_, 4)};
  }
  /// `width` bytes as an unsigned number; 0 if they are not all there.
  [[nodiscard]] std::uint64_t number(std::size_t at, std::size_t width, bool big_endian) const noexcept;

 private:
  std::array<unsigned char, 40> bytes_{};
  std::size_t size_ = 0;
};

struct StatedSize {
  /// Bytes to be read in place of those at `offset`.
  struct Correction {
    std::uint64_t offset;
    std::vector<unsigned char> bytes;
  };

  std::optional<std::uint64_t> sample_bytes;  ///< promised; empty where the file does not say
  std::optional<std::uint64_t> frames;        ///< promised beside it (AIFF)
  /// The size was never filled in, as by a writer to a pipe or a recorder that was cut off: the samples
  /// reach to the end of the file. Not set where the format allows that (AU, CAF).
  bool is_missing = false;
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
