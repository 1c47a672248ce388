// Reading and writing sound files piece by piece, without losing a bit and without surprises.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "harness/audio/decoder.hpp"
#include "harness/audio/ogg_links.hpp"
#include "harness/audio/stated_size.hpp"
#include "harness/base/unique_fd.hpp"

namespace noisefloor {

/// The type in which samples pass through memory.
enum class SampleType : std::uint8_t { int16, int32, float32, float64 };

[[nodiscard]] constexpr std::size_t bytes_per_sample(SampleType type) noexcept {
  return type == SampleType::int16 ? 2 : type == SampleType::float64 ? 8 : 4;
}

/// The largest magnitude of the type: what an amplitude of 1 means in units of the samples.
[[nodiscard]] constexpr double full_scale(SampleType type) noexcept {
  return type == SampleType::int16 ? 32768.0 : type == SampleType::int32 ? 2147483648.0 : 1.0;
}

/// What a sound file says about itself. A writer made from it writes the same kind of file.
struct SoundFacts {
  std::int64_t frames = -1;  ///< promised by the file, in its header or its chunk sizes; -1: not said
  int channels = 1;
  int rate = 44100;  ///< frames per second
  int format = 0;    ///< libsndfile's number: container, subtype and byte order
  SampleType sample_type = SampleType::int16;
  int step = 1;  ///< least step of the subtype in units of sample_type: what is finer is lost in writing
  std::vector<KeptField> kept = {};  ///< of the header, which libsndfile would write otherwise

  /// Bytes of one frame in memory, samples of all channels interleaved.
  [[nodiscard]] std::size_t frame_bytes() const noexcept {
    return static_cast<std::size_t>(channels) * bytes_per_sample(sample_type);
  }
};

/// "PCM_16", "FLOAT", …, or "unknown".
[[nodiscard]] std::string_view subtype_name(int format) noexcept;

/// Facts of a WAV file whose samples are `type` (int16: PCM_16, int32: PCM_32, float32: FLOAT, …).
[[nodiscard]] SoundFacts wav_facts(SampleType type, int channels, int rate, std::int64_t frames);

/// Makes samples finite: NaN becomes 0, ±∞ becomes ±1. Returns how many there were.
std::size_t make_finite(float* samples, std::size_t count) noexcept;
std::size_t make_finite(double* samples, std::size_t count) noexcept;

/// The largest number of whole frames within `buffer_bytes` after which a file read or written from
/// `offset` stands at a page border; where none does, or frames on disk are no frames in memory
/// (`offset` < 0), as many as fit. At least 1 if one fits.
[[nodiscard]] std::size_t piece_frames(std::int64_t offset, std::size_t buffer_bytes, std::size_t frame_bytes) noexcept;

/// Reads a sound file from its beginning to its end. For one thread.
///
/// Integer subtypes, and codecs that decode to 16 bits, are read as int16 or int32, float and other
/// lossy ones as float, double as double: never with a scale, so nothing is normalised.
class SoundReader {
 public:
  /// Opens `path`, which must be a regular file that libsndfile understands; never blocks on a FIFO.
  /// Throws Error with the reason.
  explicit SoundReader(const std::string& path);
  SoundReader(SoundReader&&) noexcept;
  SoundReader& operator=(SoundReader&&) noexcept;
  ~SoundReader();

  [[nodiscard]] const SoundFacts& facts() const noexcept { return facts_; }
  /// Size of the whole file.
  [[nodiscard]] std::uint64_t file_bytes() const noexcept { return file_bytes_; }
  /// About as many bytes as these samples take in a file of the same kind; of a compressed file, all of it.
  [[nodiscard]] std::uint64_t likely_bytes() const noexcept;
  /// Where the next sample lies in the file; -1 if samples are not stored as they are in memory.
  [[nodiscard]] std::int64_t offset() const noexcept { return offset_; }

  /// Reads up to `frames` frames of facts().sample_type into `samples`; fewer only at the end.
  /// Throws Error if the system cannot read.
  std::size_t read(void* samples, std::size_t frames);

  /// Samples as they lie in the file.
  struct Extent {
    int fd;
    std::int64_t offset;
    std::size_t frames;
  };
  /// Where up to `frames` frames lie that read() would give next, fewer only at the end, for who reads them from the
  /// file by other means: they count as read. None if read() alone gives them: where it does more than copy, or the
  /// file is too short. One object is read in one of the two ways.
  [[nodiscard]] std::optional<Extent> pass_over(std::size_t frames);

  /// libsndfile's handle (an SNDFILE*), for copy_metadata().
  [[nodiscard]] void* native() const noexcept { return handle_.get(); }
  /// The facts of a file of the same kind with all of these frames: RF64 for WAV where the samples are too many for its
  /// 32-bit sizes, if `may_become_rf64`. Throws Error if there is no such file.
  [[nodiscard]] SoundFacts facts_to_write(bool may_become_rf64) const;

  /// Frames read so far.
  [[nodiscard]] std::int64_t frames_read() const noexcept { return frames_read_; }
  /// After the end was read: the file is shorter than it promised.
  [[nodiscard]] bool truncated() const noexcept { return is_cut_ || facts_.frames > frames_read_; }
  /// After the end was read: the decoder met data that make no sense, and stopped there.
  [[nodiscard]] bool damaged() const noexcept { return damaged_; }
  /// The file's writer never filled its length in (a pipe, a recorder that was cut off): it is read to its
  /// end, and facts().frames may be -1.
  [[nodiscard]] bool unsized() const noexcept { return unsized_; }
  /// The frames that the file's header says, where more were found because other sizes in it say so; else empty.
  [[nodiscard]] std::optional<std::int64_t> understated() const noexcept {
    return decoder_ && facts_.frames >= 0 && facts_.frames < frames_read_ ? facts_.frames : understated_;
  }
  /// Samples of 24 bits lie in 4 bytes each: libsndfile writes them in 3.
  [[nodiscard]] bool is_repacked() const noexcept { return is_repacked_; }
  /// After the end was read: the sum is file_bytes().
  [[nodiscard]] ByteAccount account() const noexcept;
  /// The file has chunks beside its samples that make no sense and were not looked into.
  [[nodiscard]] bool hides_chunks() const noexcept { return hides_chunks_; }
  /// What the file says beside its samples, as chunk_names() has it.
  [[nodiscard]] std::vector<std::string> says() const;

 private:
  struct Corrected;
  struct Close {
    void operator()(void* handle) const noexcept;
  };
  [[nodiscard]] std::size_t read_handle(void* samples, std::size_t frames);
  [[nodiscard]] bool open_next_link();

  std::string path_;
  UniqueFd fd_;
  std::unique_ptr<Corrected> corrected_;  // outlives the handle
  std::unique_ptr<Decoder> decoder_;      // which reads the samples instead of the handle
  std::unique_ptr<void, Close> handle_;
  SoundFacts facts_;
  std::uint64_t file_bytes_ = 0;
  std::int64_t offset_ = -1;
  std::int64_t frames_read_ = 0;
  std::int64_t readable_ = -1;  // frames, where libsndfile would read too many
  bool damaged_ = false;
  bool unsized_ = false;
  OggFile ogg_;
  std::size_t link_ = 0;                       // of ogg_, the one behind the handle
  bool is_cut_ = false;                        // a link lacks its end
  std::optional<StatedSize::Extent> samples_;  // where they lie, if that is known
  std::uint64_t other_bytes_ = 0;              // behind them
  std::uint64_t stored_frame_bytes_ = 0;       // in the file; 0 in compressed ones
  std::optional<std::int64_t> understated_;
  bool is_repacked_ = false;
  bool hides_chunks_ = false;
  bool is_blocking_ = false;
  bool may_say_more_ = true;
};

/// Writes a sound file into an open, empty, seekable file. For one thread. Nothing in the file tells
/// when or where it was written.
class SoundWriter {
 public:
  /// Writes into `fd`, which must stay open as long as this object. `name` is for messages. Throws
  /// Error if libsndfile cannot write this kind of file, or the system cannot.
  SoundWriter(int fd, const SoundFacts& facts, std::string name);
  SoundWriter(SoundWriter&&) noexcept;
  SoundWriter& operator=(SoundWriter&&) noexcept;
  ~SoundWriter();

  /// libsndfile's handle (an SNDFILE*), for copy_metadata().
  [[nodiscard]] void* native() const noexcept { return handle_.get(); }
  /// libsndfile's number.
  [[nodiscard]] int format() const noexcept;
  /// Where the next sample will lie; -1 if samples are not stored as they are in memory.
  [[nodiscard]] std::int64_t offset() const noexcept;
  /// Writes `frames` frames of the facts' sample_type. Throws Error with the system's reason.
  void write(const void* samples, std::size_t frames);
  /// As write(), but where libsndfile would do no more than copy the samples into the file, that is left to the caller:
  /// returns the offset at which they must lie before finish().
  [[nodiscard]] std::optional<std::int64_t> write_elsewhere(const void* samples, std::size_t frames);
  /// Completes the file and returns its size in bytes. Throws Error if any write failed. Without it the
  /// file is incomplete.
  std::uint64_t finish();

 private:
  struct Sink;
  struct Close {
    void operator()(void* handle) const noexcept;
  };
  [[noreturn]] void fail(std::string_view what) const;

  std::unique_ptr<Sink> sink_;  // outlives the handle
  std::unique_ptr<void, Close> handle_;
};

}  // namespace noisefloor
