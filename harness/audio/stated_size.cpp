// Walks the chunks of the plain formats, with a limit on their number: every size is a stranger's.
// SPDX-License-Identifier: MIT
#include "harness/audio/stated_size.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "harness/audio/chunks.hpp"
#include "harness/base/error.hpp"

namespace noisefloor {
namespace {

constexpr int kMostChunks = 65536;  // an end for files made to have none
constexpr std::uint64_t kOnes32 = 0xffffffffU;
constexpr std::uint64_t kOnes64 = ~std::uint64_t{0};

struct Source {
  int fd;
  std::uint64_t file_bytes;
  const std::string& path;

  [[nodiscard]] HeaderBytes at(std::uint64_t offset) const noexcept { return {fd, offset}; }
  [[nodiscard]] std::uint64_t behind(std::uint64_t offset) const noexcept {
    return file_bytes - std::min(file_bytes, offset);
  }
};

StatedSize::Correction correction(std::uint64_t offset, std::uint64_t value, std::size_t width, bool big_endian) {
  std::vector<unsigned char> bytes(width);
  for (std::size_t i = 0; i < width; ++i) {
    bytes[big_endian ? width - 1 - i : i] = static_cast<unsigned char>(value >> (8 * i));
  }
  return {offset, std::move(bytes)};
}

std::uint64_t as_32_bits(std::uint64_t value) noexcept { return std::min(value, kOnes32); }

/// The next chunk's offset; wraps never, so that the walk ends.
std::uint64_t advance(std::uint64_t at, std::uint64_t header, std::uint64_t size, std::uint64_t alignment) noexcept {
  constexpr std::uint64_t kFar = std::uint64_t{1} << 62;
  if (at > kFar || size > kFar) return kOnes64 / 2;
  return at + header + (size + alignment - 1) / alignment * alignment;
}

// --- RIFF, RIFX, RF64, W64 ---

/// What `fmt ` says, from its format tag on.
struct WaveFormat {
  std::uint64_t tag = 0, channels = 0, align = 0, bits = 0;
};

WaveFormat wave_format(const HeaderBytes& bytes, std::size_t at, bool big_endian) noexcept {
  return {.tag = bytes.number(at, 2, big_endian),
          .channels = bytes.number(at + 2, 2, big_endian),
          .align = bytes.number(at + 12, 2, big_endian),
          .bits = bytes.number(at + 14, 2, big_endian)};
}

/// libsndfile goes by channels and bits, which makes noise of samples that lie further apart. What it knows
/// itself is left to it: an alignment of 0, and arecord's 24 bits in 4 bytes.
void refuse_contradiction(const WaveFormat& format, const std::string& path) {
  constexpr std::uint64_t kPcm = 1, kFloat = 3, kExtensible = 0xfffe;
  if (format.tag != kPcm && format.tag != kFloat && format.tag != kExtensible) return;
  if (format.align == 0 || format.bits == 0 || format.channels == 0) return;
  if (format.tag == kPcm && format.bits == 24 && format.align == 4 * format.channels) return;
  if (format.align == format.channels * ((format.bits + 7) / 8)) return;
  throw Error(
      fmt::format("'{}' contradicts itself: a block alignment of {} bytes for {} channels of {} bits: no sample can be "
                  "told from the next",
                  path, format.align, format.channels, format.bits));
}

/// The sizes that writers leave which cannot go back: all ones, the largest signed one, arecord's and sox's
/// (a whole number of frames below 0x7ffff000).
bool is_placeholder(std::uint64_t size, std::uint64_t align) noexcept {
  constexpr std::uint64_t kSox = 0x7ffff000U;
  return size == kOnes32 || size == 0x7fffffffU || size == 0x80000000U ||
         (size <= kSox && size + std::max<std::uint64_t>(align, 1) > kSox);
}

/// Whether `whole`, what the file says to have behind its first 8 bytes, leaves no room for a byte at `start`.
bool ends_before(std::uint64_t whole, std::uint64_t start, std::uint64_t ones) noexcept {
  return whole == ones || whole <= start - 8;
}

/// Whether the chunk of `size` bytes at `at`, a LIST, holds chunks of sizes that fit. From one that does not,
/// libsndfile 1.2 goes back and round for ever.
bool is_sound_list(const Source& source, std::uint64_t at, std::uint64_t size, bool big_endian) {
  if (size > source.behind(at + 8)) return false;
  const std::uint64_t end = at + 8 + size;
  std::uint64_t inner = at + 12;
  for (int chunk = 0; inner + 8 <= end; ++chunk) {
    const HeaderBytes bytes = source.at(inner);
    const std::uint64_t inner_size = bytes.number(4, 4, big_endian);
    if (chunk >= kMostChunks || bytes.size() < 8 || inner_size > end - inner - 8) return false;
    inner = advance(inner, 8, inner_size, 2);
  }
  return true;
}

/// Whether four bytes can be the name of a chunk. At others, libsndfile looks for the next chunk in its own way.
bool is_name(const HeaderBytes& bytes) noexcept {
  for (std::size_t i = 0; i < 4; ++i) {
    const std::uint64_t c = bytes.number(i, 1, true);
    if (c < 0x20 || c > 0x7e) return false;
  }
  return true;
}

/// Looks at the chunks from `at` on, which follow the samples, and hides all from the first that makes no sense.
void check_tail(const Source& source, std::uint64_t at, bool big_endian, StatedSize& result) {
  for (int chunk = 0; at < source.file_bytes; ++chunk) {
    const HeaderBytes bytes = source.at(at);
    const std::uint64_t size = bytes.number(4, 4, big_endian);
    result.may_say_more = result.may_say_more || !is_plain_riff_chunk(bytes.name());
    if (chunk >= kMostChunks || bytes.size() < 8 || !is_name(bytes) || size > source.behind(at + 8) ||
        (bytes.is(0, "LIST") && !is_sound_list(source, at, size, big_endian))) {
      result.visible_bytes = at;
      result.hides_chunks = bytes.size() >= 8 && is_name(bytes);
      return;
    }
    at = advance(at, 8, size, 2);
  }
}

StatedSize riff_size(const Source& source, const HeaderBytes& head) {
  const bool is_long = head.is(0, "RF64");
  const bool big_endian = head.is(0, "RIFX");
  std::uint64_t whole = head.number(4, 4, big_endian);
  std::uint64_t whole_ones = kOnes32;
  std::optional<std::uint64_t> long_bytes;
  std::uint64_t ds64 = 0;
  WaveFormat format;
  StatedSize result;
  result.may_say_more = false;
  std::uint64_t at = 12;
  for (int chunk = 0; chunk < kMostChunks && at + 8 <= source.file_bytes; ++chunk) {
    const HeaderBytes bytes = source.at(at);
    if (bytes.size() < 8) break;
    const std::uint64_t size = bytes.number(4, 4, big_endian);
    result.may_say_more = result.may_say_more || !is_plain_riff_chunk(bytes.name());
    if (bytes.is(0, "fmt ") && size >= 16) {
      format = wave_format(bytes, 8, big_endian);
      refuse_contradiction(format, source.path);
    } else if (is_long && bytes.is(0, "ds64") && size >= 24 && bytes.size() >= 32) {
      ds64 = at;
      whole = bytes.number(8, 8, false);
      whole_ones = kOnes64;
      long_bytes = bytes.number(16, 8, false);
    } else if (bytes.is(0, "data")) {
      const std::uint64_t start = at + 8;
      const std::uint64_t there = source.behind(start);
      if (is_long && size == kOnes32) {
        if (!long_bytes) return result;  // libsndfile will say so
        result.is_missing =
            *long_bytes == kOnes64 || (*long_bytes == 0 && there > 0 && ends_before(whole, start, whole_ones));
        if (!result.is_missing) {
          result.sample_bytes = long_bytes;
          check_tail(source, advance(start, 0, *long_bytes, 2), big_endian, result);
          return result;
        }
        result.corrections.push_back(correction(ds64 + 8, source.file_bytes - 8, 8, false));
        result.corrections.push_back(correction(ds64 + 16, there, 8, false));
        return result;
      }
      result.is_missing = (size == 0 && there > 0 && ends_before(whole, start, whole_ones)) ||
                          (size > there && is_placeholder(size, format.align));
      if (!result.is_missing) {
        result.sample_bytes = size;
        check_tail(source, advance(start, 0, size, 2), big_endian, result);
        return result;
      }
      // More than 32 bits can say is left to the comparison of what was promised with what was read.
      if (there > kOnes32) result.sample_bytes = there;
      result.corrections.push_back(correction(4, as_32_bits(source.file_bytes - 8), 4, big_endian));
      result.corrections.push_back(correction(at + 4, as_32_bits(there), 4, big_endian));
      return result;
    } else if (!is_name(bytes) || (bytes.is(0, "LIST") && !is_sound_list(source, at, size, big_endian))) {
      result.corrections.push_back(correction(at, 0x6a756e6bU, 4, true));  // "junk", which is skipped
      result.hides_chunks = true;
    }
    at = advance(at, 8, size, 2);
  }
  return result;
}

constexpr std::string_view kW64Riff("\x72\x69\x66\x66\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00", 16);
constexpr std::string_view kW64Tail("\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a", 12);  // of other chunks' names

StatedSize w64_size(const Source& source) {
  StatedSize result;
  std::uint64_t at = 40;
  for (int chunk = 0; chunk < kMostChunks && at + 24 <= source.file_bytes; ++chunk) {
    const HeaderBytes bytes = source.at(at);
    if (bytes.size() < 24) break;
    const std::uint64_t size = bytes.number(16, 8, false);  // with its own 24 bytes
    if (bytes.is(4, kW64Tail) && bytes.is(0, "fmt ") && bytes.size() == 40) {
      refuse_contradiction(wave_format(bytes, 24, false), source.path);
    } else if (bytes.is(4, kW64Tail) && bytes.is(0, "data")) {
      // libsndfile reads to the end where the chunk says that it is empty.
      result.is_missing = size == kOnes64 || (size <= 24 && source.behind(at + 24) > 0);
      if (!result.is_missing) result.sample_bytes = std::max<std::uint64_t>(size, 24) - 24;
      return result;
    }
    if (size < 24) break;
    at = advance(at, 0, size, 8);
  }
  return result;
}

// --- AIFF ---

/// A rate from 1 to 2^31 - 1 as an 80-bit float: sign and exponent say enough. libsndfile makes 1 of 0, and
/// some rate of infinity.
void refuse_rate(std::uint64_t sign_and_exponent, const std::string& path) {
  constexpr std::uint64_t kOne = 16383;
  if (sign_and_exponent >= kOne && sign_and_exponent <= kOne + 30) return;
  throw Error(fmt::format("'{}' says a sampling rate that cannot be: not between 1 Hz and 2^31 Hz", path));
}

StatedSize aiff_size(const Source& source) {
  StatedSize result;
  std::uint64_t at = 12, comm = 0, frame_bytes = 0;
  for (int chunk = 0; chunk < kMostChunks && at + 8 <= source.file_bytes; ++chunk) {
    const HeaderBytes bytes = source.at(at);
    if (bytes.size() < 8) break;
    const std::uint64_t size = bytes.number(4, 4, true);
    if (bytes.is(0, "COMM") && size >= 18 && bytes.size() >= 26) {
      refuse_rate(bytes.number(16, 2, true), source.path);
      comm = at;
      frame_bytes = bytes.number(8, 2, true) * ((bytes.number(14, 2, true) + 7) / 8);
      result.frames = bytes.number(10, 4, true);
      if (result.sample_bytes) return result;
    } else if (bytes.is(0, "SSND")) {
      const std::uint64_t before = 8 + bytes.number(8, 4, true);
      const std::uint64_t there = source.behind(at + 8 + before);
      const bool is_empty = size <= before && (comm == 0 || *result.frames == 0 || *result.frames == kOnes32);
      if (there > 0 && (is_empty || (size > there + before && is_placeholder(size, frame_bytes)))) {
        result.is_missing = true;
        result.frames.reset();
        result.corrections = {correction(4, as_32_bits(source.file_bytes - 8), 4, true),
                              correction(at + 4, as_32_bits(there + before), 4, true)};
        if (comm != 0 && frame_bytes > 0) {
          result.corrections.push_back(correction(comm + 10, as_32_bits(there / frame_bytes), 4, true));
        }
        return result;
      }
      result.sample_bytes = size - std::min(size, before);
      if (comm != 0) return result;
    }
    at = advance(at, 8, size, 2);
  }
  return result;
}

// --- AU, CAF ---

StatedSize au_size(const Source& source, const HeaderBytes& head) {
  const bool big_endian = head.is(0, ".snd");
  const std::uint64_t start = head.number(4, 4, big_endian);
  const std::uint64_t size = head.number(8, 4, big_endian);
  constexpr std::uint64_t kHeaderBytes = 24;
  if (head.size() >= kHeaderBytes && start < kHeaderBytes) {
    throw Error(fmt::format("'{}' says that its samples begin at byte {}, inside its header of {} bytes", source.path,
                            start, kHeaderBytes));
  }
  const std::uint64_t there = source.behind(start);
  StatedSize result;
  if (size == kOnes32) return result;
  result.is_missing = size == 0 && there > 0;
  if (!result.is_missing) result.sample_bytes = size;
  // libsndfile takes sizes from 2^31 on for negative ones.
  if (result.is_missing || size > there) result.corrections = {correction(8, kOnes32, 4, big_endian)};
  return result;
}

StatedSize caf_size(const Source& source) {
  StatedSize result;
  std::uint64_t at = 8;
  for (int chunk = 0; chunk < kMostChunks && at + 12 <= source.file_bytes; ++chunk) {
    const HeaderBytes bytes = source.at(at);
    if (bytes.size() < 12) break;
    const std::uint64_t size = bytes.number(4, 8, true);
    if (bytes.is(0, "data")) {
      constexpr std::uint64_t kEditCount = 4;
      const std::uint64_t there = source.behind(at + 12);
      const bool is_open = size == kOnes64;  // to the end of the file: the format allows it, libsndfile does not
      if (!is_open && size >= kOnes64 / 2) return result;  // negative: libsndfile will say so
      if (!is_open) result.sample_bytes = std::max(size, kEditCount) - kEditCount;
      if (is_open || size > there) result.corrections = {correction(at + 4, there, 8, true)};
      return result;
    }
    at = advance(at, 12, size, 1);
  }
  return result;
}

}  // namespace

HeaderBytes::HeaderBytes(int fd, std::uint64_t offset) noexcept {
  const ssize_t got = ::pread(fd, bytes_.data(), bytes_.size(), static_cast<off_t>(offset));
  size_ = got < 0 ? 0 : static_cast<std::size_t>(got);
}

bool HeaderBytes::is(std::size_t at, std::string_view id) const noexcept {
  return at + id.size() <= size_ && std::memcmp(bytes_.data() + at, id.data(), id.size()) == 0;
}

std::uint64_t HeaderBytes::number(std::size_t at, std::size_t width, bool big_endian) const noexcept {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < width && at + width <= size_; ++i) {
    value = value << 8 | bytes_[at + (big_endian ? i : width - 1 - i)];
  }
  return value;
}

StatedSize stated_size(int fd, std::uint64_t file_bytes, const std::string& path) {
  const Source source{fd, file_bytes, path};
  const HeaderBytes head = source.at(0);
  if (head.is(0, ".snd") || head.is(0, "dns.")) return au_size(source, head);
  if (head.is(0, "caff")) return caf_size(source);
  if (head.is(0, kW64Riff)) return w64_size(source);
  if (head.is(0, "FORM") && (head.is(8, "AIFF") || head.is(8, "AIFC"))) return aiff_size(source);
  if ((head.is(0, "RIFF") || head.is(0, "RIFX") || head.is(0, "RF64")) && head.is(8, "WAVE")) {
    return riff_size(source, head);
  }
  return {};
}

}  // namespace noisefloor
