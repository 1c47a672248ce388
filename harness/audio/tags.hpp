// Tags that programs put before and behind a sound, whatever its format: ID3v1, ID3v2, APEv2, Lyrics3.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace noisefloor {

struct Tag {
  std::string_view name;
  std::uint64_t bytes;  ///< may reach beyond the end of the file
};

/// The tag that begins at `at`, if one does.
[[nodiscard]] std::optional<Tag> tag_at(int fd, std::uint64_t at);

/// The tag that ends at `end`, at most `end` bytes long, if one does.
[[nodiscard]] std::optional<Tag> tag_before(int fd, std::uint64_t end);

/// Where the tags begin that end at `end`: `end` without any. Never before `begin`.
[[nodiscard]] std::uint64_t begin_of_tags(int fd, std::uint64_t begin, std::uint64_t end);

}  // namespace noisefloor
