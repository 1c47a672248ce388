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
#include "harness/audio/signals.hpp"
#include "harness/audio/sound_file.hpp"
#include "harness/base/error.hpp"
#include "harness/base/unique_fd.hpp"
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

/// Noise of `count` samples from `in` to `out`, which may be the same; returns how many integer samples saturated.
std::size_t transform(const Kernel& kernel, const SoundFacts& facts, const std::byte* in, std::byte* out,
                      std::size_t count, float sigma, NoiseKey key, std::uint64_t first_sample) noexcept {
  const KernelCode& add_noise = kernel.add_noise;
  return as_samples(facts.sample_type, out, [&]<class T>(T* to) -> std::size_t {
    const auto* from = reinterpret_cast<const T*>(in);
    if constexpr (std::is_same_v<T, std::int16_t>) {
      return add_noise.i16(from, to, count, sigma, facts.step, key, first_sample);
    } else if constexpr (std::is_same_v<T, std::int32_t>) {
      return add_noise.i32(from, to, count, sigma, facts.step, key, first_sample);
    } else if constexpr (std::is_same_v<T, float>) {
      add_noise.f32(from, to, count, sigma, key, first_sample);
      return 0;
    } else {
      add_noise.f64(from, to, count, sigma, key, first_sample);
      return 0;
    }
  });
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
  MeasuredEtl(std::vector<EtlTask> tasks, EtlOptions options, std::vector<OutputFolders::Output> outputs,
              std::uint64_t samples)
      : EtlWorkload(std::move(tasks), std::move(options)), samples_(samples) {
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

  /// Test signals are written back by what wrote them: as many bytes out as in.
  [[nodiscard]] Volume volume() const override {
    return {.samples = samples_, .bytes_read = bytes_, .bytes_written = bytes_};
  }

 protected:
  [[nodiscard]] std::string output_root() const override { return folders_->root(); }

 private:
  std::optional<OutputFolders> folders_;
  std::uint64_t samples_ = 0, bytes_ = 0;
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

EtlWorkload::EtlWorkload(std::vector<EtlTask> tasks, EtlOptions options)
    : EtlWorkload(
          static_cast<std::uint32_t>(tasks.size()), [tasks](std::uint32_t task) { return tasks[task]; },
          std::move(options)) {}

EtlWorkload::EtlWorkload(std::uint32_t tasks, std::function<EtlTask(std::uint32_t)> task_of, EtlOptions options)
    : task_count_(tasks), task_of_(std::move(task_of)), options_(std::move(options)) {
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

void EtlWorkload::run(TaskRange range, std::span<TaskResult> results, std::vector<std::byte>& returned) const {
  each(range, results, returned, [this](std::uint32_t task, std::vector<std::byte>& to) {
    const EtlOutcome outcome = run_task(task);
    const auto* bytes = reinterpret_cast<const std::byte*>(&outcome);
    to.insert(to.end(), bytes, bytes + sizeof outcome);
  });
}

EtlOutcome EtlWorkload::run_task(std::uint32_t task) const {
  const EtlTask job = task_of_(task);
  StageClock clock;
  const std::string target = output_root() + "/" + job.output;
  refuse_existing(target, options_.output_mode, options_.exists_hint);
  const std::span<std::byte> buffer = thread_buffer();
  const NoiseKey key{options_.seed, job.stream};
  EtlOutcome outcome{};
  outcome.amplitude = options_.amplitude;
  outcome.snr_db_requested = outcome.snr_db_achieved = std::numeric_limits<double>::quiet_NaN();
  PowerSum level;
  if (options_.snr) {
    SoundReader first_pass(job.input);
    level = power_of(first_pass, buffer, options_.stop);
    outcome.snr_db_requested = options_.snr->of(key);
    if (level.sum() > 0) {
      const double full = full_scale(first_pass.facts().sample_type);
      const double rms = std::sqrt(level.sum() / static_cast<double>(level.count())) / full;
      outcome.amplitude = rms / std::pow(10.0, outcome.snr_db_requested / 20);
      if (!(outcome.amplitude <= kLargestAmplitude)) {
        throw Error(fmt::format("'{}' has an RMS of {:.4g} of full scale: noise {:.4g} dB below it has no use",
                                job.input, rms, outcome.snr_db_requested));
      }
    } else {
      outcome.amplitude = 0;
      outcome.warnings |= EtlOutcome::kSilent;
    }
  }
  SoundReader reader(job.input);
  const SoundFacts& facts = reader.facts();
  if (!has_code(*options_.kernel, facts.sample_type)) {
    throw Error(fmt::format("kernel {} has no code for the samples of '{}' ({})", options_.kernel->name, job.input,
                            subtype_name(facts.format)));
  }
  clock.cut(&StageTimes::extract_ns);

  TaskOutput file(target, options_.output_mode);
  file.reserve(reader.likely_bytes());
  SoundWriter writer(file.fd(), facts, target);
  if (!copy_metadata(reader, writer) || reader.hides_chunks()) outcome.warnings |= EtlOutcome::kMetadata;
  clock.cut(&StageTimes::load_ns);

  const auto sigma = static_cast<float>(outcome.amplitude * full_scale(facts.sample_type));
  const auto channels = static_cast<std::size_t>(facts.channels);
  const std::size_t frame_bytes = facts.frame_bytes();
  std::byte* const noisy = options_.snr ? thread_buffer(1).data() : buffer.data();
  PowerSum signal, noise;
  for (std::uint64_t sample = 0;;) {
    refuse_interrupted(options_.stop);
    // The first piece is shorter by the header, so that all others begin at a page of the file.
    const std::size_t wanted = piece_frames(writer.offset(), buffer.size(), frame_bytes);
    const std::size_t got = reader.read(buffer.data(), wanted);
    clock.cut(&StageTimes::extract_ns);
    if (got > 0) {
      const std::size_t count = got * channels;
      outcome.not_finite += remove_non_finite(facts.sample_type, buffer.data(), count);
      outcome.clipped += transform(*options_.kernel, facts, buffer.data(), noisy, count, sigma, key, sample);
      if (options_.snr) {
        as_samples(facts.sample_type, buffer.data(), [&]<class T>(const T* before) {
          signal.add(before, count);
          noise.add_difference(reinterpret_cast<const T*>(noisy), before, count);
        });
      }
      clock.cut(&StageTimes::transform_ns);
      writer.write(noisy, got);
      clock.cut(&StageTimes::load_ns);
      sample += count;
    }
    if (got < wanted) break;
  }
  if (options_.snr) {
    if (signal.sum() != level.sum() || signal.count() != level.count()) {
      throw Error(fmt::format("'{}' changed between the two times that it was read", job.input));
    }
    if (level.sum() > 0) outcome.snr_db_achieved = 10 * std::log10(signal.sum() / noise.sum());
    if (level.sum() > 0) outcome.warnings |= warning_of_ratio(outcome, level.count());
  }
  outcome.bytes_written = writer.finish();
  struct stat there {};
  if (options_.output_mode == OutputMode::confirm && ::lstat(target.c_str(), &there) == 0) {
    if (!is_same(file.fd(), target, target)) {
      throw Error(fmt::format("'{}' exists, and is not what would be written{}", target, options_.exists_hint));
    }
  } else {
    file.publish(outcome.bytes_written, options_.fsync);
  }
  clock.cut(&StageTimes::load_ns);

  outcome.frames = reader.frames_read();
  outcome.frames_promised = facts.frames;
  outcome.bytes_read = reader.file_bytes();
  outcome.channels = facts.channels;
  outcome.rate = facts.rate;
  outcome.format = facts.format;
  if (reader.damaged()) {
    outcome.warnings |= EtlOutcome::kDamaged;
  } else if (reader.truncated()) {
    outcome.warnings |= EtlOutcome::kTruncated;
  }
  if (reader.unsized()) outcome.warnings |= EtlOutcome::kUnsized;
  if (outcome.not_finite > 0) outcome.warnings |= EtlOutcome::kNotFinite;
  stage_totals_.add(clock.times());
  return outcome;
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
  const std::vector<std::string> signals = test_signals(options.tasks, options.task_size, options.format);
  std::vector<EtlTask> tasks;
  std::vector<OutputFolders::Output> outputs;
  tasks.reserve(signals.size());
  outputs.reserve(signals.size());
  for (const std::string& path : signals) {
    const std::string name = path.substr(path.find_last_of('/') + 1);
    outputs.push_back({name, file_bytes(path)});
    tasks.push_back({.input = path, .output = name, .stream = stream_of(name.data(), name.size())});
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
                                       std::move(outputs), options.tasks * options.task_size);
}

}  // namespace noisefloor
