// Walks chunks, blocks, comments and frames by their headers; every size is a stranger's.
// SPDX-License-Identifier: MIT
#include "harness/audio/chunks.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <optional>
#include <string_view>

#include "harness/audio/tags.hpp"

namespace noisefloor {
namespace {

constexpr int kMostNames = 4096;                              // of comments, keys and blocks
constexpr std::uint64_t kMostBytes = std::uint64_t{1} << 16;  // that hold them

constexpr std::array<std::string_view, 11> kPlainRiff = {"fmt ", "data", "fact", "PEAK", "ds64", "JUNK",
                                                         "junk", "PAD ", "FLLR", "Fake", "slnt"};
constexpr std::array<std::string_view, 4> kPlainAiff = {"COMM", "SSND", "FVER", "PEAK"};
constexpr std::array<std::string_view, 6> kPlainCaf = {"desc", "data", "free", "kuki", "pakt", "peak"};

// What others write beside these. The name of a chunk that does not fit its file is believed only if it is known.
constexpr std::array<std::string_view, 25> kKnownRiff = {
    "LIST", "bext", "iXML", "cart", "cue ", "plst", "smpl", "inst", "acid", "axml", "chna", "bxml", "sxml",
    "levl", "link", "umid", "ID3 ", "id3 ", "_PMX", "aXML", "DISP", "afsp", "strc", "LGWV", "SAUR"};
constexpr std::array<std::string_view, 14> kKnownAiff = {"NAME", "AUTH", "(c) ", "ANNO", "COMT", "MARK", "INST",
                                                         "MIDI", "AESD", "APPL", "SAXL", "ID3 ", "CHAN", "basc"};
constexpr std::array<std::string_view, 13> kKnownCaf = {"info", "chan", "mark", "regn", "inst", "midi", "ovvw",
                                                        "strg", "umid", "uuid", "edct", "free", "LYRC"};

template <std::size_t N>
bool is_one_of(std::string_view name, const std::array<std::string_view, N>& names) noexcept {
  return std::ranges::find(names, name) != names.end();
}

/// What lies in a file, from its first byte on; fewer at its end.
std::string bytes_at(int fd, std::uint64_t offset, std::uint64_t count) {
  std::string bytes(static_cast<std::size_t>(std::min(count, kMostBytes)), '\0');
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t got = ::pread(fd, bytes.data() + done, bytes.size() - done, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    done += static_cast<std::size_t>(got);
  }
  bytes.resize(done);
  return bytes;
}

std::uint64_t number(std::string_view bytes, std::size_t at, std::size_t width, bool big_endian) noexcept {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < width && at + width <= bytes.size(); ++i) {
    value = value << 8 | static_cast<unsigned char>(bytes[at + (big_endian ? i : width - 1 - i)]);
  }
  return value;
}

bool is_name(std::string_view name) noexcept {
  return !name.empty() && std::ranges::all_of(name, [](char c) { return c >= 0x20 && c <= 0x7e; });
}

std::string in_capitals(std::string_view text) {
  std::string capitals(text);
  std::ranges::transform(capitals, capitals.begin(),
                         [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; });
  return capitals;
}

class Names {
 public:
  Names(int fd, std::uint64_t file_bytes) : fd_(fd), file_bytes_(file_bytes) {}

  std::vector<std::string> take() {
    std::ranges::sort(names_);
    names_.erase(std::unique(names_.begin(), names_.end()), names_.end());
    return std::move(names_);
  }

  /// Of a file of chunks.
  void chunks(const ChunkForm& form) {
    ChunkWalk walk(fd_, file_bytes_, form);
    while (const std::optional<Chunk> chunk = walk.next()) {
      const std::string_view name = chunk->name();
      if (const std::optional<Tag> tag = tag_at(fd_, chunk->at)) {
        names_.push_back(fmt::format("tag/{}", tag->name));
        return;
      }
      if (!chunk->has_standard_name) {
        names_.emplace_back("chunk of a name of its own");
      } else if (!is_chunk_name(name)) {
        return;
      } else if (&form == &kCaf && name == "info") {
        caf_keys(bytes_at(fd_, chunk->body, chunk->size));
      } else if (name == "LIST" && &form != &kAiff && &form != &kCaf && &form != &kW64) {
        list(*chunk, form);
      } else if (!is_plain_chunk(form, name)) {
        names_.emplace_back(name);
      }
    }
  }

  /// Behind the samples; of a file that is none of chunks they can be found only from its end. An MP3 file's ID3v1 is
  /// what libsndfile's own texts come from.
  void tags(std::uint64_t begin, bool is_mpeg) {
    std::uint64_t end = file_bytes_;
    while (end > begin) {
      const std::optional<Tag> tag = tag_before(fd_, end);
      if (!tag || tag->bytes > end - begin) break;
      if (!is_mpeg || tag->name != "ID3v1") names_.push_back(fmt::format("tag/{}", tag->name));
      end -= tag->bytes;
    }
  }

  void flac(std::uint64_t at) {
    enum : unsigned { kStreamInfo = 0, kPadding = 1, kApplication = 2, kSeekTable = 3, kComment = 4, kCueSheet = 5 };
    for (int block = 0; block < kMostNames && fits(at, 4); ++block) {
      const std::string head = bytes_at(fd_, at, 4);
      const std::uint64_t size = number(head, 1, 3, true);
      const unsigned type = static_cast<unsigned char>(head[0]) & 0x7fU;
      if (type == kComment) {
        comments(bytes_at(fd_, at + 4, size));
      } else if (type == kApplication) {
        names_.emplace_back("application");
      } else if (type == kCueSheet) {
        names_.emplace_back("cue sheet");
      } else if (type != kStreamInfo && type != kPadding && type != kSeekTable) {
        names_.emplace_back("picture");
      }
      if ((static_cast<unsigned char>(head[0]) & 0x80U) != 0) return;
      at += 4 + size;
    }
  }

  /// The comments are the second packet: what follows its mark, without the headers of pages.
  void ogg() {
    const std::string file = bytes_at(fd_, 0, kMostBytes);
    std::string packets;
    constexpr std::size_t kHeader = 27;
    for (std::size_t at = 0; at + kHeader <= file.size() && file.compare(at, 4, "OggS") == 0;) {
      const std::size_t segments = static_cast<unsigned char>(file[at + kHeader - 1]);
      std::size_t size = 0;
      for (std::size_t i = 0; i < segments && at + kHeader + i < file.size(); ++i) {
        size += static_cast<unsigned char>(file[at + kHeader + i]);
      }
      at += kHeader + segments;
      if (at >= file.size()) break;
      packets.append(file, at, size);
      at += size;
    }
    for (const std::string_view mark : {std::string_view("\x03vorbis"), std::string_view("OpusTags")}) {
      const std::size_t at = packets.find(mark);
      if (at == std::string::npos) continue;
      comments(std::string_view(packets).substr(at + mark.size()));
      return;
    }
  }

  void id3() {
    const std::string tag = bytes_at(fd_, 0, kMostBytes);
    const unsigned version = static_cast<unsigned char>(tag[3]);
    const std::uint64_t end = 10 + syncsafe(tag, 6);
    const std::size_t width = version == 2 ? 3 : 4;
    const std::size_t header = version == 2 ? 6 : 10;
    for (std::uint64_t at = 10; at + header <= std::min<std::uint64_t>(end, tag.size());) {
      const std::string_view name = std::string_view(tag).substr(static_cast<std::size_t>(at), width);
      if (!is_name(name)) return;
      names_.push_back("id3/" + id3_name(name));
      const std::uint64_t size = version == 4 ? syncsafe(tag, static_cast<std::size_t>(at) + width)
                                              : number(tag, static_cast<std::size_t>(at) + width, width, true);
      at += header + size;
    }
  }

 private:
  [[nodiscard]] bool fits(std::uint64_t at, std::uint64_t count) const noexcept {
    return at <= file_bytes_ && count <= file_bytes_ - at;
  }

  static std::uint64_t syncsafe(std::string_view bytes, std::size_t at) noexcept {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < 4 && at + 4 <= bytes.size(); ++i) {
      value = value << 7 | (static_cast<unsigned char>(bytes[at + i]) & 0x7fU);
    }
    return value;
  }

  /// Versions of ID3 have names of their own for the same.
  static std::string id3_name(std::string_view name) {
    constexpr std::array<std::array<std::string_view, 2>, 10> kSame = {{{"TT2", "TIT2"},
                                                                        {"TP1", "TPE1"},
                                                                        {"TAL", "TALB"},
                                                                        {"TCO", "TCON"},
                                                                        {"TRK", "TRCK"},
                                                                        {"COM", "COMM"},
                                                                        {"TCR", "TCOP"},
                                                                        {"TSS", "TSSE"},
                                                                        {"TYE", "TYER"},
                                                                        {"TDRC", "TYER"}}};
    for (const auto& [other, usual] : kSame) {
      if (name == other) return std::string(usual);
    }
    return std::string(name);
  }

  void list(const Chunk& of, const ChunkForm& form) {
    const std::string kind = bytes_at(fd_, of.body, 4);
    if (!is_chunk_name(kind)) return;
    ChunkWalk walk(fd_, std::min(file_bytes_, of.body + std::min(of.size, file_bytes_)), form, of.body + 4);
    while (const std::optional<Chunk> part = walk.next()) {
      if (!is_chunk_name(part->name())) return;
      names_.push_back(fmt::format("LIST/{}/{}", kind, part->name()));
    }
  }

  void caf_keys(std::string_view info) {
    const std::uint64_t count = std::min<std::uint64_t>(number(info, 0, 4, true), kMostNames);
    std::size_t at = 4;
    for (std::uint64_t entry = 0; entry < count; ++entry) {
      const std::size_t key_end = info.find('\0', at);
      if (key_end == std::string_view::npos) return;
      const std::string_view key = info.substr(at, key_end - at);
      if (key != "approximate duration in seconds") names_.push_back("info/" + std::string(key));
      const std::size_t value_end = info.find('\0', key_end + 1);
      if (value_end == std::string_view::npos) return;
      at = value_end + 1;
    }
  }

  /// As Vorbis has them, and FLAC and Opus took them over: the encoder's name, then KEY=value.
  void comments(std::string_view bytes) {
    std::uint64_t at = 4 + number(bytes, 0, 4, false);
    if (at + 4 > bytes.size()) return;
    const std::uint64_t count =
        std::min<std::uint64_t>(number(bytes, static_cast<std::size_t>(at), 4, false), kMostNames);
    at += 4;
    for (std::uint64_t entry = 0; entry < count && at + 4 <= bytes.size(); ++entry) {
      const std::uint64_t size = number(bytes, static_cast<std::size_t>(at), 4, false);
      at += 4;
      if (at >= bytes.size()) return;
      const std::string_view text = bytes.substr(static_cast<std::size_t>(at), static_cast<std::size_t>(size));
      names_.push_back("comment/" + in_capitals(text.substr(0, text.find('='))));
      at += size;
    }
  }

  int fd_;
  std::uint64_t file_bytes_;
  std::vector<std::string> names_;
};

}  // namespace

bool is_plain_chunk(const ChunkForm& form, std::string_view name) noexcept {
  if (&form == &kAiff) return is_one_of(name, kPlainAiff);
  if (&form == &kCaf) return is_one_of(name, kPlainCaf);
  return is_one_of(name, kPlainRiff);
}

bool is_known_chunk(const ChunkForm& form, std::string_view name) noexcept {
  if (is_plain_chunk(form, name)) return true;
  if (&form == &kAiff) return is_one_of(name, kKnownAiff);
  if (&form == &kCaf) return is_one_of(name, kKnownCaf);
  return is_one_of(name, kKnownRiff);
}

std::vector<std::string> chunk_names(int fd, std::uint64_t file_bytes) {
  const HeaderBytes head(fd, 0);
  Names names(fd, file_bytes);
  if (const ChunkForm* form = chunk_form(head)) {
    names.chunks(*form);
  } else if (head.is(0, "fLaC")) {
    names.flac(4);
  } else if (head.is(0, "OggS")) {
    names.ogg();
  } else if (head.is(0, "ID3") && head.size() >= 10) {
    names.id3();
  }
  names.tags(head.size(), head.is(0, "ID3") || (head.number(0, 2, true) & 0xffe0U) == 0xffe0U);
  return names.take();
}

}  // namespace noisefloor
