// One walk over the chunks of a sound file, whatever its container, with one set of limits: every size is a stranger's.
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace noisefloor {

/// The few bytes of a file from one offset on; fewer at its end.
class HeaderBytes {
 public:
  HeaderBytes(int fd, std::uint64_t offset) noexcept;
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] bool is(std::size_t at, std::string_view id) const noexcept;
  /// `width` bytes as text; fewer where they are not all there.
  [[nodiscard]] std::string_view text(std::size_t at, std::size_t width) const noexcept {
    const std::size_t from = std::min(at, size_);
    return {reinterpret_cast<const char*>(bytes_.data()) + from, std::min(width, size_ - from)};
  }
  /// `width` bytes as an unsigned number; 0 if they are not all there.
  [[nodiscard]] std::uint64_t number(std::size_t at, std::size_t width, bool big_endian) const noexcept;

 private:
  std::array<unsigned char, 40> bytes_{};
  std::size_t size_ = 0;
};

/// How a container writes a chunk: a name, a size, and what it holds.
struct ChunkForm {
  std::size_t name_bytes, size_bytes;
  bool big_endian;
  bool counts_header;         ///< the size counts the name and itself, too
  bool has_long_sizes;        ///< a chunk `ds64` has the size that `data` has no room for
  std::uint64_t alignment;    ///< of the next chunk
  std::uint64_t first_chunk;  ///< offset in the file

  [[nodiscard]] constexpr std::size_t header_bytes() const noexcept { return name_bytes + size_bytes; }
};

inline constexpr ChunkForm kRiff{4, 4, false, false, false, 2, 12}, kRifx{4, 4, true, false, false, 2, 12},
    kRf64{4, 4, false, false, true, 2, 12}, kW64{16, 8, false, true, false, 8, 40},
    kAiff{4, 4, true, false, false, 2, 12}, kCaf{4, 8, true, false, false, 1, 8};

/// Of the file that begins with `head`; null for one that is not made of these chunks.
[[nodiscard]] const ChunkForm* chunk_form(const HeaderBytes& head) noexcept;

struct Chunk {
  HeaderBytes bytes;       ///< from its name on
  std::uint64_t at;        ///< offset of its name,
  std::uint64_t body;      ///< and of what it holds
  std::uint64_t size;      ///< of what it says to hold, in bytes; from `ds64` where that says it
  bool has_standard_name;  ///< name() tells what it is; false for other GUIDs in W64

  /// Four characters.
  [[nodiscard]] std::string_view name() const noexcept { return bytes.text(0, 4); }
  [[nodiscard]] bool is(std::string_view id) const noexcept { return has_standard_name && bytes.is(0, id); }
};

/// Whether four characters can be the name of a chunk. At others, libsndfile looks for the next chunk in its own way.
[[nodiscard]] bool is_chunk_name(std::string_view name) noexcept;

class ChunkWalk {
 public:
  /// An end for files made to have none.
  static constexpr int kMostChunks = 65536;

  /// Of the chunks from `at` up to `end`.
  ChunkWalk(int fd, std::uint64_t end, const ChunkForm& form, std::uint64_t at) noexcept
      : fd_(fd), end_(end), form_(form), at_(at) {}
  /// Of all chunks of a file of `file_bytes` bytes.
  ChunkWalk(int fd, std::uint64_t file_bytes, const ChunkForm& form) noexcept
      : ChunkWalk(fd, file_bytes, form, form.first_chunk) {}

  /// The next chunk whose header is all there; it may say to be longer than what there is. None behind kMostChunks, or
  /// behind a size that does not count the header which it must.
  [[nodiscard]] std::optional<Chunk> next() noexcept;
  /// Where the next chunk begins, perhaps behind the end: far beyond every file rather than wrapped.
  [[nodiscard]] std::uint64_t at() const noexcept { return at_; }

 private:
  int fd_;
  std::uint64_t end_;
  const ChunkForm& form_;
  std::uint64_t at_;
  std::uint64_t long_bytes_ = 0;  // of the samples, as ds64 says
  int seen_ = 0;
};

}  // namespace noisefloor
