// Noise added to a signal in memory: the ETL's transform without its files.
// SPDX-License-Identifier: MIT
#include "harness/workloads/noise.hpp"

#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numbers>
#include <type_traits>

#include "harness/base/error.hpp"
#include "harness/base/names.hpp"
#include "harness/base/shared_mapping.hpp"

namespace noisefloor {
namespace {

// The tone: 441 Hz at 44.1 kHz, half of full scale, so neither noise nor tone ever reaches the poison.
constexpr std::size_t kPeriod = 100;
constexpr double kToneAmplitude = 0.5;

template <class Sample>
constexpr double kFullScale = std::is_integral_v<Sample> ? -static_cast<double>(std::numeric_limits<Sample>::min())
                                                         : 1.0;

// What output holds that no task wrote: beyond tone plus noise, and equal to itself (a NaN is not).
template <class Sample>
constexpr Sample kPoison = std::numeric_limits<Sample>::lowest();

template <class Sample>
class Noise final : public Workload {
 public:
  Noise(std::uint32_t tasks, std::size_t task_size, const KernelCode& code, std::uint64_t seed)
      : tasks_(tasks),
        task_size_(task_size),
        code_(code),
        key_{seed, stream_of(kNoiseStreamName.data(), kNoiseStreamName.size())},
        in_memory_(tasks * task_size * sizeof(Sample)),
        out_memory_(in_memory_.size()),
        in_(in_memory_.as<Sample>()),
        out_(out_memory_.as<Sample>()) {
    std::array<Sample, kPeriod> period{};
    for (std::size_t i = 0; i < kPeriod; ++i) {
      const double phase = 2.0 * std::numbers::pi * static_cast<double>(i) / double{kPeriod};
      const double value = kToneAmplitude * kFullScale<Sample> * std::sin(phase);
      if constexpr (std::is_integral_v<Sample>) {
        period[i] = static_cast<Sample>(std::lround(value));
      } else {
        period[i] = static_cast<Sample>(value);
      }
    }
    for (std::size_t i = 0; i < in_.size(); ++i) in_[i] = period[i % kPeriod];
    poison();
  }

  [[nodiscard]] std::uint32_t task_count() const override { return tasks_; }

  void run(TaskRange range, std::span<TaskResult> results, std::vector<std::byte>& returned) const override {
    each(range, results, returned, [this](std::uint32_t task, std::vector<std::byte>&) {
      const std::size_t first = task * task_size_;
      if constexpr (std::is_same_v<Sample, std::int16_t>) {
        code_.i16(&in_[first], &out_[first], task_size_, kSigma, 1, key_, first);
      } else if constexpr (std::is_same_v<Sample, std::int32_t>) {
        code_.i32(&in_[first], &out_[first], task_size_, kSigma, 1, key_, first);
      } else if constexpr (std::is_same_v<Sample, double>) {
        code_.f64(&in_[first], &out_[first], task_size_, kSigma, key_, first);
      } else {
        code_.f32(&in_[first], &out_[first], task_size_, kSigma, key_, first);
      }
    });
  }

  void prepare(std::uint32_t iterations) override {
    static_cast<void>(iterations);
    poison();
  }

  [[nodiscard]] std::uint64_t digest(TaskRange range) const override {
    std::uint64_t sum = 0;
    for (std::uint32_t task = range.first; task < range.last; ++task) {
      const std::span<const Sample> slice = out_.subspan(task * task_size_, task_size_);
      const auto unwritten = std::find(slice.begin(), slice.end(), kPoison<Sample>);
      if (unwritten != slice.end()) {
        throw Error(fmt::format("noise: task {} did not write its sample {} of {}", task, unwritten - slice.begin(),
                                task_size_));
      }
      sum += XXH3_64bits_withSeed(slice.data(), slice.size_bytes(), task);
    }
    return sum;
  }

  [[nodiscard]] Volume volume() const override {
    Volume volume;
    volume.samples = in_.size();
    return volume;
  }

 private:
  static constexpr float kSigma = static_cast<float>(kBenchmarkAmplitude * kFullScale<Sample>);

  void poison() { std::fill(out_.begin(), out_.end(), kPoison<Sample>); }

  std::uint32_t tasks_;
  std::size_t task_size_;
  KernelCode code_;
  NoiseKey key_;
  SharedMapping in_memory_, out_memory_;
  std::span<Sample> in_, out_;
};

template <class Sample>
std::unique_ptr<Workload> make(const WorkloadOptions& options) {
  constexpr std::uint64_t kMostSamples = kLargestNoiseBytes / (2 * sizeof(Sample));
  if (options.tasks != 0 && options.task_size > kMostSamples / options.tasks) {
    throw UsageError(
        fmt::format("noise: {} tasks of {} samples: input and output are held in memory, at most {} samples of {} "
                    "together; give fewer or smaller tasks",
                    options.tasks, options.task_size, kMostSamples, options.format));
  }
  return std::make_unique<Noise<Sample>>(options.tasks, options.task_size, options.kernel->add_noise, options.seed);
}

}  // namespace

std::unique_ptr<Workload> make_noise(const WorkloadOptions& options) {
  static constexpr std::array<std::string_view, 4> kFormats = {"int16", "int32", "float32", "float64"};
  if (options.task_size == 0) throw UsageError("noise: a task of 0 samples is no task: give a task_size of at least 1");
  if (options.kernel == nullptr) throw UsageError("noise: no kernel was chosen: give its name, or auto");
  if (!options.kernel->unavailable.empty()) {
    throw MissingError(fmt::format("kernel {} cannot run here: {}", options.kernel->name, options.kernel->unavailable));
  }
  if (options.format == kFormats[0]) return make<std::int16_t>(options);
  if (options.format == kFormats[1]) return make<std::int32_t>(options);
  if (options.format == kFormats[2]) return make<float>(options);
  if (options.format == kFormats[3]) return make<double>(options);
  throw_unknown("format of workload noise", options.format, kFormats);
}

}  // namespace noisefloor
