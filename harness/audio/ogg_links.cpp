// Walks the pages of an Ogg file by their headers (RFC 3533).
// SPDX-License-Identifier: MIT
#include "harness/audio/ogg_links.hpp"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string_view>

#include "harness/audio/file_window.hpp"
#include "harness/audio/tags.hpp"

namespace noisefloor {
namespace {

constexpr std::size_t kPageHeader = 27;
constexpr std::string_view kCapture("OggS\0", 5);  // with the version

struct Page {
  std::uint64_t bytes;
  bool begins, ends, has_sound;
};

/// The page at `at`, if a whole one is there.
std::optional<Page> page_at(FileWindow& window, std::uint64_t at, std::uint64_t file_bytes) {
  const std::string_view head = window.at(at, kPageHeader + 255);
  if (head.size() < kPageHeader || !head.starts_with(kCapture)) return std::nullopt;
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(head[i]); };
  const std::size_t segments = byte(kPageHeader - 1);
  if (head.size() < kPageHeader + segments) return std::nullopt;
  std::uint64_t bytes = kPageHeader + segments;
  for (std::size_t i = 0; i < segments; ++i) bytes += byte(kPageHeader + i);
  if (bytes > file_bytes - at) return std::nullopt;
  constexpr unsigned kBegins = 2, kEnds = 4;
  // Pages of headers have the position 0; those on which no packet ends say -1.
  const bool has_sound = std::ranges::any_of(head.substr(6, 8), [](char c) { return c != 0; });
  return Page{bytes, (byte(5) & kBegins) != 0, (byte(5) & kEnds) != 0, has_sound};
}

/// Where the next page begins behind `at`, or the file ends.
std::uint64_t next_page(FileWindow& window, std::uint64_t at, std::uint64_t file_bytes) {
  const std::uint64_t end = file_bytes - at > kMostJunk ? at + kMostJunk : file_bytes;
  for (++at; at < end;) {
    const std::string_view bytes = window.at(at, window.size() / 2);
    const std::size_t found = bytes.find(kCapture);
    if (found != std::string_view::npos) return at + found;
    if (bytes.size() < kCapture.size()) break;
    at += bytes.size() - kCapture.size() + 1;
  }
  return file_bytes;
}

}  // namespace

OggFile ogg_links(int fd, std::uint64_t file_bytes) {
  OggFile file;
  FileWindow window(fd);
  if (!window.at(0, kCapture.size()).starts_with(kCapture)) return file;
  const std::uint64_t end = begin_of_tags(fd, 0, file_bytes);
  bool was_begin = false;
  for (std::uint64_t at = 0; at < end;) {
    const std::optional<Page> page = page_at(window, at, end);
    if (!page) {
      const std::uint64_t next = next_page(window, at, end);
      file.other_bytes += next - at;
      at = next;
      continue;
    }
    if (file.links.empty() || (page->begins && !was_begin)) file.links.push_back({.begin = at, .end = at});
    OggLink& link = file.links.back();
    was_begin = page->begins;
    at += page->bytes;
    link.end = at;
    link.has_end = page->ends;
    if (page->has_sound || link.sound_bytes > 0) link.sound_bytes += page->bytes;
  }
  return file;
}

}  // namespace noisefloor
