// Walks chunks, blocks, comments and frames by their headers; every size is a stranger's.
// SPDX-License-Identifier: MIT
#include "harness/audio/chunks.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <string_view>

#include "harness/audio/stated_size.hpp"

namespace noisefloor {
namespace {

constexpr int kMostChunks = 4096;                             // enough to know that something is lost
constexpr std::uint64_t kMostBytes = std::uint64_t{1} << 16;  // of comments, keys and frames
constexpr std::uint64_t kFar = std::uint64_t{1} << 62;

constexpr std::array<std::string_view, 11> kPlainRiff = {"fmt ", "data", "fact", "PEAK", "ds64", "JUNK",
                                                         "junk", "PAD ", "FLLR", "Fake", "slnt"};
constexpr std::array<std::string_view, 4> kPlainAiff = {"COMM", "SSND", "FVER", "PEAK"};
constexpr std::array<std::string_view, 6> kPlainCaf = {"desc", "data", "free", "kuki", "pakt", "peak"};

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

  void riff(bool big_endian) {
    // The size of the samples of an RF64 file is in its first chunk.
    std::uint64_t long_bytes = 0;
    std::uint64_t at = 12;
    for (int chunk = 0; chunk < kMostChunks && fits(at, 8); ++chunk) {
      const std::string head = bytes_at(fd_, at, 36);
      std::uint64_t size = number(head, 4, 4, big_endian);
      const std::string_view name = std::string_view(head).substr(0, 4);
      if (!is_name(name)) return;
      if (name == "ds64") long_bytes = number(head, 16, 8, false);
      if (name == "data" && size == 0xffffffffU && long_bytes > 0) size = long_bytes;
      if (name == "LIST") {
        list(at, size, big_endian);
      } else if (!is_one_of(name, kPlainRiff)) {
        names_.emplace_back(name);
      }
      at = behind(at + 8, size, 2);
    }
  }

  void w64() {
    constexpr std::string_view kTail("\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a", 12);
    std::uint64_t at = 40;
    for (int chunk = 0; chunk < kMostChunks && fits(at, 24); ++chunk) {
      const std::string head = bytes_at(fd_, at, 24);
      const std::uint64_t size = number(head, 16, 8, false);  // with its own 24 bytes
      const std::string_view name = std::string_view(head).substr(0, 4);
      if (size < 24 || head.size() < 24) return;
      if (head.compare(4, 12, kTail) != 0) {
        names_.emplace_back("chunk of a name of its own");
      } else if (!is_one_of(name, kPlainRiff)) {
        names_.emplace_back(name);
      }
      at = behind(at, size, 8);
    }
  }

  void aiff() {
    std::uint64_t at = 12;
    for (int chunk = 0; chunk < kMostChunks && fits(at, 8); ++chunk) {
      const std::string head = bytes_at(fd_, at, 8);
      const std::string_view name = std::string_view(head).substr(0, 4);
      if (name != "(c) " && !is_name(name)) return;
      if (!is_one_of(name, kPlainAiff)) names_.emplace_back(name);
      at = behind(at + 8, number(head, 4, 4, true), 2);
    }
  }

  void caf() {
    std::uint64_t at = 8;
    for (int chunk = 0; chunk < kMostChunks && fits(at, 12); ++chunk) {
      const std::string head = bytes_at(fd_, at, 12);
      const std::uint64_t size = number(head, 4, 8, true);
      const std::string_view name = std::string_view(head).substr(0, 4);
      if (!is_name(name)) return;
      if (name == "info") {
        caf_keys(bytes_at(fd_, at + 12, size));
      } else if (!is_one_of(name, kPlainCaf)) {
        names_.emplace_back(name);
      }
      at = behind(at + 12, size, 1);
    }
  }

  void flac(std::uint64_t at) {
    enum : unsigned { kStreamInfo = 0, kPadding = 1, kApplication = 2, kSeekTable = 3, kComment = 4, kCueSheet = 5 };
    for (int block = 0; block < kMostChunks && fits(at, 4); ++block) {
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
      at = behind(at + 4, size, 1);
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

  /// The end of what begins at `at`; far beyond every file rather than wrapped.
  static std::uint64_t behind(std::uint64_t at, std::uint64_t size, std::uint64_t alignment) noexcept {
    if (at > kFar || size > kFar) return kFar;
    return at + (size + alignment - 1) / alignment * alignment;
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

  void list(std::uint64_t at, std::uint64_t size, bool big_endian) {
    const std::string kind = bytes_at(fd_, at + 8, 4);
    const std::uint64_t end = std::min(file_bytes_, behind(at + 8, size, 1));
    if (kind.size() < 4 || !is_name(kind)) return;
    std::uint64_t inner = at + 12;
    for (int chunk = 0; chunk < kMostChunks && inner + 8 <= end; ++chunk) {
      const std::string head = bytes_at(fd_, inner, 8);
      if (head.size() < 8 || !is_name(std::string_view(head).substr(0, 4))) return;
      names_.push_back("LIST/" + kind + "/" + head.substr(0, 4));
      inner = behind(inner + 8, number(head, 4, 4, big_endian), 2);
    }
  }

  void caf_keys(std::string_view info) {
    const std::uint64_t count = std::min<std::uint64_t>(number(info, 0, 4, true), kMostChunks);
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
        std::min<std::uint64_t>(number(bytes, static_cast<std::size_t>(at), 4, false), kMostChunks);
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

bool is_plain_riff_chunk(std::string_view name) noexcept { return is_one_of(name, kPlainRiff); }

std::vector<std::string> chunk_names(int fd, std::uint64_t file_bytes) {
  const HeaderBytes head(fd, 0);
  Names names(fd, file_bytes);
  if ((head.is(0, "RIFF") || head.is(0, "RIFX") || head.is(0, "RF64")) && head.is(8, "WAVE")) {
    names.riff(head.is(0, "RIFX"));
  } else if (head.is(0, "riff") && head.size() == 40) {
    names.w64();
  } else if (head.is(0, "FORM")) {
    names.aiff();
  } else if (head.is(0, "caff")) {
    names.caf();
  } else if (head.is(0, "fLaC")) {
    names.flac(4);
  } else if (head.is(0, "OggS")) {
    names.ogg();
  } else if (head.is(0, "ID3") && head.size() >= 10) {
    names.id3();
  }
  return names.take();
}

}  // namespace noisefloor
