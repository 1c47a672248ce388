// The audio ETL: extract (libsndfile), transform (a kernel), load (an atomic file), through one reused buffer.
// SPDX-License-Identifier: MIT
#include "harness/workloads/etl.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

#include "harness/audio/metadata.hpp"
#include "harness/audio/sound_file.hpp"
#include "harness/base/error.hpp"
#include "harness/base/unique_fd.hpp"
#include "harness/workloads/sound_inputs.hpp"
#include "kernels/power.hpp"

namespace noisefloor {
namespace {

/// Calls f(samples) with `bytes` as samples of `type`.
template <class Bytes, class F>
decltype(auto) as_samples(SampleType type, Bytes* bytes, F&& f) {
  const auto as = [&]<class T>(T) {
    using Sample = std::conditional_t<std::is_const_v<Bytes>, const T, T>;
    return reinterpret_cast<Sample*>(bytes);
  };
  switch (type) {
    case SampleType::int16:
      return f(as(std::int16_t{}));
    case SampleType::int32:
      return f(as(std::int32_t{}));
    case SampleType::float32:
      return f(as(float{}));
    case SampleType::float64:
      break;
  }
  return f(as(double{}));
}

std::size_t remove_non_finite(SampleType type, std::byte* samples, std::size_t count) noexcept {
  if (type == SampleType::float32) return make_finite(reinterpret_cast<float*>(samples), count);
  if (type == SampleType::float64) return make_finite(reinterpret_cast<double*>(samples), count);
  return 0;
}

bool has_code(const Kernel& kernel, SampleType type) noexcept {
  switch (type) {
    case SampleType::int16:
      return kernel.add_noise.i16 != nullptr;
    case SampleType::int32:
      return kernel.add_noise.i32 != nullptr;
    case SampleType::float32:
      return kernel.add_noise.f32 != nullptr;
    case SampleType::float64:
      return kernel.add_noise.f64 != nullptr;
  }
  return false;
}

void refuse_interrupted(const std::atomic<bool>* stop) {
  if (stop != nullptr && stop->load(std::memory_order_relaxed)) throw Error(std::string(kInterrupted));
}

/// The first pass over a file: how loud all of it is. Leaves the reader at its end.
PowerSum power_of(SoundReader& reader, std::span<std::byte> buffer, const std::atomic<bool>* stop) {
  const SoundFacts& facts = reader.facts();
  const auto channels = static_cast<std::size_t>(facts.channels);
  PowerSum power;
  for (;;) {
    refuse_interrupted(stop);
    const std::size_t wanted = piece_frames(reader.offset(), buffer.size(), facts.frame_bytes());
    const std::size_t got = reader.read(buffer.data(), wanted);
    remove_non_finite(facts.sample_type, buffer.data(), got * channels);
    as_samples(facts.sample_type, buffer.data(), [&](auto* samples) { power.add(samples, got * channels); });
    if (got < wanted) return power;
  }
}

/// What transform knows of a piece, and what it found in this one and those before.
struct PieceState {
  NoiseKey key = {};
  std::uint64_t first_sample = 0;  ///< counted over all channels
  std::uint64_t samples = 0;
  float sigma = 0;  ///< in units of the samples
  SampleType sample_type = SampleType::int16;
  bool is_measured = false;  ///< the sums are wanted
  int step = 1;
  std::uint64_t clipped = 0;     ///< integer samples that saturated
  std::uint64_t not_finite = 0;  ///< float samples that were NaN or ±∞
  PowerSum signal = {}, noise = {};
};

/// Noise from `in`, whose samples become finite, to `out`: the same buffer, but for a piece that is measured.
void add_noise(const EtlOptions& options, PieceState& piece, std::byte* in, std::byte* out) noexcept {
  const KernelCode& code = options.kernel->add_noise;
  const std::size_t count = piece.samples;
  piece.not_finite += remove_non_finite(piece.sample_type, in, count);
  as_samples(piece.sample_type, out, [&]<class T>(T* to) {
    const auto* from = reinterpret_cast<const T*>(in);
    if constexpr (std::is_same_v<T, std::int16_t>) {
      piece.clipped += code.i16(from, to, count, piece.sigma, piece.step, piece.key, piece.first_sample);
    } else if constexpr (std::is_same_v<T, std::int32_t>) {
      piece.clipped += code.i32(from, to, count, piece.sigma, piece.step, piece.key, piece.first_sample);
    } else if constexpr (std::is_same_v<T, float>) {
      code.f32(from, to, count, piece.sigma, piece.key, piece.first_sample);
    } else {
      code.f64(from, to, count, piece.sigma, piece.key, piece.first_sample);
    }
    if (!piece.is_measured) return;
    piece.signal.add(from, count);
    piece.noise.add_difference(to, from, count);
  });
}

/// The same in one buffer; what is measured is measured against a copy.
void add_noise_in_place(const EtlOptions& options, PieceState& piece, std::span<std::byte> data) {
  std::byte* in = data.data();
  if (piece.is_measured) {
    in = thread_buffer(1).data();
    std::memcpy(in, data.data(), data.size());
  }
  add_noise(options, piece, in, data.data());
}

/// What to say of the ratio that was reached with `count` samples: within 1 dB, and what chance does, it is as asked
/// for.
std::uint32_t warning_of_ratio(const EtlOutcome& outcome, std::uint64_t count) noexcept {
  if (std::isinf(outcome.snr_db_achieved)) return EtlOutcome::kNoNoise;
  // The power of n normal numbers has a standard deviation of √(2/n) of itself; five of them, in dB.
  const double chance = 5 * 10 / std::log(10.0) * std::sqrt(2 / static_cast<double>(count));
  return std::abs(outcome.snr_db_achieved - outcome.snr_db_requested) > 1 + chance ? EtlOutcome::kMissed : 0U;
}

/// Whether the files have the same bytes. Throws Error if the first cannot be read; the second counts as different.
bool is_same(int fd, const std::string& path, const std::string& name) {
  const UniqueFd other(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC));
  struct stat mine {};
  struct stat others {};
  if (::fstat(fd, &mine) != 0) throw system_error(fmt::format("cannot read '{}'", name), errno);
  if (!other || ::fstat(other.get(), &others) != 0 || !S_ISREG(others.st_mode) || mine.st_size != others.st_size) {
    return false;
  }
  const std::span<std::byte> buffer = thread_buffer();
  const std::size_t half = buffer.size() / 2;
  for (off_t at = 0; at < mine.st_size;) {
    const ssize_t got = ::pread(fd, buffer.data(), half, at);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) throw system_error(fmt::format("cannot read '{}'", name), got < 0 ? errno : EIO);
    const ssize_t theirs = ::pread(other.get(), buffer.data() + half, static_cast<std::size_t>(got), at);
    if (theirs < 0 && errno == EINTR) continue;
    if (theirs <= 0 || std::memcmp(buffer.data(), buffer.data() + half, static_cast<std::size_t>(theirs)) != 0) {
      return false;
    }
    at += theirs;
  }
  return true;
}

/// The measured form.
class MeasuredEtl final : public EtlWorkload {
 public:
  MeasuredEtl(const std::vector<EtlTask>& tasks, EtlOptions options, std::vector<OutputFolders::Output> outputs,
              std::optional<std::uint64_t> samples)
      : EtlWorkload(tasks, std::move(options)), samples_(samples) {
    for (const auto& output : outputs) bytes_ += output.bytes;
    folders_.emplace(std::move(outputs), this->options().output_mode);
  }

  void prepare(std::uint32_t iterations) override {
    EtlWorkload::prepare(iterations);
    folders_->prepare(iterations);
  }
  void begin(std::uint32_t iteration) override { folders_->begin(iteration); }
  void clean() override { folders_->clean(); }
  [[nodiscard]] std::uint32_t digestible_iterations(std::uint32_t iterations) const override { return iterations; }

  /// Test signals are written back by what wrote them: as many bytes out as in. Of a user's files that is not known.
  [[nodiscard]] Volume volume() const override {
    return {
        .samples = samples_, .bytes_read = bytes_, .bytes_written = samples_ ? std::optional(bytes_) : std::nullopt};
  }

 protected:
  [[nodiscard]] std::string output_root() const override { return folders_->root(); }

 private:
  std::optional<OutputFolders> folders_;
  std::optional<std::uint64_t> samples_;
  std::uint64_t bytes_ = 0;
};

}  // namespace

double SnrRange::of(NoiseKey key) const noexcept { return min_db + (max_db - min_db) * uniform_of(key); }

EtlOutcome etl_outcome(std::span<const std::byte> returned) {
  EtlOutcome outcome{};
  if (returned.size() != sizeof outcome) {
    throw Error(fmt::format("an ETL task returned {} bytes instead of {}", returned.size(), sizeof outcome));
  }
  std::memcpy(&outcome, returned.data(), sizeof outcome);
  return outcome;
}

EtlWorkload::EtlWorkload(const std::vector<EtlTask>& tasks, EtlOptions options)
    : EtlWorkload(
          static_cast<std::uint32_t>(tasks.size()), [tasks](std::uint32_t task) { return tasks[task]; },
          std::move(options)) {}

EtlWorkload::EtlWorkload(std::uint32_t tasks, std::function<EtlTask(std::uint32_t)> task_of, EtlOptions options)
    : task_count_(tasks),
      task_of_(std::move(task_of)),
      options_(std::move(options)),
      begun_(options_.may_run_again && options_.output_mode == OutputMode::fresh ? tasks : 0) {
  if (!(options_.amplitude >= 0 && options_.amplitude <= kLargestAmplitude)) {
    throw UsageError(fmt::format("the noise's amplitude is {}: it must lie between 0 and {}", options_.amplitude,
                                 kLargestAmplitude));
  }
  if (const auto& snr = options_.snr;
      snr && !(std::isfinite(snr->min_db) && std::isfinite(snr->max_db) && snr->min_db <= snr->max_db)) {
    throw UsageError(fmt::format("the signal-to-noise ratio is {} to {} dB: both must be finite, in rising order",
                                 snr->min_db, snr->max_db));
  }
  if (!options_.kernel->unavailable.empty()) {
    throw MissingError(
        fmt::format("kernel {} cannot run here: {}", options_.kernel->name, options_.kernel->unavailable));
  }
}

EtlWorkload::~EtlWorkload() = default;

std::uint32_t EtlWorkload::task_count() const { return task_count_; }

OutputMode EtlWorkload::mode_of(std::uint32_t task) const {
  if (begun_.size() == 0) return options_.output_mode;
  const bool is_begun = std::atomic_ref(begun_.as<std::uint8_t>()[task]).load(std::memory_order_relaxed) != 0;
  return is_begun ? OutputMode::confirm : OutputMode::fresh;
}

void EtlWorkload::set_begun(std::uint32_t task) const {
  if (begun_.size() != 0) std::atomic_ref(begun_.as<std::uint8_t>()[task]).store(1, std::memory_order_relaxed);
}

/// One file on its way. What a piece is to transform(), a PieceState, is kept from piece to piece.
class EtlWorkload::OpenTask final : public StagedTask {
 public:
  OpenTask(const EtlWorkload& workload, std::uint32_t task)
      : workload_(workload),
        options_(workload.options_),
        job_(workload.task_of_(task)),
        target_(workload.output_root() + "/" + job_.output),
        mode_(workload.mode_of(task)),
        reader_(open_reader(task)),
        facts_(reader_.facts_to_write(options_.may_become_rf64)),
        file_(target_, mode_, options_.owner),
        writer_(reserved(), facts_, target_) {
    if (facts_.format != reader_.facts().format) outcome_.warnings |= EtlOutcome::kLarge;
    if (!copy_metadata(reader_, writer_) || reader_.hides_chunks()) outcome_.warnings |= EtlOutcome::kMetadata;
    const SoundFacts& facts = reader_.facts();
    state_.sigma = static_cast<float>(outcome_.amplitude * full_scale(facts.sample_type));
    state_.sample_type = facts.sample_type;
    state_.step = facts.step;
    clock_.cut(&StageTimes::load_ns);
  }

  /// The next piece; with a `wait`, what it waits for may be told there. False when none is left.
  [[nodiscard]] bool extract(std::span<std::byte> room, Wait* wait = nullptr) {
    if (ended_) return false;
    refuse_interrupted(options_.stop);
    const SoundFacts& facts = reader_.facts();
    // The first piece is shorter by the header, so that all others begin at a page of the file.
    const std::size_t wanted = piece_frames(writer_.offset(), kTaskBufferBytes, facts.frame_bytes());
    std::optional<SoundReader::Extent> there;
    if (wait != nullptr) there = reader_.pass_over(wanted);
    if (there) {
      frames_ = there->frames;
      if (frames_ > 0) {
        *wait = {.what = Wait::For::read,
                 .fd = there->fd,
                 .offset = static_cast<std::uint64_t>(there->offset),
                 .data = room.first(frames_ * facts.frame_bytes())};
        waits_for_ = wait->what;
      }
    } else {
      frames_ = reader_.read(room.data(), wanted);
    }
    ended_ = frames_ < wanted;
    state_.first_sample += state_.samples;
    state_.samples = frames_ * static_cast<std::size_t>(facts.channels);
    clock_.cut(&StageTimes::extract_ns);
    return frames_ > 0;
  }

  /// Noise from `in`, whose samples become finite, to `out`, which must be another buffer where a ratio is measured.
  void transform(std::byte* in, std::byte* out) {
    add_noise(options_, state_, in, out);
    clock_.cut(&StageTimes::transform_ns);
    is_transform_timed_ = true;
  }

  void load(const std::byte* data) {
    if (!is_transform_timed_) clock_.cut(&StageTimes::transform_ns);
    is_transform_timed_ = false;
    writer_.write(data, frames_);
    clock_.cut(&StageTimes::load_ns);
  }

  void finish(std::vector<std::byte>& returned) override {
    if (options_.snr) {
      if (state_.signal.sum() != level_.sum() || state_.signal.count() != level_.count()) {
        throw Error(fmt::format("'{}' changed between the two times that it was read", job_.input));
      }
      if (level_.sum() > 0) {
        outcome_.snr_db_achieved = 10 * std::log10(state_.signal.sum() / state_.noise.sum());
        outcome_.warnings |= warning_of_ratio(outcome_, level_.count());
      }
    }
    outcome_.bytes_written = writer_.finish();
    if (!keeps_metadata(reader_, file_.fd(), outcome_.bytes_written)) outcome_.warnings |= EtlOutcome::kMetadata;
    struct stat there {};
    if (mode_ == OutputMode::confirm && ::lstat(target_.c_str(), &there) == 0) {
      if (!is_same(file_.fd(), target_, target_)) {
        throw Error(fmt::format("'{}' exists, and is not what would be written{}", target_, options_.exists_hint));
      }
    } else {
      file_.publish(outcome_.bytes_written, options_.fsync);
    }
    clock_.cut(&StageTimes::load_ns);

    const SoundFacts& facts = reader_.facts();
    outcome_.frames = reader_.frames_read();
    outcome_.frames_promised = reader_.understated().value_or(facts.frames);
    const ByteAccount account = reader_.account();
    outcome_.sound_bytes = account.sound;
    outcome_.metadata_bytes = account.metadata;
    outcome_.other_bytes = account.other;
    outcome_.bytes_read = reader_.file_bytes();
    outcome_.clipped = state_.clipped;
    outcome_.not_finite = state_.not_finite;
    outcome_.channels = facts.channels;
    outcome_.rate = facts.rate;
    outcome_.format = facts.format;
    if (reader_.damaged()) {
      outcome_.warnings |= EtlOutcome::kDamaged;
    } else if (reader_.truncated()) {
      outcome_.warnings |= EtlOutcome::kTruncated;
    }
    if (reader_.unsized()) outcome_.warnings |= EtlOutcome::kUnsized;
    if (reader_.understated()) outcome_.warnings |= EtlOutcome::kUnderstated;
    if (account.other > 0) outcome_.warnings |= EtlOutcome::kOther;
    if (reader_.is_repacked()) outcome_.warnings |= EtlOutcome::kRepacked;
    if (outcome_.not_finite > 0) outcome_.warnings |= EtlOutcome::kNotFinite;
    workload_.stage_totals_.add(clock_.times());
    const auto* bytes = reinterpret_cast<const std::byte*>(&outcome_);
    returned.insert(returned.end(), bytes, bytes + sizeof outcome_);
  }

  // The same for strategies, which hand the piece's state about.

  [[nodiscard]] std::size_t extract(std::span<std::byte> room, Piece& piece) override {
    if (!extract(room)) return 0;
    piece.set(state_);
    return frames_ * reader_.facts().frame_bytes();
  }
  void transform(std::span<std::byte> data, Piece& piece) override {
    add_noise_in_place(options_, state_, data);
    piece.set(state_);
    clock_.cut(&StageTimes::transform_ns);
    is_transform_timed_ = true;
  }
  void load(std::span<const std::byte> data, const Piece& piece) override {
    state_ = piece.get<PieceState>();
    load(data.data());
  }
  [[nodiscard]] std::size_t begin_extract(std::span<std::byte> room, Piece& piece, Wait& wait) override {
    wait = {};
    if (!extract(room, &wait)) return 0;
    piece.set(state_);
    return frames_ * reader_.facts().frame_bytes();
  }
  void begin_load(std::span<std::byte> data, const Piece& piece, Wait& wait) override {
    wait = {};
    state_ = piece.get<PieceState>();
    if (!is_transform_timed_) clock_.cut(&StageTimes::transform_ns);
    is_transform_timed_ = false;
    if (const auto offset = writer_.write_elsewhere(data.data(), frames_)) {
      wait = {.what = Wait::For::write,
              .fd = file_.fd(),
              .offset = static_cast<std::uint64_t>(*offset),
              .data = data.first(frames_ * reader_.facts().frame_bytes())};
      waits_for_ = wait.what;
    }
    clock_.cut(&StageTimes::load_ns);
  }
  void end_wait(int error) override {
    const bool is_read = waits_for_ == Wait::For::read;
    if (error != 0) {
      throw system_error(
          is_read ? fmt::format("cannot read '{}'", job_.input) : fmt::format("cannot write '{}'", target_), error);
    }
    clock_.cut(is_read ? &StageTimes::extract_ns : &StageTimes::load_ns);
  }

 private:
  /// The input at its beginning, and the amplitude of its noise: extract's part of opening.
  [[nodiscard]] SoundReader open_reader(std::uint32_t task) {
    refuse_existing(target_, mode_, options_.exists_hint);
    workload_.set_begun(task);
    outcome_.amplitude = options_.amplitude;
    outcome_.snr_db_requested = outcome_.snr_db_achieved = std::numeric_limits<double>::quiet_NaN();
    if (options_.snr) relate_noise_to_level();
    SoundReader reader(job_.input);
    if (!has_code(*options_.kernel, reader.facts().sample_type)) {
      throw Error(fmt::format("kernel {} has no code for the samples of '{}' ({})", options_.kernel->name, job_.input,
                              subtype_name(reader.facts().format)));
    }
    clock_.cut(&StageTimes::extract_ns);
    return reader;
  }

  /// The first pass.
  void relate_noise_to_level() {
    state_.is_measured = true;
    SoundReader reader(job_.input);
    level_ = power_of(reader, thread_buffer(), options_.stop);
    outcome_.snr_db_requested = options_.snr->of(state_.key);
    if (level_.sum() > 0) {
      const double full = full_scale(reader.facts().sample_type);
      const double rms = std::sqrt(level_.sum() / static_cast<double>(level_.count())) / full;
      outcome_.amplitude = rms / std::pow(10.0, outcome_.snr_db_requested / 20);
      if (!(outcome_.amplitude <= kLargestAmplitude)) {
        throw Error(fmt::format("'{}' has an RMS of {:.4g} of full scale: noise {:.4g} dB below it has no use",
                                job_.input, rms, outcome_.snr_db_requested));
      }
    } else {
      outcome_.amplitude = 0;
      outcome_.warnings |= EtlOutcome::kSilent;
    }
  }

  [[nodiscard]] int reserved() {
    file_.reserve(reader_.likely_bytes());
    return file_.fd();
  }

  const EtlWorkload& workload_;
  const EtlOptions& options_;
  const EtlTask job_;
  const std::string target_;
  const OutputMode mode_;
  StageClock clock_;
  EtlOutcome outcome_{};
  PowerSum level_;
  PieceState state_{.key = {options_.seed, job_.stream}};
  SoundReader reader_;
  const SoundFacts facts_;  // of the output
  TaskOutput file_;
  SoundWriter writer_;
  std::size_t frames_ = 0;  // of the piece at hand
  bool ended_ = false;      // the piece at hand is the last one
  bool is_transform_timed_ = false;
  Wait::For waits_for_ = Wait::For::nothing;  // last
};

void EtlWorkload::run(TaskRange range, std::span<TaskResult> results, std::vector<std::byte>& returned) const {
  each(range, results, returned, [this](std::uint32_t task, std::vector<std::byte>& to) {
    OpenTask file(*this, task);
    const std::span<std::byte> buffer = thread_buffer();
    std::byte* const noisy = options_.snr ? thread_buffer(1).data() : buffer.data();
    while (file.extract(buffer)) {
      file.transform(buffer.data(), noisy);
      file.load(noisy);
    }
    file.finish(to);
  });
}

std::unique_ptr<StagedTask> EtlWorkload::open(std::uint32_t task) const {
  return std::make_unique<OpenTask>(*this, task);
}

void EtlWorkload::transform(std::uint32_t /*task*/, std::span<std::byte> data, Piece& piece) const {
  auto state = piece.get<PieceState>();
  add_noise_in_place(options_, state, data);
  piece.set(state);
}

std::uint64_t EtlWorkload::digest(TaskRange range) const {
  const std::string root = output_root();
  std::uint64_t sum = 0;
  for (std::uint32_t task = range.first; task < range.last; ++task) {
    sum += digest_of_file(root + "/" + task_of_(task).output, task);
  }
  return sum;
}

void EtlWorkload::prepare(std::uint32_t iterations) {
  static_cast<void>(iterations);
  stage_totals_.clear();
}

std::optional<StageTimes> EtlWorkload::stage_times() const { return stage_totals_.sum(); }

std::unique_ptr<Workload> make_etl(const WorkloadOptions& options) {
  const OutputMode mode = output_mode(options.output_mode);
  const SoundInputs inputs = sound_inputs(options);
  std::vector<EtlTask> tasks;
  tasks.reserve(inputs.paths.size());
  for (std::size_t i = 0; i < inputs.paths.size(); ++i) {
    const std::string& name = inputs.outputs[i].name;
    tasks.push_back({.input = inputs.paths[i], .output = name, .stream = stream_of(name.data(), name.size())});
  }
  return std::make_unique<MeasuredEtl>(std::move(tasks),
                                       EtlOptions{.kernel = options.kernel,
                                                  .amplitude = kBenchmarkAmplitude,
                                                  .seed = options.seed,
                                                  .output_root = {},
                                                  .output_mode = mode,
                                                  .fsync = false,
                                                  .stop = nullptr,
                                                  .exists_hint = {}},
                                       inputs.outputs, inputs.samples);
}

}  // namespace noisefloor
