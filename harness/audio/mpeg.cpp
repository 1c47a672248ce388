// MPEG audio by libmpg123, part by part: a length from a count of frames (ISO 11172-3, 13818-3), never an estimate.
// SPDX-License-Identifier: MIT
#include <fmt/format.h>
#include <mpg123.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <string_view>
#include <vector>

#include "harness/audio/decoder.hpp"
#include "harness/audio/file_window.hpp"
#include "harness/audio/tags.hpp"
#include "harness/base/error.hpp"

namespace noisefloor {
namespace {

constexpr std::size_t kLongestFrame = 4096;  // and more: 2881 bytes in layer II and III, 2305 in layer I

struct Frame {
  std::uint32_t kind;     ///< version, layer and rate: the same in all frames of a stream
  std::uint32_t bytes;    ///< with its header
  std::uint32_t samples;  ///< per channel
  bool is_info;           ///< Xing's, which tells of the file, and is no sound
};

/// kbit/s: layers I, II and III of MPEG 1, then I, and II or III of MPEG 2.
constexpr std::array<std::array<std::uint16_t, 15>, 5> kBitRates = {
    {{0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448},
     {0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384},
     {0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320},
     {0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256},
     {0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160}}};

/// The frame whose header `bytes` begin with, if they do, and its length follows from it (not so in "free format").
std::optional<Frame> frame_in(std::string_view bytes) {
  if (bytes.size() < 4) return std::nullopt;
  std::uint32_t head = 0;
  for (std::size_t i = 0; i < 4; ++i) head = head << 8 | static_cast<unsigned char>(bytes[i]);
  const std::uint32_t version = head >> 19 & 3, layer = 4 - (head >> 17 & 3), bit_rate = head >> 12 & 15,
                      rate = head >> 10 & 3, padding = head >> 9 & 1;
  constexpr std::uint32_t kMpeg1 = 3, kReserved = 1;
  if (head >> 21 != 0x7ff || version == kReserved || layer == 4 || bit_rate == 0 || bit_rate == 15 || rate == 3) {
    return std::nullopt;
  }
  const bool is_mpeg1 = version == kMpeg1;
  constexpr std::array<std::uint32_t, 3> kRates = {44100, 48000, 32000};
  const std::uint32_t hz = kRates[rate] >> (is_mpeg1 ? 0 : version == 2 ? 1 : 2);
  const std::uint32_t bits_per_second = 1000U * kBitRates[is_mpeg1 ? layer - 1 : layer == 1 ? 3 : 4][bit_rate];
  const std::uint32_t samples = layer == 1 ? 384 : layer == 2 || is_mpeg1 ? 1152 : 576;
  const std::uint32_t unit = layer == 1 ? 4 : 1;
  const std::uint32_t length = (samples / 8 / unit * bits_per_second / hz + padding) * unit;
  bool is_info = false;
  if (layer == 3) {
    const bool is_mono = (head >> 6 & 3) == 3;
    const bool has_sum = (head >> 16 & 1) == 0;
    const std::size_t side = (is_mpeg1 ? (is_mono ? 17 : 32) : (is_mono ? 9 : 17)) + (has_sum ? 2 : 0);
    const std::string_view mark = bytes.substr(std::min(bytes.size(), 4 + side), 4);
    is_info = mark == "Xing" || mark == "Info";
  }
  return Frame{head & 0xfffe0c00U, length, samples, is_info};
}

/// Frames that are decoded together: from one file where several were joined.
struct Part {
  std::uint64_t begin, end;
  std::uint64_t samples = 0;  ///< per channel, by a count of frames
  bool has_info = false;
};

struct Layout {
  std::vector<Part> parts;
  std::uint64_t sound_bytes = 0, other_bytes = 0;
  std::uint64_t missing = 0;  ///< frames of sound that the last frame, cut, would have had
};

/// Where the next frame begins behind `at`, which another of its kind follows, or a tag begins, or the file ends.
std::uint64_t next_frame(FileWindow& window, int fd, std::uint64_t at, std::uint64_t end) {
  const std::uint64_t begin = ++at;
  for (; at + 4 <= end && at - begin < kMostJunk; ++at) {
    const std::string_view bytes = window.at(at, kLongestFrame);
    if (bytes.size() < 4) break;
    if (bytes[0] == 'I' || bytes[0] == 'T' || bytes[0] == 'A') {
      if (const auto tag = tag_at(fd, at); tag && tag->bytes <= end - at) return at;
    }
    if (bytes[0] != '\xff') continue;
    const std::optional<Frame> frame = frame_in(bytes);
    if (!frame || frame->bytes >= bytes.size()) continue;
    const std::optional<Frame> next = frame_in(bytes.substr(frame->bytes));
    if ((next && next->kind == frame->kind) || at + frame->bytes == end) return at;
  }
  return end;
}

Layout layout_of(int fd, std::uint64_t file_bytes) {
  Layout layout;
  FileWindow window(fd);
  const std::uint64_t end = begin_of_tags(fd, 0, file_bytes);
  std::uint32_t kind = 0;
  bool is_behind_tag = false;
  for (std::uint64_t at = 0; at < end;) {
    const std::optional<Frame> frame = frame_in(window.at(at, kLongestFrame));
    if (!frame || (frame->kind != kind && next_frame(window, fd, at - 1, end) != at)) {
      if (const std::optional<Tag> tag = tag_at(fd, at); tag && tag->bytes <= end - at) {
        at += tag->bytes;
        is_behind_tag = true;
        continue;
      }
      const std::uint64_t next = next_frame(window, fd, at, end);
      layout.other_bytes += next - at;
      at = next;
      continue;
    }
    if (frame->bytes > end - at) {
      layout.other_bytes += end - at;
      layout.missing = frame->samples;
      break;
    }
    // What belongs to the file before would be cut by what that says of its own length.
    if (frame->is_info || frame->kind != kind || (is_behind_tag && layout.parts.back().has_info)) {
      layout.parts.push_back({.begin = at, .end = at});
    }
    Part& part = layout.parts.back();
    kind = frame->kind;
    is_behind_tag = false;
    at += frame->bytes;
    part.end = at;
    if (frame->is_info) {
      part.has_info = true;
    } else {
      part.samples += frame->samples;
      layout.sound_bytes += frame->bytes;
    }
  }
  return layout;
}

class MpegDecoder final : public Decoder {
 public:
  MpegDecoder(int fd, std::uint64_t file_bytes, int channels, int rate, const std::string& path)
      : fd_(fd),
        file_bytes_(file_bytes),
        channels_(static_cast<std::size_t>(channels)),
        rate_(rate),
        path_(path),
        layout_(layout_of(fd, file_bytes)) {
    if (layout_.parts.empty()) {
      // Frames of a length that their headers do not tell: libmpg123 finds them by itself.
      layout_.parts.push_back({.begin = 0, .end = file_bytes});
      layout_.sound_bytes = file_bytes;
      layout_.other_bytes = 0;
    }
    for (std::size_t i = 0; i < layout_.parts.size(); ++i) {
      const Part& part = layout_.parts[i];
      std::int64_t frames = static_cast<std::int64_t>(part.samples);
      if (part.has_info) {
        open(i);
        if (const auto said = mpg123_length(handle_.get()); said > 0) frames = said;
      }
      promised_ += frames;
    }
    promised_ += static_cast<std::int64_t>(layout_.missing);
    open(0);
  }

  [[nodiscard]] std::optional<std::int64_t> promised() const override {
    return promised_ > 0 ? std::optional(promised_) : std::nullopt;
  }

  std::size_t read(void* samples, std::size_t frames) override {
    const std::size_t frame_bytes = channels_ * sizeof(float);
    std::size_t done = 0;
    while (done < frames) {
      std::size_t got = 0;
      const int result = mpg123_read(handle_.get(), static_cast<unsigned char*>(samples) + done * frame_bytes,
                                     (frames - done) * frame_bytes, &got);
      done += got / frame_bytes;
      if (error_ != 0) throw system_error(fmt::format("cannot read '{}'", path_), error_);
      if (result == MPG123_NEW_FORMAT) {
        refuse_other_format();
      } else if (result != MPG123_OK || got == 0) {
        is_damaged_ = is_damaged_ || (result != MPG123_DONE && result != MPG123_OK);
        if (part_ + 1 == layout_.parts.size()) break;
        open(part_ + 1);
      }
    }
    return done;
  }

  [[nodiscard]] bool damaged() const override { return is_damaged_; }
  [[nodiscard]] ByteAccount account() const override {
    const std::uint64_t other = layout_.other_bytes;
    return {.sound = layout_.sound_bytes, .metadata = file_bytes_ - layout_.sound_bytes - other, .other = other};
  }

 private:
  struct Delete {
    void operator()(mpg123_handle* handle) const noexcept { mpg123_delete(handle); }
  };

  void open(std::size_t part) {
    part_ = part;
    position_ = 0;
    static const bool is_ready = mpg123_init() == MPG123_OK;
    handle_.reset(is_ready ? mpg123_new(nullptr, nullptr) : nullptr);
    mpg123_handle* handle = handle_.get();
    if (handle == nullptr || mpg123_param(handle, MPG123_REMOVE_FLAGS, MPG123_AUTO_RESAMPLE, 0) != MPG123_OK ||
        mpg123_param(handle, MPG123_ADD_FLAGS, MPG123_FORCE_FLOAT | MPG123_GAPLESS | MPG123_QUIET, 0) != MPG123_OK ||
        mpg123_param(handle, MPG123_RESYNC_LIMIT, -1, 0) != MPG123_OK ||
        mpg123_replace_reader_handle(handle, &read_bytes, &seek, nullptr) != MPG123_OK ||
        mpg123_open_handle(handle, this) != MPG123_OK) {
      throw Error(fmt::format("'{}' is no sound file that can be read (MPEG)", path_));
    }
    refuse_other_format();
  }

  void refuse_other_format() {
    long rate = 0;
    int channels = 0, encoding = 0;
    if (mpg123_getformat(handle_.get(), &rate, &channels, &encoding) != MPG123_OK) {
      throw Error(fmt::format("'{}' is no sound file that can be read ({})", path_, mpg123_strerror(handle_.get())));
    }
    if (rate != rate_ || static_cast<std::size_t>(channels) != channels_) {
      throw Error(fmt::format("'{}' becomes another kind of sound: {} Hz and {} channels after {} and {}", path_, rate,
                              channels, rate_, channels_));
    }
    if (encoding != MPG123_ENC_FLOAT_32) mpg123_format(handle_.get(), rate, channels, MPG123_ENC_FLOAT_32);
  }

  static MpegDecoder& of(void* self) noexcept { return *static_cast<MpegDecoder*>(self); }
  [[nodiscard]] const Part& part() const noexcept { return layout_.parts[part_]; }

  static mpg123_ssize_t read_bytes(void* self, void* to, std::size_t count) {
    MpegDecoder& file = of(self);
    const std::uint64_t size = file.part().end - file.part().begin;
    count = static_cast<std::size_t>(std::min<std::uint64_t>(count, size - std::min(size, file.position_)));
    ssize_t got = 0;
    do {
      got = ::pread(file.fd_, to, count, static_cast<off_t>(file.part().begin + file.position_));
    } while (got < 0 && errno == EINTR);
    if (got < 0) {
      file.error_ = errno;
      return -1;
    }
    file.position_ += static_cast<std::uint64_t>(got);
    return got;
  }

  static off_t seek(void* self, off_t offset, int whence) {
    MpegDecoder& file = of(self);
    const auto size = static_cast<off_t>(file.part().end - file.part().begin);
    const off_t from = whence == SEEK_SET ? 0 : whence == SEEK_CUR ? static_cast<off_t>(file.position_) : size;
    off_t to = 0;
    if (__builtin_add_overflow(from, offset, &to) || to < 0) return -1;
    file.position_ = static_cast<std::uint64_t>(to);
    return to;
  }

  int fd_;
  std::uint64_t file_bytes_;
  std::size_t channels_;
  int rate_;
  std::string path_;
  Layout layout_;
  std::int64_t promised_ = 0;
  std::size_t part_ = 0;
  std::uint64_t position_ = 0;  // in the part
  bool is_damaged_ = false;
  int error_ = 0;
  std::unique_ptr<mpg123_handle, Delete> handle_;
};

}  // namespace

std::unique_ptr<Decoder> decode_mpeg(int fd, std::uint64_t file_bytes, int channels, int rate,
                                     const std::string& path) {
  return std::make_unique<MpegDecoder>(fd, file_bytes, channels, rate, path);
}

}  // namespace noisefloor
