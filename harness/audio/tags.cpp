// ID3v2: id3.org/id3v2.4.0-structure. APEv2: wiki.hydrogenaud.io, "APE Tags Header". Lyrics3: id3.org/Lyrics3v2.
// SPDX-License-Identifier: MIT
#include "harness/audio/tags.hpp"

#include "harness/audio/chunk_walk.hpp"

namespace noisefloor {
namespace {

constexpr std::uint64_t kId3v1Bytes = 128, kApeHeaderBytes = 32, kId3v2HeaderBytes = 10;

bool is_syncsafe(std::uint64_t size) noexcept { return (size & 0x80808080U) == 0; }

std::uint64_t from_syncsafe(std::uint64_t size) noexcept {
  return (size & 0x7f) | (size >> 8 & 0x7f) << 7 | (size >> 16 & 0x7f) << 14 | (size >> 24 & 0x7f) << 21;
}

std::optional<Tag> id3v2(const HeaderBytes& bytes, std::string_view mark) {
  if (!bytes.is(0, mark) || bytes.size() < kId3v2HeaderBytes || bytes.number(3, 1, true) == 0xff) return std::nullopt;
  const std::uint64_t size = bytes.number(6, 4, true);
  if (!is_syncsafe(size)) return std::nullopt;
  const bool has_footer = (bytes.number(5, 1, true) & 0x10) != 0;
  return Tag{"ID3v2", kId3v2HeaderBytes + from_syncsafe(size) + (has_footer ? kId3v2HeaderBytes : 0)};
}

/// Its size counts the footer, not the header.
std::optional<Tag> ape(const HeaderBytes& bytes) {
  constexpr std::uint64_t kHasHeader = std::uint64_t{1} << 31;
  const std::uint64_t size = bytes.number(12, 4, false);
  if (!bytes.is(0, "APETAGEX") || bytes.size() < kApeHeaderBytes || size < kApeHeaderBytes) return std::nullopt;
  return Tag{"APEv2", size + ((bytes.number(20, 4, false) & kHasHeader) != 0 ? kApeHeaderBytes : 0)};
}

}  // namespace

std::optional<Tag> tag_at(int fd, std::uint64_t at) {
  const HeaderBytes bytes(fd, at);
  if (const auto tag = id3v2(bytes, "ID3")) return tag;
  if (const auto tag = ape(bytes)) return tag;
  if (bytes.is(0, "TAG") && HeaderBytes(fd, at + kId3v1Bytes - 1).size() > 0) return Tag{"ID3v1", kId3v1Bytes};
  return std::nullopt;
}

std::optional<Tag> tag_before(int fd, std::uint64_t end) {
  std::optional<Tag> tag;
  if (end >= kId3v1Bytes && HeaderBytes(fd, end - kId3v1Bytes).is(0, "TAG")) {
    tag = {"ID3v1", kId3v1Bytes};
  } else if (end >= kApeHeaderBytes) {
    tag = ape(HeaderBytes(fd, end - kApeHeaderBytes));
    if (!tag) tag = id3v2(HeaderBytes(fd, end - kId3v2HeaderBytes), "3DI");
  }
  constexpr std::uint64_t kLyricsEnd = 15;  // six digits, the length of what is before them, and LYRICS200
  if (!tag && end >= kLyricsEnd) {
    const HeaderBytes bytes(fd, end - kLyricsEnd);
    std::uint64_t size = 0;
    bool is_number = bytes.is(6, "LYRICS200");
    for (const char c : bytes.text(0, 6)) {
      is_number = is_number && c >= '0' && c <= '9';
      size = 10 * size + static_cast<std::uint64_t>(c - '0');
    }
    if (is_number && size + kLyricsEnd <= end && HeaderBytes(fd, end - kLyricsEnd - size).is(0, "LYRICSBEGIN")) {
      tag = {"Lyrics3", size + kLyricsEnd};
    }
  }
  return tag && tag->bytes <= end ? tag : std::nullopt;
}

std::uint64_t begin_of_tags(int fd, std::uint64_t begin, std::uint64_t end) {
  while (const std::optional<Tag> tag = tag_before(fd, end)) {
    if (tag->bytes > end - begin) break;
    end -= tag->bytes;
    if (end <= begin) break;
  }
  return end;
}

}  // namespace noisefloor
