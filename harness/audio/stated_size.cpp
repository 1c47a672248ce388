// Walks the chunks of the plain formats, with a limit on their number: every size is a stranger's.
// SPDX-License-Identifier: MIT
#include "harness/audio/stated_size.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <utility>

#include "harness/audio/chunk_walk.hpp"
#include "harness/audio/chunks.hpp"
#include "harness/audio/tags.hpp"
#include "harness/base/error.hpp"

namespace noisefloor {
namespace {

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
  std::vector<unsigned char> bytes;
  for (std::size_t i = 0; i < width; ++i) {
    bytes.push_back(static_cast<unsigned char>(value >> (8 * (big_endian ? width - 1 - i : i))));
  }
  return {offset, std::move(bytes)};
}

std::uint64_t as_32_bits(std::uint64_t value) noexcept { return std::min(value, kOnes32); }

// --- What lies behind the samples ---

/// Where what is known, chunks and tags, ends that begins at `at`. A chunk is believed if its name is known, or if the
/// chunks from it on end where the file does.
std::uint64_t end_of_known(const Source& source, const ChunkForm& form, std::uint64_t at) {
  std::uint64_t known = at;
  for (int i = 0; at < source.file_bytes && i < ChunkWalk::kMostChunks; ++i) {
    if (const std::optional<Tag> tag = tag_at(source.fd, at); tag && tag->bytes <= source.behind(at)) {
      known = at += tag->bytes;
      continue;
    }
    ChunkWalk walk(source.fd, source.file_bytes, form, at);
    const std::optional<Chunk> chunk = walk.next();
    if (!chunk || !chunk->has_standard_name || !is_chunk_name(chunk->name())) break;
    const bool fits = chunk->size <= source.behind(chunk->body);
    const bool is_known = is_known_chunk(form, chunk->name());
    if (!fits && !is_known) break;
    at = std::min(walk.at(), source.file_bytes);
    if (is_known) known = at;
  }
  return at == source.file_bytes                                       ? at
         : begin_of_tags(source.fd, known, source.file_bytes) == known ? source.file_bytes
                                                                       : known;
}

/// Sets where the samples lie that begin at `begin` and are said to have `size` bytes, in a file that is said to end at
/// `whole` (kOnes64: not said), and what is behind them. `is_placeholder` says that writers leave this size which never
/// know it. What is behind the samples is sound where it is nothing known and lies within `whole`; so it is where both
/// sizes are right but for a multiple of 2^32.
void place_samples(const Source& source, const ChunkForm& form, std::uint64_t begin, std::uint64_t size,
                   std::uint64_t whole, bool is_placeholder, StatedSize& result) {
  const std::uint64_t file = source.file_bytes;
  const std::uint64_t there = source.behind(begin);
  const auto to_end = [&](std::uint64_t limit) {
    result.samples = {std::min(begin, file), begin_of_tags(source.fd, std::min(begin, file), std::min(limit, file))};
    result.tail = result.samples->end;
  };
  if (size > there || (size == there && !is_placeholder)) {
    result.is_missing = size > there && is_placeholder;
    if (!result.is_missing) result.sample_bytes = size;
    to_end(file);
    if (!result.is_missing) result.tail = result.samples->end = file;
    return;
  }
  // Some writers leave out the byte that makes a chunk's length even.
  const std::uint64_t end = begin + size;
  const std::uint64_t padded = std::min(file, end + (form.alignment - size % form.alignment) % form.alignment);
  result.tail = padded;
  std::uint64_t known = end_of_known(source, form, padded);
  if (known == padded && padded != end) {
    if (const std::uint64_t unpadded = end_of_known(source, form, end); unpadded > padded) {
      known = unpadded;
      result.tail = end;
    }
  }
  if (known == file || (known > padded && !is_placeholder)) {
    result.sample_bytes = size;
    result.samples = {begin, end};
    result.other_bytes = file - known;
    return;
  }
  if (size == 0 || is_placeholder) {
    result.is_missing = true;
    to_end(file);
    return;
  }
  result.sample_bytes = size;
  constexpr std::uint64_t kWrap = std::uint64_t{1} << 32;
  if (form.size_bytes == 4 && whole < file && (file - whole) % kWrap == 0) {
    const std::uint64_t wrapped = size + (there - size) / kWrap * kWrap;
    if (wrapped > size && end_of_known(source, form, begin + wrapped + wrapped % 2) == file) {
      result.is_understated = true;
      result.tail = std::min(file, begin + wrapped + wrapped % 2);
      result.samples = {begin, begin + wrapped};
      return;
    }
  }
  result.is_understated = whole > padded;
  if (result.is_understated) {
    to_end(whole);
    result.other_bytes = file - end_of_known(source, form, result.samples->end);
  } else {
    result.samples = {begin, end};
    result.other_bytes = file - padded;
  }
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

constexpr std::uint64_t kPcm = 1, kFloat = 3, kExtensible = 0xfffe;

/// 24 bits in 4 bytes, as `arecord -f S24_LE` writes.
bool is_24_in_4(const WaveFormat& format) noexcept {
  return format.tag == kPcm && format.bits == 24 && format.channels > 0 && format.align == 4 * format.channels;
}

/// libsndfile goes by channels and bits, which makes noise of samples that lie further apart. An alignment of 0 is left
/// to it.
void refuse_contradiction(const WaveFormat& format, const std::string& path) {
  if (format.tag != kPcm && format.tag != kFloat && format.tag != kExtensible) return;
  if (format.align == 0 || format.bits == 0 || format.channels == 0 || is_24_in_4(format)) return;
  if (format.align == format.channels * ((format.bits + 7) / 8)) return;
  throw Error(
      fmt::format("'{}' contradicts itself: a block alignment of {} bytes for {} channels of {} bits: no sample can be "
                  "told from the next",
                  path, format.align, format.channels, format.bits));
}

/// Which three of the four bytes hold the samples: the lower ones, if the highest repeats the sign in all of them; the
/// upper ones, if the lowest is always 0. In silence, which is both, the lower ones. Throws Error if all four are used.
StatedSize::Packing find_packing(const Source& source, const StatedSize::Extent& samples, bool big_endian) {
  std::vector<unsigned char> buffer(std::size_t{1} << 16);
  bool is_low = true, is_high = true;
  for (std::uint64_t at = samples.begin; at + 4 <= samples.end && is_low == is_high;) {
    const std::size_t wanted = static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), samples.end - at));
    const ssize_t got = ::pread(source.fd, buffer.data(), wanted, static_cast<off_t>(at));
    if (got < 4) break;
    const auto whole = static_cast<std::size_t>(got) / 4 * 4;
    for (std::size_t i = 0; i < whole; i += 4) {
      const unsigned char top = buffer[big_endian ? i : i + 3], next = buffer[big_endian ? i + 1 : i + 2];
      is_low = is_low && top == ((next & 0x80U) != 0 ? 0xffU : 0U);
      is_high = is_high && buffer[big_endian ? i + 3 : i] == 0;
    }
    if (!is_low && !is_high) {
      throw Error(
          fmt::format("'{}' says 24 bits in 4 bytes, and uses all four: its levels cannot be known", source.path));
    }
    at += whole;
  }
  return {.skip = is_low == big_endian ? 1U : 0U};
}

/// The sizes that writers leave which cannot go back: all ones, the largest signed one, arecord's and sox's
/// (a whole number of frames below 0x7ffff000).
bool is_placeholder(std::uint64_t size, std::uint64_t align) noexcept {
  constexpr std::uint64_t kSox = 0x7ffff000U;
  return size == kOnes32 || size == 0x7fffffffU || size == 0x80000000U ||
         (size <= kSox && size + std::max<std::uint64_t>(align, 1) > kSox);
}

/// Whether a LIST holds chunks of sizes that fit. From one that does not, libsndfile 1.2 goes back and round for ever.
bool is_sound_list(const Source& source, const ChunkForm& form, const Chunk& list) {
  if (list.size > source.behind(list.body)) return false;
  const std::uint64_t end = list.body + list.size;
  ChunkWalk walk(source.fd, end, form, list.body + 4);
  while (const std::optional<Chunk> part = walk.next()) {
    if (part->size > end - part->body) return false;
  }
  return walk.at() + form.header_bytes() > end;
}

/// Looks at the chunks behind the samples, and hides all from the first that makes no sense to libsndfile.
void check_tail(const Source& source, const ChunkForm& form, StatedSize& result) {
  const std::uint64_t bytes = result.samples->end - result.samples->begin;
  std::uint64_t at = result.tail;
  if (at < source.file_bytes && (form.size_bytes == 8 || (at == result.samples->end && bytes % 2 == 1))) {
    // libsndfile takes all that follows the samples of a W64 file for samples, and does not find a chunk that begins at
    // an odd byte.
    result.visible_bytes = result.samples->end;
    result.hides_chunks = result.other_bytes < source.file_bytes - at;
    result.may_say_more = true;
    return;
  }
  ChunkWalk walk(source.fd, source.file_bytes, form, at);
  while (walk.at() < source.file_bytes) {
    at = walk.at();
    const std::optional<Chunk> chunk = walk.next();
    const bool is_tag = tag_at(source.fd, at).has_value();
    result.may_say_more = result.may_say_more || is_tag || (chunk && !is_plain_chunk(form, chunk->name()));
    if (is_tag || !chunk || !is_chunk_name(chunk->name()) || chunk->size > source.behind(chunk->body) ||
        (chunk->is("LIST") && !is_sound_list(source, form, *chunk))) {
      result.visible_bytes = at;
      result.hides_chunks = !is_tag && chunk && is_chunk_name(chunk->name());
      return;
    }
  }
}

/// Makes libsndfile read `bytes` of samples, where the sizes in the file are wrong.
void correct_riff(const Source& source, const ChunkForm& form, const Chunk& data, std::uint64_t ds64,
                  std::uint64_t bytes, StatedSize& result) {
  const auto correct = [&](std::uint64_t at, std::uint64_t value, std::size_t width) {
    result.corrections.push_back(correction(at, value, width, form.big_endian));
  };
  if (ds64 != 0) {
    correct(ds64 + 8, source.file_bytes - 8, 8);
    correct(ds64 + 16, bytes, 8);
  } else if (form.counts_header) {
    correct(16, source.file_bytes, 8);
    correct(data.at + 16, bytes + 24, 8);
  } else if (bytes < kOnes32 - (1U << 20)) {
    correct(4, as_32_bits(source.file_bytes - 8), 4);
    correct(data.at + 4, bytes, 4);
  } else {
    // What libsndfile takes for a file that was not closed, and reads to its end.
    correct(4, 8, 4);
    correct(data.at + 4, 0, 4);
    result.visible_bytes = data.body + bytes;
  }
}

/// What `fmt ` says beyond what libsndfile keeps: the bits that are valid, and the mask of channels.
void keep_extensible(const Chunk& fmt, const WaveFormat& format, bool big_endian, StatedSize& result) {
  constexpr std::uint64_t kAt = 18, kBytes = 6;
  if (format.tag != kExtensible || fmt.size < kAt + kBytes) return;
  const std::size_t at = static_cast<std::size_t>(fmt.body - fmt.at + kAt);
  result.kept.push_back({.chunk = "fmt ", .offset = kAt, .bytes = std::string(fmt.bytes.text(at, kBytes))});
  const std::uint64_t valid = fmt.bytes.number(at, 2, big_endian);
  if (valid >= 4 && valid < format.bits) result.valid_bits = static_cast<int>(valid);
}

/// RIFF, RIFX, RF64 and W64.
StatedSize riff_size(const Source& source, const ChunkForm& form, const HeaderBytes& head) {
  StatedSize result;
  result.may_say_more = false;
  std::uint64_t whole = head.number(form.name_bytes, form.size_bytes, form.big_endian) + (form.counts_header ? 0 : 8);
  std::uint64_t ds64 = 0;
  WaveFormat format;
  ChunkWalk walk(source.fd, source.file_bytes, form);
  while (const std::optional<Chunk> chunk = walk.next()) {
    const auto fmt_at = static_cast<std::size_t>(chunk->body - chunk->at);
    result.may_say_more = result.may_say_more || !chunk->has_standard_name || !is_plain_chunk(form, chunk->name());
    if (chunk->is("fmt ") && chunk->size >= 16 && chunk->bytes.size() >= fmt_at + 16) {
      format = wave_format(chunk->bytes, fmt_at, form.big_endian);
      refuse_contradiction(format, source.path);
      if (is_24_in_4(format)) {
        result.corrections = {correction(chunk->body + 12, 3 * format.channels, 2, form.big_endian)};
      }
      keep_extensible(*chunk, format, form.big_endian, result);
    } else if (form.has_long_sizes && chunk->is("ds64") && chunk->size >= 24 && chunk->bytes.size() >= 32) {
      ds64 = chunk->at;
      whole = chunk->bytes.number(8, 8, false);
      whole = whole > kOnes64 - 8 ? kOnes64 : whole + 8;
    } else if (chunk->is("data")) {
      const bool is_long = form.has_long_sizes && chunk->bytes.number(4, 4, false) == kOnes32;
      if (is_long && ds64 == 0) return result;  // libsndfile will say so
      const std::uint64_t size = is_long ? HeaderBytes(source.fd, ds64).number(16, 8, false) : chunk->size;
      const bool has_long_size = is_long || form.size_bytes == 8;
      const bool is_open = has_long_size ? size >= kOnes64 - 24 : is_placeholder(size, format.align);
      place_samples(source, form, chunk->body, size, whole, is_open, result);
      const std::uint64_t bytes = result.samples->end - result.samples->begin;
      if (is_24_in_4(format)) {
        result.packing = find_packing(source, *result.samples, form.big_endian);
        result.visible_bytes = result.samples->begin + bytes / 4 * 3;
        result.may_say_more = true;
        correct_riff(source, form, *chunk, is_long ? ds64 : 0, bytes / 4 * 3, result);
      } else if (result.is_missing || result.is_understated) {
        correct_riff(source, form, *chunk, is_long ? ds64 : 0, bytes, result);
      }
      if (!result.visible_bytes) check_tail(source, form, result);
      return result;
    } else if (form.size_bytes == 4 &&
               (!is_chunk_name(chunk->name()) || (chunk->is("LIST") && !is_sound_list(source, form, *chunk)))) {
      result.corrections.push_back(correction(chunk->at, 0x6a756e6bU, 4, true));  // "junk", which is skipped
      result.hides_chunks = true;
    }
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

/// A positive 80-bit float below 2^32 with no fraction: 63 bits follow its first one.
bool is_whole(std::uint64_t sign_and_exponent, std::uint64_t mantissa) noexcept {
  const std::uint64_t fraction_bits = 16383 + 63 - sign_and_exponent;
  return (mantissa & ((std::uint64_t{1} << fraction_bits) - 1)) == 0;
}

StatedSize aiff_size(const Source& source, const HeaderBytes& head) {
  StatedSize result;
  std::optional<Chunk> comm, ssnd;
  ChunkWalk walk(source.fd, source.file_bytes, kAiff);
  while (!comm || !ssnd) {
    const std::optional<Chunk> chunk = walk.next();
    if (!chunk) break;
    if (chunk->is("COMM") && chunk->size >= 18 && chunk->bytes.size() >= 26) comm = chunk;
    if (chunk->is("SSND")) ssnd = chunk;
  }
  std::uint64_t frame_bytes = 0;
  if (comm) {
    refuse_rate(comm->bytes.number(16, 2, true), source.path);
    frame_bytes = comm->bytes.number(8, 2, true) * ((comm->bytes.number(14, 2, true) + 7) / 8);
    result.frames = comm->bytes.number(10, 4, true);
    if (!is_whole(comm->bytes.number(16, 2, true), comm->bytes.number(18, 8, true))) {
      result.kept.push_back({.chunk = "COMM", .offset = 8, .bytes = std::string(comm->bytes.text(16, 10))});
    }
  }
  if (!ssnd) return result;
  const std::uint64_t before = 8 + ssnd->bytes.number(8, 4, true);
  const std::uint64_t begin = ssnd->body + before;
  const std::uint64_t size = ssnd->size - std::min(ssnd->size, before);
  const bool has_no_frames = !comm || *result.frames == 0 || *result.frames == kOnes32;
  // The size of an empty file is right if it says of its frames that there are none, or some that are not there.
  const bool is_open = is_placeholder(ssnd->size, frame_bytes) || (size == 0 && has_no_frames);
  std::uint64_t whole = head.number(4, 4, true) + 8;
  const bool is_compressed = comm && head.is(8, "AIFC") && comm->size >= 22 &&
                             HeaderBytes(source.fd, comm->body + 18).number(0, 4, true) != 0x4e4f4e45U;
  if (!has_no_frames && !is_compressed && *result.frames * frame_bytes > size) {
    whole = std::max(whole, begin + *result.frames * frame_bytes);
  }
  place_samples(source, kAiff, begin, size, whole, is_open, result);
  if (result.is_missing) result.frames.reset();
  if (result.is_missing || result.is_understated) {
    const std::uint64_t bytes = result.samples->end - result.samples->begin;
    result.corrections = {correction(4, as_32_bits(source.file_bytes - 8), 4, true),
                          correction(ssnd->at + 4, as_32_bits(bytes + before), 4, true)};
    if (comm && frame_bytes > 0) {
      result.corrections.push_back(correction(comm->at + 10, as_32_bits(bytes / frame_bytes), 4, true));
    }
  }
  if (result.other_bytes > 0) result.visible_bytes = source.file_bytes - result.other_bytes;
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
  const std::uint64_t begin = std::min(start, source.file_bytes);
  const std::uint64_t end = begin_of_tags(source.fd, begin, source.file_bytes);
  StatedSize result;
  result.samples = {begin, end};
  if (size != kOnes32) {
    result.is_missing = size == 0 && end > begin;
    if (!result.is_missing) result.sample_bytes = size;
    result.is_understated = size > 0 && size < there && (there - size) % (kOnes32 + 1) == 0;
    if (!result.is_missing && !result.is_understated && size < end - begin) {
      result.samples->end = begin + size;
      result.other_bytes = end - result.samples->end;
    }
  }
  // libsndfile takes sizes from 2^31 on for negative ones.
  if (size != kOnes32 && size != result.samples->end - begin)
    result.corrections = {correction(8, kOnes32, 4, big_endian)};
  if (result.samples->end < source.file_bytes) result.visible_bytes = result.samples->end;
  return result;
}

StatedSize caf_size(const Source& source) {
  StatedSize result;
  ChunkWalk walk(source.fd, source.file_bytes, kCaf);
  while (const std::optional<Chunk> chunk = walk.next()) {
    if (chunk->is("desc") && chunk->bytes.size() >= 20) {
      const double rate = std::bit_cast<double>(chunk->bytes.number(12, 8, true));
      if (std::isfinite(rate) && rate != std::floor(rate)) {
        result.kept.push_back({.chunk = "desc", .offset = 0, .bytes = std::string(chunk->bytes.text(12, 8))});
      }
    }
    if (!chunk->is("data")) continue;
    constexpr std::uint64_t kEditCount = 4;
    const std::uint64_t begin = chunk->body + kEditCount;
    const bool is_open = chunk->size == kOnes64;  // to the end of the file: the format allows it, libsndfile does not
    if (!is_open && chunk->size >= kOnes64 / 2) return result;  // negative: libsndfile will say so
    const std::uint64_t size = std::max(chunk->size, kEditCount) - kEditCount;
    place_samples(source, kCaf, begin, is_open ? kOnes64 / 4 : size, 0, is_open, result);
    if (is_open || result.is_missing || result.sample_bytes != result.samples->end - result.samples->begin) {
      const std::uint64_t bytes = result.samples->end - std::min(chunk->body, result.samples->end);
      result.corrections = {correction(chunk->at + 4, bytes, 8, true)};
    }
    if (is_open) result.is_missing = false;
    if (result.other_bytes > 0) result.visible_bytes = source.file_bytes - result.other_bytes;
    return result;
  }
  return result;
}

}  // namespace

StatedSize stated_size(int fd, std::uint64_t file_bytes, const std::string& path) {
  const Source source{fd, file_bytes, path};
  const HeaderBytes head = source.at(0);
  if (head.is(0, ".snd") || head.is(0, "dns.")) return au_size(source, head);
  const ChunkForm* form = chunk_form(head);
  if (form == nullptr) return {};
  if (form == &kCaf) return caf_size(source);
  if (form != &kAiff) return riff_size(source, *form, head);
  return head.is(8, "AIFF") || head.is(8, "AIFC") ? aiff_size(source, head) : StatedSize();
}

}  // namespace noisefloor
