// The audio ETL: each task reads one sound file, adds noise, and writes it back.
// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "harness/audio/atomic_file.hpp"
#include "harness/base/shared_mapping.hpp"
#include "harness/workloads/file_tasks.hpp"
#include "harness/workloads/table.hpp"
#include "harness/workloads/workload.hpp"
#include "kernels/kernel.hpp"

namespace noisefloor {

/// Noise at a ratio to each file's own level, drawn for each stream: uniform in dB between two ratios.
struct SnrRange {
  double min_db = 0;  ///< finite,
  double max_db = 0;  ///< not below min_db

  /// The ratio of a stream: min + (max - min)·uniform_of(key), in dB.
  [[nodiscard]] double of(NoiseKey key) const noexcept;
};

struct EtlTask {
  std::string input;
  std::string output;        ///< relative to the output root; its folder exists
  std::uint64_t stream = 0;  ///< of the noise: stream_of(the input's relative path)
};

struct EtlOptions {
  const Kernel* kernel = nullptr;  ///< never null
  /// Standard deviation of the noise relative to full scale: 0 to kLargestAmplitude. Not used where `snr` is.
  double amplitude = 0;
  /// A file is then read twice: σ = rms / 10^(snr/20), the RMS over all samples of all channels, with NaN and ±∞
  /// replaced. What was reached is measured. Amplitude streams in one pass.
  std::optional<SnrRange> snr = std::nullopt;
  std::uint64_t seed = 1;
  std::string output_root;
  OutputMode output_mode = OutputMode::fresh;
  bool fsync = false;                       ///< each output is on the disk when its task is done
  const std::atomic<bool>* stop = nullptr;  ///< once true, tasks in the middle of a file fail as interrupted
  std::string exists_hint;                  ///< what to do about an output that exists, for the message
  /// Tasks may be run again, since their worker died, perhaps after it had published the output: with OutputMode::fresh
  /// what is there since the task was first begun counts, if it is what would be written. For one iteration.
  bool may_run_again = false;
  /// A WAV file beyond 4 GiB becomes RF64; else, as for other kinds of file that cannot say their size then, it fails.
  bool may_become_rf64 = true;
  Owner owner = kNobody;  ///< of the temporary files
};

/// Beyond every use, and no format's σ exceeds kLargestSigma.
inline constexpr double kLargestAmplitude = 256;

/// What a done task returns, as bytes.
struct EtlOutcome {
  enum Warning : std::uint32_t {
    kTruncated = 1,      ///< the input is shorter than it promised: processed as far as it goes
    kDamaged = 2,        ///< the input cannot be decoded to its end: processed as far as it goes
    kNotFinite = 4,      ///< NaN became 0, ±∞ became ±1
    kUnsized = 8,        ///< the input's length was never filled in: processed to the end of the file
    kSilent = 16,        ///< no level that noise could be relative to: σ is 0
    kNoNoise = 32,       ///< σ is so small that every sample was rounded back to what it was
    kMissed = 128,       ///< the ratio reached is not the one asked for: rounding or saturation took or gave too much
    kMetadata = 64,      ///< some of what the input says beside its samples has no place in the output
    kUnderstated = 256,  ///< more frames than the input's header says: processed to their end
    kOther = 512,        ///< bytes of the input are neither sound nor known metadata
    kRepacked = 1024,    ///< samples of 24 bits in 4 bytes became 24 bits in 3
    kLarge = 2048,       ///< the output is beyond what its kind of file can say: RF64
  };
  std::int64_t frames;           ///< read and written
  std::int64_t frames_promised;  ///< by the input; -1: not said
  std::uint64_t sound_bytes;     ///< of the input, decoded as samples;
  std::uint64_t metadata_bytes;  ///< its headers, chunks and tags;
  std::uint64_t other_bytes;     ///< the rest of it
  std::uint64_t bytes_read;      ///< size of the input file
  std::uint64_t bytes_written;   ///< size of the output file
  std::uint64_t clipped;         ///< integer samples that saturated
  std::uint64_t not_finite;      ///< float samples that were NaN or ±∞
  double amplitude;              ///< σ relative to full scale
  double snr_db_requested;       ///< drawn from EtlOptions::snr; NaN without it
  double snr_db_achieved;  ///< of the samples given to the writer; ∞ without noise, NaN if silent or not measured
  std::int32_t channels, rate;
  std::int32_t format;  ///< libsndfile's number; subtype_name() names its subtype
  std::uint32_t warnings;
};
static_assert(std::is_trivially_copyable_v<EtlOutcome>);

/// The message of a task that `stop` ended in the middle of its file.
inline constexpr std::string_view kInterrupted = "interrupted";

/// The outcome in the bytes of one task's result. Throws Error if there are not as many as there must be.
[[nodiscard]] EtlOutcome etl_outcome(std::span<const std::byte> returned);

/// One file per task, into `options.output_root`. Its stages: opening, and the first pass for a ratio, belong to
/// extract; the temporary file to load.
class EtlWorkload : public Workload, private Stages {
 public:
  EtlWorkload(const std::vector<EtlTask>& tasks, EtlOptions options);
  /// `task_of` makes a task when it is run, so that many need not be held: thread-safe, the same for the same number.
  EtlWorkload(std::uint32_t tasks, std::function<EtlTask(std::uint32_t)> task_of, EtlOptions options);
  ~EtlWorkload() override;

  [[nodiscard]] std::uint32_t task_count() const override;
  void run(TaskRange range, std::span<TaskResult> results, std::vector<std::byte>& returned) const override;
  /// XXH3 of the bytes of each output file, seeded by the task's number, summed.
  [[nodiscard]] std::uint64_t digest(TaskRange range) const override;
  void prepare(std::uint32_t iterations) override;
  [[nodiscard]] std::optional<StageTimes> stage_times() const override;
  [[nodiscard]] const Stages* stages() const override { return this; }

 protected:
  [[nodiscard]] const EtlOptions& options() const noexcept { return options_; }
  /// Folder of the outputs. Called by tasks.
  [[nodiscard]] virtual std::string output_root() const { return options_.output_root; }

 private:
  class OpenTask;

  [[nodiscard]] OutputMode mode_of(std::uint32_t task) const;
  void set_begun(std::uint32_t task) const;
  [[nodiscard]] std::size_t piece_bytes() const noexcept override { return kTaskBufferBytes; }
  [[nodiscard]] std::unique_ptr<StagedTask> open(std::uint32_t task) const override;
  void transform(std::uint32_t task, std::span<std::byte> data, Piece& piece) const override;

  std::uint32_t task_count_;
  std::function<EtlTask(std::uint32_t)> task_of_;
  EtlOptions options_;
  StageTotals stage_totals_;
  SharedMapping begun_;  // with may_run_again, a byte for each task: nothing was there when it was first begun
};

/// The form that is measured: test signals in, a fresh folder per iteration under <cache>/output, which
/// goes when the workload does. Folders of processes that died are removed first.
std::unique_ptr<Workload> make_etl(const WorkloadOptions& options);

}  // namespace noisefloor
