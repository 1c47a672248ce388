// The parts of an Ogg file: links of a chain, as RFC 3533 has them, by their pages.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <vector>

namespace noisefloor {

/// One logical file within an Ogg file: from the page that begins its streams up to the next one that does.
struct OggLink {
  std::uint64_t begin, end;       ///< bytes; the last page is whole
  std::uint64_t sound_bytes = 0;  ///< of the pages behind those of the headers
  bool has_end = false;           ///< the last page is marked as the last one
};

struct OggFile {
  std::vector<OggLink> links;
  std::uint64_t other_bytes = 0;  ///< between, before and behind whole pages, and no tag
};

/// The links of a file that begins with a page or a tag; none for others.
[[nodiscard]] OggFile ogg_links(int fd, std::uint64_t file_bytes);

}  // namespace noisefloor
