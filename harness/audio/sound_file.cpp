// Sound files through libsndfile: its descriptor interface for reading, its callbacks for writing, so
// that every failed write is seen with the system's own reason.
// SPDX-License-Identifier: MIT
#include "harness/audio/sound_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sndfile.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cmath>
#include <limits>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include "harness/audio/chunk_walk.hpp"
#include "harness/audio/chunks.hpp"
#include "harness/audio/stated_size.hpp"
#include "harness/audio/steady_bytes.hpp"
#include "harness/base/error.hpp"

namespace noisefloor {
namespace {

constexpr std::int64_t kPageBytes = 4096;

struct Subtype {
  int number;
  std::string_view name;
  SampleType type;
  int step;
  int stored_bytes;  // per sample, where samples are stored one by one; 0 in compressed files
};

// Mu-law and A-law encoders drop 2 and 4 bits: steps of their input, not of their codes.
constexpr Subtype kSubtypes[] = {
    {SF_FORMAT_PCM_16, "PCM_16", SampleType::int16, 1, 2},
    {SF_FORMAT_PCM_S8, "PCM_S8", SampleType::int16, 256, 1},
    {SF_FORMAT_PCM_U8, "PCM_U8", SampleType::int16, 256, 1},
    {SF_FORMAT_PCM_24, "PCM_24", SampleType::int32, 256, 3},
    {SF_FORMAT_PCM_32, "PCM_32", SampleType::int32, 1, 4},
    {SF_FORMAT_FLOAT, "FLOAT", SampleType::float32, 1, 4},
    {SF_FORMAT_DOUBLE, "DOUBLE", SampleType::float64, 1, 8},
    {SF_FORMAT_ULAW, "ULAW", SampleType::int16, 4, 1},
    {SF_FORMAT_ALAW, "ALAW", SampleType::int16, 16, 1},
    {SF_FORMAT_IMA_ADPCM, "IMA_ADPCM", SampleType::int16, 1, 0},
    {SF_FORMAT_MS_ADPCM, "MS_ADPCM", SampleType::int16, 1, 0},
    {SF_FORMAT_GSM610, "GSM610", SampleType::int16, 1, 0},
    {SF_FORMAT_VOX_ADPCM, "VOX_ADPCM", SampleType::int16, 1, 0},
    {SF_FORMAT_NMS_ADPCM_16, "NMS_ADPCM_16", SampleType::int16, 1, 0},
    {SF_FORMAT_NMS_ADPCM_24, "NMS_ADPCM_24", SampleType::int16, 1, 0},
    {SF_FORMAT_NMS_ADPCM_32, "NMS_ADPCM_32", SampleType::int16, 1, 0},
    {SF_FORMAT_G721_32, "G721_32", SampleType::int16, 1, 0},
    {SF_FORMAT_G723_24, "G723_24", SampleType::int16, 1, 0},
    {SF_FORMAT_G723_40, "G723_40", SampleType::int16, 1, 0},
    {SF_FORMAT_DWVW_12, "DWVW_12", SampleType::int16, 16, 0},
    {SF_FORMAT_DWVW_16, "DWVW_16", SampleType::int16, 1, 0},
    {SF_FORMAT_DWVW_24, "DWVW_24", SampleType::int32, 256, 0},
    {SF_FORMAT_DPCM_8, "DPCM_8", SampleType::int16, 256, 0},
    {SF_FORMAT_DPCM_16, "DPCM_16", SampleType::int16, 1, 0},
    {SF_FORMAT_ALAC_16, "ALAC_16", SampleType::int16, 1, 0},
    {SF_FORMAT_ALAC_20, "ALAC_20", SampleType::int32, 4096, 0},
    {SF_FORMAT_ALAC_24, "ALAC_24", SampleType::int32, 256, 0},
    {SF_FORMAT_ALAC_32, "ALAC_32", SampleType::int32, 1, 0},
    {SF_FORMAT_VORBIS, "VORBIS", SampleType::float32, 1, 0},
    {SF_FORMAT_OPUS, "OPUS", SampleType::float32, 1, 0},
    {SF_FORMAT_MPEG_LAYER_I, "MPEG_LAYER_I", SampleType::float32, 1, 0},
    {SF_FORMAT_MPEG_LAYER_II, "MPEG_LAYER_II", SampleType::float32, 1, 0},
    {SF_FORMAT_MPEG_LAYER_III, "MPEG_LAYER_III", SampleType::float32, 1, 0},
};

const Subtype* find_subtype(int format) noexcept {
  const auto* row =
      std::ranges::find_if(kSubtypes, [&](const Subtype& s) { return s.number == (format & SF_FORMAT_SUBMASK); });
  return row == std::end(kSubtypes) ? nullptr : row;
}

bool has_codec_container(int format) noexcept {
  const int container = format & SF_FORMAT_TYPEMASK;
  return container == SF_FORMAT_FLAC || container == SF_FORMAT_OGG || container == SF_FORMAT_MPEG;
}

/// Those whose headers have no size of 32 bits, or one that may be unknown (AU).
constexpr int kLongContainers[] = {SF_FORMAT_RF64, SF_FORMAT_W64, SF_FORMAT_CAF,   SF_FORMAT_AU,
                                   SF_FORMAT_NIST, SF_FORMAT_PVF, SF_FORMAT_IRCAM, SF_FORMAT_PAF};

/// Whether samples lie in the file exactly as in memory, so that file offsets follow from frames.
bool is_stored_plainly(const SoundFacts& facts) noexcept {
  const Subtype* subtype = find_subtype(facts.format);
  return subtype != nullptr && !has_codec_container(facts.format) &&
         static_cast<std::size_t>(subtype->stored_bytes) == bytes_per_sample(subtype->type);
}

/// open() gives a handle or null. libsndfile keeps the reason of a failure in a global that every opening, and a few
/// other calls, reset. So what fails is tried again with nobody else opening, until it has its reason, which is set
/// where null is returned.
template <class F>
SNDFILE* open_sound(std::string& reason, F&& open) {
  static std::shared_mutex opening;
  {
    const std::shared_lock among_others(opening);
    if (SNDFILE* file = open()) return file;
  }
  const std::unique_lock alone(opening);
  constexpr int kAttempts = 5;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    if (SNDFILE* file = open()) return file;
    const int error = sf_error(nullptr);
    reason = sf_error_number(error);
    if (error != SF_ERR_NO_ERROR) break;
  }
  return nullptr;
}

SNDFILE* file_of(void* handle) noexcept { return static_cast<SNDFILE*>(handle); }

/// Puts the fields over those that libsndfile wrote, in the chunks of a file of `file_bytes` bytes that have room for
/// them. Returns 0, or the errno value of what failed.
int keep_fields(int fd, std::uint64_t file_bytes, std::span<const KeptField> fields) {
  if (fields.empty()) return 0;
  const ChunkForm* form = chunk_form(HeaderBytes(fd, 0));
  if (form == nullptr) return 0;
  ChunkWalk walk(fd, file_bytes, *form);
  while (const std::optional<Chunk> chunk = walk.next()) {
    for (const KeptField& field : fields) {
      if (!chunk->is(field.chunk) || field.offset + field.bytes.size() > chunk->size) continue;
      const ssize_t size = static_cast<ssize_t>(field.bytes.size());
      const ssize_t put =
          ::pwrite(fd, field.bytes.data(), field.bytes.size(), static_cast<off_t>(chunk->body + field.offset));
      if (put != size) return put < 0 ? errno : EIO;
    }
  }
  return 0;
}

/// libsndfile 1.2 counts the pad byte behind an odd number of bytes as samples of an AIFF file: a frame
/// too much in a mono file. Corrects both counts. Returns false if the file is not as expected.
bool correct_padded_aiff(int fd, std::uint64_t file_bytes, std::uint32_t frames, std::uint32_t data_bytes) {
  const auto write_number = [&](std::uint64_t at, std::uint32_t value) {
    const std::array<unsigned char, 4> bytes = {
        static_cast<unsigned char>(value >> 24), static_cast<unsigned char>(value >> 16),
        static_cast<unsigned char>(value >> 8), static_cast<unsigned char>(value)};
    return ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(at)) == static_cast<ssize_t>(bytes.size());
  };
  bool has_frames = false;
  ChunkWalk walk(fd, file_bytes, kAiff);
  while (const std::optional<Chunk> chunk = walk.next()) {
    if (chunk->is("COMM")) has_frames = write_number(chunk->at + 10, frames);
    if (chunk->is("SSND")) return has_frames && write_number(chunk->at + 4, data_bytes + 8);
  }
  return false;
}

int flac_bits(int format) noexcept {
  const int subtype = format & SF_FORMAT_SUBMASK;
  return subtype == SF_FORMAT_PCM_S8 ? 8 : subtype == SF_FORMAT_PCM_16 ? 16 : 24;
}

/// libsndfile 1.2 takes the byte that ends a VOC file for a sample where each sample is a byte: one too many, and
/// another one in every copy.
bool ends_in_false_sample(int fd, const SF_INFO& info, std::uint64_t file_bytes) noexcept {
  const int subtype = info.format & SF_FORMAT_SUBMASK;
  const bool is_code = subtype == SF_FORMAT_ULAW || subtype == SF_FORMAT_ALAW;
  if ((info.format & SF_FORMAT_TYPEMASK) != SF_FORMAT_VOC || !is_code || info.channels != 1 || info.frames < 1) {
    return false;
  }
  char last = 1;
  return ::pread(fd, &last, 1, static_cast<off_t>(file_bytes - 1)) == 1 && last == 0;
}

std::string_view kind_of(mode_t mode) noexcept {
  if (S_ISDIR(mode)) return "a folder";
  if (S_ISFIFO(mode)) return "a FIFO";
  if (S_ISSOCK(mode)) return "a socket";
  return "a device";
}

template <class T>
std::size_t make_finite_impl(T* samples, std::size_t count) noexcept {
  std::size_t found = 0;
  for (std::size_t i = 0; i < count; ++i) found += std::isfinite(samples[i]) ? 0U : 1U;
  if (found == 0) return 0;
  for (std::size_t i = 0; i < count; ++i) {
    if (std::isnan(samples[i])) samples[i] = 0;
    if (std::isinf(samples[i])) samples[i] = std::copysign(T{1}, samples[i]);
  }
  return found;
}

}  // namespace

std::string_view subtype_name(int format) noexcept {
  const Subtype* subtype = find_subtype(format);
  return subtype == nullptr ? "unknown" : subtype->name;
}

SoundFacts wav_facts(SampleType type, int channels, int rate, std::int64_t frames) {
  const auto* row = std::ranges::find_if(kSubtypes, [&](const Subtype& s) { return s.type == type && s.step == 1; });
  return {.frames = frames,
          .channels = channels,
          .rate = rate,
          .format = SF_FORMAT_WAV | row->number,
          .sample_type = type,
          .step = 1};
}

std::size_t make_finite(float* samples, std::size_t count) noexcept { return make_finite_impl(samples, count); }
std::size_t make_finite(double* samples, std::size_t count) noexcept { return make_finite_impl(samples, count); }

std::size_t piece_frames(std::int64_t offset, std::size_t buffer_bytes, std::size_t frame_bytes) noexcept {
  const std::size_t most = buffer_bytes / frame_bytes;
  if (offset < 0) return most;
  const std::size_t tries = std::min(most, static_cast<std::size_t>(kPageBytes));
  for (std::size_t less = 0; less < tries; ++less) {
    const auto end = offset + static_cast<std::int64_t>((most - less) * frame_bytes);
    if (end % kPageBytes == 0) return most - less;
  }
  return most;
}

// --- SoundReader ---

/// The file behind libsndfile's callbacks, with its sizes corrected. Only files that need it are read so.
struct SoundReader::Corrected {
  int fd = -1;
  sf_count_t size = 0;
  std::vector<StatedSize::Correction> corrections;
  std::optional<sf_count_t> packed_from = std::nullopt;  // from here on, three bytes of every four are shown,
  sf_count_t skip = 0;                                   // behind as many of each four
  sf_count_t base = 0;                                   // where what is shown begins
  sf_count_t position = 0;
  int error = 0;  // the first one

  static Corrected& of(void* self) noexcept { return *static_cast<Corrected*>(self); }
  void show(const OggLink& link) noexcept {
    base = static_cast<sf_count_t>(link.begin);
    size = static_cast<sf_count_t>(link.end - link.begin);
    position = 0;
  }
  /// A handle on what is shown; null with the reason if libsndfile makes no sense of it.
  SNDFILE* open(SF_INFO& info, std::string& reason) {
    SF_VIRTUAL_IO callbacks{&length, &seek, &read, &write, &tell};
    return open_sound(reason, [&] {
      info = {};
      position = 0;
      return sf_open_virtual(&callbacks, SFM_READ, &info, this);
    });
  }

  static sf_count_t length(void* self) { return of(self).size; }
  static sf_count_t tell(void* self) { return of(self).position; }
  static sf_count_t seek(sf_count_t offset, int whence, void* self) {
    Corrected& file = of(self);
    const sf_count_t from = whence == SEEK_SET ? 0 : whence == SEEK_CUR ? file.position : file.size;
    // Offsets come from the file, too.
    sf_count_t to = 0;
    if (__builtin_add_overflow(from, offset, &to) || to < 0) return -1;
    return file.position = to;
  }
  static sf_count_t write(const void* /*from*/, sf_count_t /*count*/, void* /*self*/) { return 0; }
  static sf_count_t read(void* to, sf_count_t count, void* self) {
    Corrected& file = of(self);
    count = std::min(count, file.size - std::min(file.size, file.position));
    auto* bytes = static_cast<unsigned char*>(to);
    sf_count_t done = 0;
    while (done < count) {
      const sf_count_t got = file.packed_from && file.position >= *file.packed_from
                                 ? file.read_packed(bytes + done, count - done)
                                 : file.read_plain(bytes + done, count - done);
      if (got <= 0) break;
      done += got;
    }
    return done;
  }

 private:
  /// Bytes of the file itself, fewer at its end; 0 after an error.
  sf_count_t read_file(unsigned char* to, sf_count_t count, sf_count_t at) {
    ssize_t got = 0;
    do {
      got = ::pread(fd, to, static_cast<std::size_t>(count), base + at);
    } while (got < 0 && errno == EINTR);
    if (got < 0 && error == 0) error = errno;
    return std::max<ssize_t>(got, 0);
  }
  sf_count_t read_plain(unsigned char* to, sf_count_t count) {
    if (packed_from) count = std::min(count, *packed_from - position);
    const sf_count_t got = read_file(to, count, position);
    for (const StatedSize::Correction& correction : corrections) {
      for (std::size_t i = 0; i < correction.bytes.size(); ++i) {
        const auto at = static_cast<sf_count_t>(correction.offset + i) - position;
        if (at >= 0 && at < got) to[at] = correction.bytes[i];
      }
    }
    position += got;
    return got;
  }
  sf_count_t read_packed(unsigned char* to, sf_count_t count) {
    std::array<unsigned char, 4096> four;
    const sf_count_t sample = (position - *packed_from) / 3;
    const sf_count_t got = read_file(four.data(), static_cast<sf_count_t>(four.size()), *packed_from + 4 * sample);
    sf_count_t done = 0;
    for (; done < count; ++done) {
      const sf_count_t behind = position + done - *packed_from - 3 * sample;
      const sf_count_t from = behind / 3 * 4 + behind % 3 + skip;
      if (from >= got) break;
      to[done] = four[static_cast<std::size_t>(from)];
    }
    position += done;
    return done;
  }
};

void SoundReader::Close::operator()(void* handle) const noexcept { sf_close(file_of(handle)); }
SoundReader::SoundReader(SoundReader&&) noexcept = default;
SoundReader& SoundReader::operator=(SoundReader&& other) noexcept {
  handle_ = std::move(other.handle_);  // the old one closes before what it reads from goes
  corrected_ = std::move(other.corrected_);
  decoder_ = std::move(other.decoder_);
  ogg_ = std::move(other.ogg_);
  link_ = other.link_;
  is_cut_ = other.is_cut_;
  path_ = std::move(other.path_);
  fd_ = std::move(other.fd_);
  facts_ = std::move(other.facts_);
  file_bytes_ = other.file_bytes_;
  samples_ = other.samples_;
  other_bytes_ = other.other_bytes_;
  stored_frame_bytes_ = other.stored_frame_bytes_;
  understated_ = other.understated_;
  is_repacked_ = other.is_repacked_;
  offset_ = other.offset_;
  readable_ = other.readable_;
  frames_read_ = other.frames_read_;
  damaged_ = other.damaged_;
  unsized_ = other.unsized_;
  hides_chunks_ = other.hides_chunks_;
  is_blocking_ = other.is_blocking_;
  may_say_more_ = other.may_say_more_;
  return *this;
}
SoundReader::~SoundReader() = default;

SoundReader::SoundReader(const std::string& path) : path_(path) {
  // O_NONBLOCK: opening a FIFO without a writer must not wait. It means nothing for regular files.
  fd_.reset(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY));
  if (!fd_) throw system_error(fmt::format("cannot open '{}'", path), errno);
  struct stat status {};
  if (::fstat(fd_.get(), &status) != 0) throw system_error(fmt::format("cannot examine '{}'", path), errno);
  if (!S_ISREG(status.st_mode)) {
    throw Error(fmt::format("'{}' is {}: only regular files are read", path, kind_of(status.st_mode)));
  }
  if (status.st_size == 0) throw Error(fmt::format("'{}' is empty", path));
  file_bytes_ = static_cast<std::uint64_t>(status.st_size);

  StatedSize stated = stated_size(fd_.get(), file_bytes_, path);
  unsized_ = stated.is_missing;
  SF_INFO info{};
  std::string reason;
  hides_chunks_ = stated.hides_chunks;
  may_say_more_ = stated.may_say_more;
  if (!stated.samples) ogg_ = ogg_links(fd_.get(), file_bytes_);
  const bool is_one_link = ogg_.links.empty() || (ogg_.links.size() == 1 && ogg_.links[0].end == file_bytes_);
  if (stated.corrections.empty() && !stated.visible_bytes && is_one_link) {
    // A descriptor that libsndfile cannot open as a sound it closes, even if asked not to. Closed by us as well, it may
    // by then be another thread's file. So it gets one of its own, which it closes in any case.
    handle_.reset(open_sound(reason, [&]() -> SNDFILE* {
      UniqueFd theirs(::fcntl(fd_.get(), F_DUPFD_CLOEXEC, 0));
      if (!theirs) throw system_error(fmt::format("cannot open '{}'", path), errno);
      ::lseek(theirs.get(), 0, SEEK_SET);
      info = {};
      return sf_open_fd(theirs.release(), SFM_READ, &info, SF_TRUE);
    }));
  } else {
    corrected_ = std::make_unique<Corrected>(
        Corrected{.fd = fd_.get(),
                  .size = static_cast<sf_count_t>(stated.visible_bytes.value_or(file_bytes_)),
                  .corrections = std::move(stated.corrections)});
    if (!ogg_.links.empty()) corrected_->show(ogg_.links[0]);
    if (stated.packing) {
      is_repacked_ = true;
      corrected_->packed_from = static_cast<sf_count_t>(stated.samples->begin);
      corrected_->skip = static_cast<sf_count_t>(stated.packing->skip);
    }
    handle_.reset(corrected_->open(info, reason));
  }
  if (!handle_) {
    if (!ogg_.links.empty() && ogg_.links[0].sound_bytes == 0) reason = "truncated before its first sample";
    throw Error(fmt::format("'{}' is no sound file that can be read ({})", path, reason));
  }
  const Subtype* subtype = find_subtype(info.format);
  if (subtype == nullptr) {
    throw Error(
        fmt::format("'{}' has a subtype that is not supported (number {:#x})", path, info.format & SF_FORMAT_SUBMASK));
  }
  facts_ = {.frames = info.frames,
            .channels = info.channels,
            .rate = info.samplerate,
            .format = info.format,
            .sample_type = subtype->type,
            .step = subtype->step,
            .kept = std::move(stated.kept)};
  if (stated.valid_bits > 0 && subtype->type != SampleType::float32 && subtype->type != SampleType::float64) {
    const int all = static_cast<int>(8 * bytes_per_sample(subtype->type));
    facts_.step = std::max(facts_.step, 1 << std::max(0, all - stated.valid_bits));
  }
  samples_ = stated.samples;
  other_bytes_ = stated.other_bytes;
  if (info.frames == SF_COUNT_MAX || (info.frames <= 0 && has_codec_container(info.format))) facts_.frames = -1;
  if (subtype->stored_bytes > 0 && !has_codec_container(info.format)) {
    const auto promise = [&](std::uint64_t frames) {
      constexpr std::uint64_t kMost = std::numeric_limits<std::int64_t>::max();
      facts_.frames = std::max(facts_.frames, static_cast<std::int64_t>(std::min(frames, kMost)));
    };
    const std::uint64_t frame = static_cast<std::uint64_t>(info.channels) *
                                static_cast<std::uint64_t>(is_repacked_ ? 4 : subtype->stored_bytes);
    stored_frame_bytes_ = frame;
    if (stated.is_understated && stated.sample_bytes) {
      understated_ = static_cast<std::int64_t>(*stated.sample_bytes / frame);
      promise((samples_->end - samples_->begin) / frame);
    } else if (stated.sample_bytes) {
      promise(*stated.sample_bytes / frame);
    }
    if (stated.frames) promise(*stated.frames);
  }
  if (ends_in_false_sample(fd_.get(), info, file_bytes_)) {
    --facts_.frames;
    readable_ = facts_.frames;
  }
  for (const OggLink& link : ogg_.links) is_cut_ = is_cut_ || !link.has_end;
  const int container = info.format & SF_FORMAT_TYPEMASK;
  if (container == SF_FORMAT_FLAC || container == SF_FORMAT_MPEG) {
    decoder_ = container == SF_FORMAT_FLAC
                   ? decode_flac(fd_.get(), file_bytes_, info.channels, info.samplerate, flac_bits(info.format), path)
                   : decode_mpeg(fd_.get(), file_bytes_, info.channels, info.samplerate, path);
    facts_.frames = decoder_->promised().value_or(-1);
  }
  if (is_stored_plainly(facts_)) offset_ = corrected_ ? corrected_->position : ::lseek(fd_.get(), 0, SEEK_CUR);
}

SoundFacts SoundReader::facts_to_write(bool may_become_rf64) const {
  // Headers with their texts take less than what is left.
  constexpr std::uint64_t kMost32 = 0xffffffffU - (1U << 20);
  const int container = facts_.format & SF_FORMAT_TYPEMASK;
  std::uint64_t bytes = file_bytes_;
  if (samples_) bytes = samples_->end - samples_->begin;
  if (bytes <= kMost32 || has_codec_container(facts_.format) || std::ranges::count(kLongContainers, container) > 0) {
    return facts_;
  }
  SoundFacts large = facts_;
  large.format = SF_FORMAT_RF64 | (facts_.format & SF_FORMAT_SUBMASK);
  SF_INFO info{};
  info.samplerate = large.rate;
  info.channels = large.channels;
  info.format = large.format;
  const bool is_wav = container == SF_FORMAT_WAV || container == SF_FORMAT_WAVEX;
  if (is_wav && may_become_rf64 && sf_format_check(&info) != SF_FALSE) return large;
  SF_FORMAT_INFO name{};
  name.format = container;
  sf_command(nullptr, SFC_GET_FORMAT_INFO, &name, sizeof name);
  throw Error(fmt::format("'{}' has {} bytes of samples: {} ({}) cannot hold more than 4 GiB", path_, bytes,
                          name.name == nullptr ? "its kind of file" : name.name, subtype_name(facts_.format)));
}

ByteAccount SoundReader::account() const noexcept {
  if (decoder_) return decoder_->account();
  if (!ogg_.links.empty()) {
    ByteAccount account{.sound = 0, .metadata = 0, .other = ogg_.other_bytes + other_bytes_};
    for (const OggLink& link : ogg_.links) account.sound += link.sound_bytes;
    account.sound -= std::min(account.sound, other_bytes_);
    account.metadata = file_bytes_ - account.sound - account.other;
    return account;
  }
  if (!samples_) return {.sound = file_bytes_};
  const std::uint64_t there = samples_->end - samples_->begin;
  const auto frames = static_cast<std::uint64_t>(frames_read_);
  const std::uint64_t sound = stored_frame_bytes_ > 0 ? std::min(there, frames * stored_frame_bytes_) : there;
  std::uint64_t left = there - sound;
  // Some writers count the bytes that fill up a chunk of W64.
  constexpr std::uint64_t kW64Fill = 8;
  if ((facts_.format & SF_FORMAT_TYPEMASK) == SF_FORMAT_W64 && left < std::min(kW64Fill, stored_frame_bytes_)) left = 0;
  const std::uint64_t other = left + other_bytes_;
  return {.sound = sound, .metadata = file_bytes_ - sound - other, .other = other};
}

std::vector<std::string> SoundReader::says() const {
  std::vector<std::string> names = may_say_more_ ? chunk_names(fd_.get(), file_bytes_) : std::vector<std::string>();
  // Each link has comments of its own; those of the first are kept.
  if (ogg_.links.size() > 1) names.insert(std::ranges::lower_bound(names, "link"), "link");
  return names;
}

std::uint64_t SoundReader::likely_bytes() const noexcept {
  const Subtype* subtype = find_subtype(facts_.format);
  if (facts_.frames < 0 || subtype->stored_bytes == 0 || has_codec_container(facts_.format)) return file_bytes_;
  // A sparse file may be far larger than any disk behind its samples.
  constexpr std::uint64_t kOtherBytes = 65536;
  std::uint64_t bytes = 0;
  if (__builtin_mul_overflow(
          static_cast<std::uint64_t>(facts_.frames),
          static_cast<std::uint64_t>(facts_.channels) * static_cast<std::uint64_t>(subtype->stored_bytes), &bytes) ||
      bytes > file_bytes_) {
    return file_bytes_;
  }
  return std::min(bytes + kOtherBytes, file_bytes_);
}

bool SoundReader::open_next_link() {
  while (link_ + 1 < ogg_.links.size()) {
    const OggLink& link = ogg_.links[++link_];
    handle_.reset();
    corrected_->show(link);
    SF_INFO info{};
    std::string reason;
    handle_.reset(corrected_->open(info, reason));
    if (!handle_) {
      // Cut within its headers, or no sound.
      other_bytes_ += link.sound_bytes;
      continue;
    }
    if (info.channels != facts_.channels || info.samplerate != facts_.rate || info.format != facts_.format) {
      throw Error(fmt::format("'{}' becomes another kind of sound: {}, {} Hz and {} channels after {}, {} and {}",
                              path_, subtype_name(info.format), info.samplerate, info.channels,
                              subtype_name(facts_.format), facts_.rate, facts_.channels));
    }
    if (info.frames > 0 && info.frames != SF_COUNT_MAX && facts_.frames >= 0) facts_.frames += info.frames;
    return true;
  }
  return false;
}

std::size_t SoundReader::read(void* samples, std::size_t frames) {
  if (decoder_) {
    const std::size_t got = decoder_->read(samples, frames);
    if (got < frames) damaged_ = decoder_->damaged();
    frames_read_ += static_cast<std::int64_t>(got);
    return got;
  }
  std::size_t done = 0;
  do {
    done += read_handle(static_cast<std::byte*>(samples) + done * facts_.frame_bytes(), frames - done);
  } while (done < frames && open_next_link());
  return done;
}

std::size_t SoundReader::read_handle(void* samples, std::size_t frames) {
  SNDFILE* file = file_of(handle_.get());
  auto wanted = static_cast<sf_count_t>(frames);
  if (readable_ >= 0) wanted = std::min(wanted, readable_ - frames_read_);
  sf_count_t got = 0;
  switch (facts_.sample_type) {
    case SampleType::int16:
      got = sf_readf_short(file, static_cast<short*>(samples), wanted);
      break;
    case SampleType::int32:
      got = sf_readf_int(file, static_cast<int*>(samples), wanted);
      break;
    case SampleType::float32:
      got = sf_readf_float(file, static_cast<float*>(samples), wanted);
      break;
    case SampleType::float64:
      got = sf_readf_double(file, static_cast<double*>(samples), wanted);
      break;
  }
  got = std::max<sf_count_t>(got, 0);
  if (got < wanted) {
    if (corrected_ && corrected_->error != 0) {
      throw system_error(fmt::format("cannot read '{}'", path_), corrected_->error);
    }
    const int error = sf_error(file);
    if (error == SF_ERR_SYSTEM) throw Error(fmt::format("cannot read '{}': {}", path_, sf_strerror(file)));
    if (error != SF_ERR_NO_ERROR) damaged_ = true;
  }
  frames_read_ += got;
  if (offset_ >= 0) offset_ += got * static_cast<sf_count_t>(facts_.frame_bytes());
  return static_cast<std::size_t>(got);
}

std::optional<SoundReader::Extent> SoundReader::pass_over(std::size_t frames) {
  const bool is_wav =
      (facts_.format & SF_FORMAT_TYPEMASK) == SF_FORMAT_WAV || (facts_.format & SF_FORMAT_TYPEMASK) == SF_FORMAT_WAVEX;
  const bool is_copied = is_wav && std::endian::native == std::endian::little &&
                         (facts_.format & SF_FORMAT_ENDMASK) != SF_ENDIAN_BIG && offset_ >= 0 && !corrected_ &&
                         readable_ < 0;
  const std::int64_t left = facts_.frames - frames_read_;
  const auto frame_bytes = static_cast<std::int64_t>(facts_.frame_bytes());
  std::int64_t bytes = 0;
  if (!is_copied || left < 0 || __builtin_mul_overflow(left, frame_bytes, &bytes) ||
      bytes > static_cast<std::int64_t>(file_bytes_) - offset_) {
    return std::nullopt;
  }
  if (!is_blocking_) {
    // It was opened so that a FIFO does not block; the kernel would not wait for a file's pages, either.
    const int flags = ::fcntl(fd_.get(), F_GETFL);
    if (flags < 0 || ::fcntl(fd_.get(), F_SETFL, flags & ~O_NONBLOCK) != 0) return std::nullopt;
    is_blocking_ = true;
  }
  const std::int64_t got = std::min(left, static_cast<std::int64_t>(frames));
  const Extent there{fd_.get(), offset_, static_cast<std::size_t>(got)};
  frames_read_ += got;
  offset_ += got * frame_bytes;
  return there;
}

// --- SoundWriter ---

/// The file behind libsndfile's callbacks. The first error is kept: libsndfile itself drops errors of
/// what it writes while it closes.
struct SoundWriter::Sink {
  int fd = -1;
  std::string name;
  SoundFacts facts;
  bool plain = false;
  sf_count_t frames = 0;
  sf_count_t position = 0;
  sf_count_t size = 0;
  int error = 0;
  std::span<const std::byte> elsewhere;        // what is not written if it comes as it is
  std::optional<sf_count_t> elsewhere_offset;  // where it would have been written

  static Sink& of(void* self) noexcept { return *static_cast<Sink*>(self); }
  static sf_count_t length(void* self) { return of(self).size; }
  static sf_count_t tell(void* self) { return of(self).position; }
  static sf_count_t seek(sf_count_t offset, int whence, void* self) {
    Sink& sink = of(self);
    const sf_count_t from = whence == SEEK_SET ? 0 : whence == SEEK_CUR ? sink.position : sink.size;
    sink.position = from + offset;
    return sink.position;
  }
  static sf_count_t read(void* to, sf_count_t count, void* self) {
    Sink& sink = of(self);
    const ssize_t got = ::pread(sink.fd, to, static_cast<std::size_t>(count), sink.position);
    if (got > 0) sink.position += got;
    return got;
  }
  static sf_count_t write(const void* from, sf_count_t count, void* self) {
    Sink& sink = of(self);
    if (!sink.elsewhere.empty() && from == sink.elsewhere.data() &&
        count == static_cast<sf_count_t>(sink.elsewhere.size())) {
      sink.elsewhere_offset = sink.position;
      sink.position += count;
      sink.size = std::max(sink.size, sink.position);
      return count;
    }
    sf_count_t done = 0;
    while (done < count) {
      const ssize_t written = ::pwrite(sink.fd, static_cast<const char*>(from) + done,
                                       static_cast<std::size_t>(count - done), sink.position);
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) {
        if (sink.error == 0) sink.error = written < 0 ? errno : EIO;
        break;
      }
      done += written;
      sink.position += written;
      sink.size = std::max(sink.size, sink.position);
    }
    return done;
  }
};

void SoundWriter::Close::operator()(void* handle) const noexcept { sf_close(file_of(handle)); }
SoundWriter::SoundWriter(SoundWriter&&) noexcept = default;
SoundWriter& SoundWriter::operator=(SoundWriter&& other) noexcept {
  handle_ = std::move(other.handle_);  // the old one closes into the old sink
  sink_ = std::move(other.sink_);
  return *this;
}
SoundWriter::~SoundWriter() = default;

SoundWriter::SoundWriter(int fd, const SoundFacts& facts, std::string name) : sink_(std::make_unique<Sink>()) {
  sink_->fd = fd;
  sink_->name = std::move(name);
  sink_->facts = facts;
  sink_->plain = is_stored_plainly(facts);
  SF_INFO info{};
  info.samplerate = facts.rate;
  info.channels = facts.channels;
  info.format = facts.format;
  if (sf_format_check(&info) == SF_FALSE) {
    throw Error(fmt::format("cannot write '{}': libsndfile reads but does not write this kind of file ({})",
                            sink_->name, subtype_name(facts.format)));
  }
  SF_VIRTUAL_IO callbacks{&Sink::length, &Sink::seek, &Sink::read, &Sink::write, &Sink::tell};
  std::string reason;
  handle_.reset(open_sound(reason, [&] {
    sink_->position = sink_->size = 0;
    return sf_open_virtual(&callbacks, SFM_WRITE, &info, sink_.get());
  }));
  if (!handle_) fail(reason);
  // The PEAK chunk holds the time of day.
  sf_command(file_of(handle_.get()), SFC_SET_ADD_PEAK_CHUNK, nullptr, SF_FALSE);
  if (facts.sample_type == SampleType::float32 && (facts.format & SF_FORMAT_SUBMASK) != SF_FORMAT_FLOAT) {
    sf_command(file_of(handle_.get()), SFC_SET_CLIPPING, nullptr, SF_TRUE);
  }
  if (sink_->error != 0) fail("");
}

void SoundWriter::fail(std::string_view what) const {
  const std::string message = fmt::format("cannot write '{}'", sink_->name);
  if (sink_->error != 0) throw system_error(message, sink_->error);
  throw Error(fmt::format("{}: {}", message, what));
}

int SoundWriter::format() const noexcept { return sink_->facts.format; }

std::int64_t SoundWriter::offset() const noexcept { return sink_->plain ? sink_->position : -1; }

void SoundWriter::write(const void* samples, std::size_t frames) {
  SNDFILE* file = file_of(handle_.get());
  const auto wanted = static_cast<sf_count_t>(frames);
  sf_count_t done = 0;
  switch (sink_->facts.sample_type) {
    case SampleType::int16:
      done = sf_writef_short(file, static_cast<const short*>(samples), wanted);
      break;
    case SampleType::int32:
      done = sf_writef_int(file, static_cast<const int*>(samples), wanted);
      break;
    case SampleType::float32:
      done = sf_writef_float(file, static_cast<const float*>(samples), wanted);
      break;
    case SampleType::float64:
      done = sf_writef_double(file, static_cast<const double*>(samples), wanted);
      break;
  }
  if (done != wanted || sink_->error != 0) fail(sf_strerror(file));
  sink_->frames += done;
}

std::optional<std::int64_t> SoundWriter::write_elsewhere(const void* samples, std::size_t frames) {
  sink_->elsewhere_offset.reset();
  if (sink_->plain) {
    sink_->elsewhere = {static_cast<const std::byte*>(samples), frames * sink_->facts.frame_bytes()};
  }
  write(samples, frames);
  sink_->elsewhere = {};
  return sink_->elsewhere_offset;
}

std::uint64_t SoundWriter::finish() {
  // libsndfile takes the sizes in the last header from the file with the header before it, which may have been shorter.
  if (sink_->frames == 0) sf_command(file_of(handle_.get()), SFC_UPDATE_HEADER_NOW, nullptr, 0);
  const int error = sf_close(file_of(handle_.release()));
  if (error != 0 || sink_->error != 0) fail(sf_error_number(error));
  if (sink_->size == 0) fail("there is no sample for it, and without one this kind of file is not made");
  const SoundFacts& facts = sink_->facts;
  sink_->error = steady_bytes(sink_->fd, facts.format, static_cast<std::uint64_t>(sink_->size));
  if (sink_->error == 0) sink_->error = keep_fields(sink_->fd, static_cast<std::uint64_t>(sink_->size), facts.kept);
  if (sink_->error != 0) fail("");
  const Subtype* subtype = find_subtype(facts.format);
  if ((facts.format & SF_FORMAT_TYPEMASK) == SF_FORMAT_AIFF && subtype != nullptr && subtype->stored_bytes % 2 == 1) {
    const sf_count_t bytes = sink_->frames * facts.channels * subtype->stored_bytes;
    if (bytes % 2 == 1 &&
        !correct_padded_aiff(sink_->fd, static_cast<std::uint64_t>(sink_->size),
                             static_cast<std::uint32_t>(sink_->frames), static_cast<std::uint32_t>(bytes))) {
      fail("its header is not where it should be");
    }
  }
  return static_cast<std::uint64_t>(sink_->size);
}

}  // namespace noisefloor
