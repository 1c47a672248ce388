// FLAC by libFLAC: frames to the last one, whatever the header says, and where they end.
// SPDX-License-Identifier: MIT
#include <FLAC/stream_decoder.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "harness/audio/chunk_walk.hpp"
#include "harness/audio/decoder.hpp"
#include "harness/audio/tags.hpp"
#include "harness/base/error.hpp"

namespace noisefloor {
namespace {

constexpr std::uint64_t kCountMask = (std::uint64_t{1} << 36) - 1;

class FlacDecoder final : public Decoder {
 public:
  FlacDecoder(int fd, std::uint64_t file_bytes, int channels, int rate, int bits, const std::string& path)
      : fd_(fd),
        file_bytes_(file_bytes),
        end_(begin_of_tags(fd, 0, file_bytes)),
        channels_(static_cast<unsigned>(channels)),
        rate_(static_cast<unsigned>(rate)),
        bits_(static_cast<unsigned>(bits)),
        path_(path),
        decoder_(FLAC__stream_decoder_new()) {
    std::uint64_t begin = 0;
    while (const std::optional<Tag> tag = tag_at(fd, begin)) begin += tag->bytes;
    // The count of frames is the last 36 bits of these five bytes, in a block that must be the first.
    constexpr std::uint64_t kCountAt = 21, kCountBytes = 5;
    count_at_ = begin + kCountAt;
    total_ = HeaderBytes(fd, count_at_).number(0, kCountBytes, true) & kCountMask;
    if (decoder_ == nullptr ||
        FLAC__stream_decoder_init_stream(decoder_.get(), &read_bytes, nullptr, &tell, nullptr, nullptr, &take, nullptr,
                                         &fail, this) != FLAC__STREAM_DECODER_INIT_STATUS_OK ||
        FLAC__stream_decoder_process_until_end_of_metadata(decoder_.get()) == 0) {
      throw Error(fmt::format("'{}' is no sound file that can be read (FLAC)", path));
    }
    static_cast<void>(FLAC__stream_decoder_get_decode_position(decoder_.get(), &sound_begin_));
    sound_begin_ = std::min(sound_begin_, end_);
    sound_end_ = sound_begin_;
  }

  [[nodiscard]] std::optional<std::int64_t> promised() const override {
    return total_ > 0 ? std::optional(static_cast<std::int64_t>(total_)) : std::nullopt;
  }

  std::size_t read(void* samples, std::size_t frames) override {
    std::size_t done = 0;
    while (done < frames) {
      if (given_ == held_ && !decode()) break;
      const std::size_t count = std::min(frames - done, held_ - given_);
      const std::int32_t* from = samples_.data() + given_ * channels_;
      if (bits_ <= 16) {
        std::copy_n(from, count * channels_, static_cast<std::int16_t*>(samples) + done * channels_);
      } else {
        std::copy_n(from, count * channels_, static_cast<std::int32_t*>(samples) + done * channels_);
      }
      given_ += count;
      done += count;
    }
    return done;
  }

  /// What comes behind as many frames as the header says may be anything.
  [[nodiscard]] bool damaged() const override { return has_failed_ && (total_ == 0 || decoded_ < total_); }

  [[nodiscard]] ByteAccount account() const override {
    const std::uint64_t sound = sound_end_ - sound_begin_, other = end_ - sound_end_;
    return {.sound = sound, .metadata = file_bytes_ - sound - other, .other = other};
  }

 private:
  struct Delete {
    void operator()(FLAC__StreamDecoder* decoder) const noexcept { FLAC__stream_decoder_delete(decoder); }
  };

  static FlacDecoder& of(void* self) noexcept { return *static_cast<FlacDecoder*>(self); }

  /// The next block of frames; false where there is none.
  bool decode() {
    held_ = given_ = 0;
    while (held_ == 0 && !has_failed_) {
      const bool went_on = FLAC__stream_decoder_process_single(decoder_.get()) != 0;
      if (error_ != 0) throw system_error(fmt::format("cannot read '{}'", path_), error_);
      if (!went_on || FLAC__stream_decoder_get_state(decoder_.get()) == FLAC__STREAM_DECODER_END_OF_STREAM) break;
    }
    if (held_ == 0) return false;
    decoded_ += held_;
    std::uint64_t position = 0;
    if (FLAC__stream_decoder_get_decode_position(decoder_.get(), &position) != 0) {
      sound_end_ = std::clamp(position, sound_end_, end_);
    }
    return true;
  }

  static FLAC__StreamDecoderReadStatus read_bytes(const FLAC__StreamDecoder* /*decoder*/, FLAC__byte buffer[],
                                                  std::size_t* bytes, void* self) {
    FlacDecoder& file = of(self);
    // What is behind an error is not searched for another frame: it may be without end.
    if (file.has_failed_) {
      *bytes = 0;
      return FLAC__STREAM_DECODER_READ_STATUS_END_OF_STREAM;
    }
    const std::uint64_t wanted = std::min<std::uint64_t>(*bytes, file.end_ - std::min(file.end_, file.position_));
    ssize_t got = 0;
    do {
      got = ::pread(file.fd_, buffer, static_cast<std::size_t>(wanted), static_cast<off_t>(file.position_));
    } while (got < 0 && errno == EINTR);
    if (got < 0) {
      file.error_ = errno;
      *bytes = 0;
      return FLAC__STREAM_DECODER_READ_STATUS_ABORT;
    }
    *bytes = static_cast<std::size_t>(got);
    // libFLAC stops after as many frames as the file says; so it is told that they are not known.
    for (std::uint64_t i = 0; i < 5; ++i) {
      const std::uint64_t at = file.count_at_ + i;
      if (at >= file.position_ && at < file.position_ + *bytes) {
        buffer[at - file.position_] &= static_cast<FLAC__byte>(i == 0 ? 0xf0 : 0);
      }
    }
    file.position_ += *bytes;
    return got == 0 ? FLAC__STREAM_DECODER_READ_STATUS_END_OF_STREAM : FLAC__STREAM_DECODER_READ_STATUS_CONTINUE;
  }

  static FLAC__StreamDecoderTellStatus tell(const FLAC__StreamDecoder* /*decoder*/, FLAC__uint64* offset, void* self) {
    *offset = of(self).position_;
    return FLAC__STREAM_DECODER_TELL_STATUS_OK;
  }

  static FLAC__StreamDecoderWriteStatus take(const FLAC__StreamDecoder* /*decoder*/, const FLAC__Frame* frame,
                                             const FLAC__int32* const buffer[], void* self) {
    FlacDecoder& file = of(self);
    const FLAC__FrameHeader& header = frame->header;
    if (file.has_failed_ || header.channels != file.channels_ || header.bits_per_sample != file.bits_ ||
        header.sample_rate != file.rate_) {
      file.has_failed_ = true;
      return FLAC__STREAM_DECODER_WRITE_STATUS_ABORT;
    }
    const unsigned shift = (file.bits_ <= 16 ? 16 : 32) - file.bits_;
    file.samples_.resize(std::size_t{header.blocksize} * file.channels_);
    auto to = file.samples_.begin();
    for (unsigned i = 0; i < header.blocksize; ++i) {
      for (unsigned channel = 0; channel < file.channels_; ++channel) {
        *to++ = static_cast<std::int32_t>(static_cast<std::uint32_t>(buffer[channel][i]) << shift);
      }
    }
    file.held_ = header.blocksize;
    return FLAC__STREAM_DECODER_WRITE_STATUS_CONTINUE;
  }

  static void fail(const FLAC__StreamDecoder* /*decoder*/, FLAC__StreamDecoderErrorStatus /*status*/, void* self) {
    of(self).has_failed_ = true;
  }

  int fd_;
  std::uint64_t file_bytes_, end_;
  unsigned channels_, rate_, bits_;
  std::string path_;
  std::uint64_t count_at_ = 0, position_ = 0, sound_begin_ = 0, sound_end_ = 0, total_ = 0, decoded_ = 0;
  std::vector<std::int32_t> samples_;  // the block at hand
  std::size_t held_ = 0, given_ = 0;   // frames of it
  bool has_failed_ = false;
  int error_ = 0;
  std::unique_ptr<FLAC__StreamDecoder, Delete> decoder_;
};

}  // namespace

std::unique_ptr<Decoder> decode_flac(int fd, std::uint64_t file_bytes, int channels, int rate, int bits,
                                     const std::string& path) {
  return std::make_unique<FlacDecoder>(fd, file_bytes, channels, rate, bits, path);
}

}  // namespace noisefloor
