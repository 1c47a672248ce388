// The audio ETL: extract (libsndfile), transform (a kernel), load (an atomic file), through one reused buffer.
// SPDX-License-Identifier: MIT
#include "harness/workloads/etl.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/fs.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <limits>
#include <new>
#include <system_error>
#include <utility>

#include "harness/audio/atomic_file.hpp"
#include "harness/audio/metadata.hpp"
#include "harness/audio/signals.hpp"
#include "harness/audio/sound_file.hpp"
#include "harness/base/error.hpp"
#include "harness/base/unique_fd.hpp"
#include "kernels/power.hpp"

namespace noisefloor {
namespace {

constexpr std::size_t kPageBytes = 4096;
constexpr std::size_t kStageSlots = 256;

/// Times of one worker, on cache lines of their own (two: the neighbour line is fetched along).
struct alignas(128) StageSlot {
  std::uint64_t extract_ns, transform_ns, load_ns;
};

/// This thread's buffer number `which`: page-aligned, made when it is first asked for, kept for the thread's life.
/// Pages that a thread has touched once do not fault again.
std::span<std::byte> thread_buffer(std::size_t which = 0) {
  struct Free {
    void operator()(std::byte* memory) const noexcept { std::free(memory); }
  };
  thread_local std::array<std::unique_ptr<std::byte, Free>, 2> buffers;
  std::unique_ptr<std::byte, Free>& buffer = buffers[which];
  if (!buffer) {
    buffer.reset(static_cast<std::byte*>(std::aligned_alloc(kPageBytes, kEtlBufferBytes)));
    if (!buffer) throw std::bad_alloc();
  }
  return {buffer.get(), kEtlBufferBytes};
}

std::uint64_t now_ns() noexcept {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000U + static_cast<std::uint64_t>(now.tv_nsec);
}

/// Cuts a task's time into stages without a gap: what passed since the last cut goes to one stage.
class StageClock {
 public:
  void cut(std::uint64_t StageTimes::*stage) noexcept {
    const std::uint64_t now = now_ns();
    times_.*stage += now - last_;
    last_ = now;
  }
  [[nodiscard]] const StageTimes& times() const noexcept { return times_; }

 private:
  std::uint64_t last_ = now_ns();
  StageTimes times_;
};

/// Threads and forked workers find a slot by their thread id, and may meet in one: hence atomic, once
/// per task.
void add_times(std::span<StageSlot> slots, const StageTimes& times) noexcept {
  StageSlot& slot = slots[static_cast<std::size_t>(::gettid()) % slots.size()];
  std::atomic_ref(slot.extract_ns).fetch_add(times.extract_ns, std::memory_order_relaxed);
  std::atomic_ref(slot.transform_ns).fetch_add(times.transform_ns, std::memory_order_relaxed);
  std::atomic_ref(slot.load_ns).fetch_add(times.load_ns, std::memory_order_relaxed);
}

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

/// Calls f(bytes) for each piece of the file at `path`. Throws Error if it cannot be read.
template <class F>
void each_piece(const std::string& path, F&& f) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) throw system_error(fmt::format("cannot open '{}'", path), errno);
  const std::span<std::byte> buffer = thread_buffer();
  for (;;) {
    const ssize_t got = ::read(fd.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw system_error(fmt::format("cannot read '{}'", path), errno);
    if (got == 0) return;
    f(buffer.first(static_cast<std::size_t>(got)));
  }
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

std::uint64_t file_bytes(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) throw system_error(fmt::format("cannot examine '{}'", path), errno);
  return static_cast<std::uint64_t>(status.st_size);
}

void remove_folder(const std::string& folder) {
  std::error_code error;
  std::filesystem::remove_all(folder, error);
  if (error) throw system_error(fmt::format("cannot remove '{}'", folder), error.value());
}

/// ext4 places the folders below far apart, and so does not search long among the inodes of files that
/// were just deleted: without it, one cell's time drifted from 9 to 24 ms over a sweep. Best effort.
void mark_top_folder(const std::string& folder) noexcept {
  const UniqueFd fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  int flags = 0;
  if (!fd || ::ioctl(fd.get(), FS_IOC_GETFLAGS, &flags) != 0) return;
  flags |= FS_TOPDIR_FL;
  static_cast<void>(::ioctl(fd.get(), FS_IOC_SETFLAGS, &flags));
}

/// A folder <parent>/<pid>-<serial>, locked as long as this process, or a worker forked from it, lives.
/// For the thread that made it.
class ScratchFolder {
 public:
  explicit ScratchFolder(const std::string& parent) : owner_(::getpid()) {
    static std::atomic<unsigned> serial{0};
    for (;;) {
      path_ = fmt::format("{}/{}-{}", parent, owner_, serial.fetch_add(1));
      make_folders(parent);
      if (::mkdir(path_.c_str(), 0777) != 0) {
        if (errno == EEXIST || errno == ENOENT) continue;
        throw system_error(fmt::format("cannot make the folder '{}'", path_), errno);
      }
      lock_.reset(::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
      // Until it is locked, another process may take it for left behind, and remove it.
      struct stat status {};
      if (lock_ && ::flock(lock_.get(), LOCK_EX | LOCK_NB) == 0 && ::fstat(lock_.get(), &status) == 0 &&
          status.st_nlink > 0) {
        return;
      }
    }
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  ~ScratchFolder() {
    if (::getpid() != owner_) return;  // a forked worker ends: the folder is its parent's
    std::error_code error;
    std::filesystem::remove_all(path_, error);
  }

  [[nodiscard]] const std::string& path() const noexcept { return path_; }

  /// Removes the folders in `parent` that nobody holds.
  static void remove_stale(const std::string& parent) {
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(parent, error)) {
      const std::string path = entry.path().string();
      const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
      if (!fd || ::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) continue;
      std::error_code ignored;  // another process may be removing it as well
      std::filesystem::remove_all(path, ignored);
    }
  }

 private:
  pid_t owner_;
  std::string path_;
  UniqueFd lock_;
};

/// The measured form.
class MeasuredEtl final : public EtlWorkload {
 public:
  MeasuredEtl(std::vector<EtlTask> tasks, EtlOptions options, const std::string& parent, std::uint64_t samples)
      : EtlWorkload(std::move(tasks), std::move(options)),
        scratch_(parent),
        iteration_(sizeof(std::uint32_t)),
        samples_(samples) {
    mark_top_folder(parent);
    mark_top_folder(scratch_.path());
    for (const EtlTask& task : this->tasks()) bytes_ += file_bytes(task.input);
  }

  void prepare(std::uint32_t iterations) override {
    EtlWorkload::prepare(iterations);
    clean();
    for (std::uint32_t iteration = 0; iteration < iterations; ++iteration) {
      const std::string folder = root(iteration);
      make_folders(folder);
      if (options().output_mode == OutputMode::replace) {
        for (const EtlTask& task : tasks()) make_earlier_output(folder + "/" + task.output, task.input);
      }
    }
    iterations_ = iterations;
  }

  void begin(std::uint32_t iteration) override {
    std::atomic_ref(iteration_.as<std::uint32_t>()[0]).store(iteration, std::memory_order_release);
  }

  void clean() override {
    for (std::uint32_t iteration = 0; iteration < iterations_; ++iteration) remove_folder(root(iteration));
    iterations_ = 0;
  }

  [[nodiscard]] std::uint32_t digestible_iterations(std::uint32_t iterations) const override { return iterations; }

  /// Test signals are written back by what wrote them: as many bytes out as in.
  [[nodiscard]] Volume volume() const override {
    return {.samples = samples_, .bytes_read = bytes_, .bytes_written = bytes_};
  }

 protected:
  [[nodiscard]] std::string output_root() const override {
    return root(std::atomic_ref(iteration_.as<std::uint32_t>()[0]).load(std::memory_order_acquire));
  }

 private:
  [[nodiscard]] std::string root(std::uint32_t iteration) const {
    return fmt::format("{}/{:04}", scratch_.path(), iteration);
  }

  /// As many bytes as the output will have, none of them its.
  static void make_earlier_output(const std::string& path, const std::string& input) {
    const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
    if (!fd) throw system_error(fmt::format("cannot write '{}'", path), errno);
    const std::vector<std::byte> pattern(std::size_t{64} << 10, std::byte{0xA5});
    for (std::uint64_t left = file_bytes(input); left > 0;) {
      const ssize_t written = ::write(fd.get(), pattern.data(), std::min<std::uint64_t>(left, pattern.size()));
      if (written <= 0) throw system_error(fmt::format("cannot write '{}'", path), written < 0 ? errno : EIO);
      left -= static_cast<std::uint64_t>(written);
    }
  }

  ScratchFolder scratch_;
  SharedMapping iteration_;  // the one that tasks write to, also those of workers forked before begin()
  std::uint64_t samples_ = 0, bytes_ = 0;
  std::uint32_t iterations_ = 0;
};

}  // namespace

OutputMode output_mode(std::string_view name) {
  if (name == "new") return OutputMode::fresh;
  if (name == "replace") return OutputMode::replace;
  throw UsageError(fmt::format("unknown output mode '{}': choices are new, replace", name));
}

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
    : tasks_(std::move(tasks)), options_(std::move(options)), stage_slots_(kStageSlots * sizeof(StageSlot)) {
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

std::uint32_t EtlWorkload::task_count() const { return static_cast<std::uint32_t>(tasks_.size()); }

void EtlWorkload::run(TaskRange range, std::span<TaskResult> results, std::vector<std::byte>& returned) const {
  each(range, results, returned, [this](std::uint32_t task, std::vector<std::byte>& to) {
    const EtlOutcome outcome = run_task(task);
    const auto* bytes = reinterpret_cast<const std::byte*>(&outcome);
    to.insert(to.end(), bytes, bytes + sizeof outcome);
  });
}

EtlOutcome EtlWorkload::run_task(std::uint32_t task) const {
  const EtlTask& job = tasks_[task];
  StageClock clock;
  const std::string target = output_root() + "/" + job.output;
  if (options_.output_mode == OutputMode::fresh) {
    struct stat status {};
    if (::lstat(target.c_str(), &status) == 0) {
      throw Error(fmt::format("'{}' exists{}", target, options_.exists_hint));
    }
    // What the system says of the name only (it is too long, say) should not wait for the file to be processed.
    if (errno != ENOENT) throw system_error(fmt::format("cannot write '{}'", target), errno);
  }
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

  AtomicFile file(target);
  file.reserve(reader.likely_bytes());
  SoundWriter writer(file.fd(), facts, target);
  if (!copy_metadata(reader, writer)) outcome.warnings |= EtlOutcome::kMetadata;
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
    if (level.sum() > 0 && noise.sum() == 0) outcome.warnings |= EtlOutcome::kNoNoise;
  }
  outcome.bytes_written = writer.finish();
  struct stat there {};
  if (options_.output_mode == OutputMode::confirm && ::lstat(target.c_str(), &there) == 0) {
    if (!is_same(file.fd(), target, target)) {
      throw Error(fmt::format("'{}' exists, and is not what would be written{}", target, options_.exists_hint));
    }
  } else {
    file.publish(options_.output_mode == OutputMode::replace ? Publish::replace : Publish::fresh, outcome.bytes_written,
                 options_.fsync);
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
  add_times(stage_slots_.as<StageSlot>(), clock.times());
  return outcome;
}

std::uint64_t EtlWorkload::digest(TaskRange range) const {
  const std::string root = output_root();
  struct Free {
    void operator()(XXH3_state_t* memory) const noexcept { XXH3_freeState(memory); }
  };
  const std::unique_ptr<XXH3_state_t, Free> state(XXH3_createState());
  if (!state) throw std::bad_alloc();
  std::uint64_t sum = 0;
  for (std::uint32_t task = range.first; task < range.last; ++task) {
    XXH3_64bits_reset_withSeed(state.get(), task);
    each_piece(root + "/" + tasks_[task].output,
               [&](std::span<const std::byte> bytes) { XXH3_64bits_update(state.get(), bytes.data(), bytes.size()); });
    sum += XXH3_64bits_digest(state.get());
  }
  return sum;
}

void EtlWorkload::prepare(std::uint32_t iterations) {
  static_cast<void>(iterations);
  std::ranges::fill(stage_slots_.as<StageSlot>(), StageSlot{});
}

std::optional<StageTimes> EtlWorkload::stage_times() const {
  StageTimes sum;
  for (const StageSlot& slot : stage_slots_.as<StageSlot>()) {
    sum.extract_ns += slot.extract_ns;
    sum.transform_ns += slot.transform_ns;
    sum.load_ns += slot.load_ns;
  }
  return sum;
}

std::unique_ptr<Workload> make_etl(const WorkloadOptions& options) {
  const OutputMode mode = output_mode(options.output_mode);
  const std::vector<std::string> signals = test_signals(options.tasks, options.task_size, options.format);
  std::vector<EtlTask> tasks;
  tasks.reserve(signals.size());
  for (const std::string& path : signals) {
    const std::string name = path.substr(path.find_last_of('/') + 1);
    tasks.push_back({.input = path, .output = name, .stream = stream_of(name.data(), name.size())});
  }
  const std::string parent = cache_folder() + "/output";
  ScratchFolder::remove_stale(parent);
  return std::make_unique<MeasuredEtl>(std::move(tasks),
                                       EtlOptions{.kernel = options.kernel,
                                                  .amplitude = kBenchmarkAmplitude,
                                                  .seed = options.seed,
                                                  .output_root = {},
                                                  .output_mode = mode,
                                                  .fsync = false,
                                                  .stop = nullptr,
                                                  .exists_hint = {}},
                                       parent, options.tasks * options.task_size);
}

}  // namespace noisefloor
