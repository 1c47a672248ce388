// Promise: the ETL writes the same bytes whoever runs it, and they are the kernel's.
// SPDX-License-Identifier: MIT
#include "harness/workloads/etl.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sndfile.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cmath>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "harness/audio/signals.hpp"
#include "harness/audio/sound_file.hpp"
#include "harness/base/error.hpp"
#include "harness/base/unique_fd.hpp"
#include "kernels/noise.hpp"
#include "temporary_folder.hpp"

namespace noisefloor {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kStream = 42;

std::string content(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

template <class Sample>
void write_sound(const std::string& path, const SoundFacts& facts, const std::vector<Sample>& samples) {
  const UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  SoundWriter writer(fd.get(), facts, path);
  writer.write(samples.data(), samples.size() / static_cast<std::size_t>(facts.channels));
  writer.finish();
}

template <class Sample>
std::vector<Sample> read_sound(const std::string& path) {
  SoundReader reader(path);
  std::vector<Sample> samples(1 << 20);
  EXPECT_EQ(sizeof(Sample), bytes_per_sample(reader.facts().sample_type));
  samples.resize(reader.read(samples.data(), samples.size() / static_cast<std::size_t>(reader.facts().channels)) *
                 static_cast<std::size_t>(reader.facts().channels));
  return samples;
}

template <class Sample>
std::vector<Sample> ramp(std::size_t count, int step, double scale) {
  std::vector<Sample> samples(count);
  for (std::size_t i = 0; i < count; ++i) {
    const double value = (static_cast<double>(i * 37 % 1000) / 1000 - 0.5) * scale;
    samples[i] = static_cast<Sample>(static_cast<Sample>(value / step) * static_cast<Sample>(step));
  }
  return samples;
}

struct Done {
  std::vector<TaskResult> results;
  std::vector<std::byte> returned;

  [[nodiscard]] std::string message(std::size_t task = 0) const {
    std::size_t at = 0;
    for (std::size_t i = 0; i < task; ++i) at += results[i].bytes;
    return {reinterpret_cast<const char*>(returned.data()) + at, results[task].bytes};
  }
  [[nodiscard]] EtlOutcome outcome() const { return etl_outcome(returned); }
};

Done run(const Workload& workload, TaskRange range) {
  Done done;
  done.results.resize(range.size());
  workload.run(range, done.results, done.returned);
  return done;
}

class Etl : public testing::Test {
 protected:
  Etl() {
    ::setenv("NOISEFLOOR_CACHE", (folder_ / "cache").c_str(), 1);
    fs::create_directory(folder_ / "out");
  }
  ~Etl() override { ::unsetenv("NOISEFLOOR_CACHE"); }

  EtlOptions options(double amplitude = 0.01, const char* kernel = "scalar") const {
    EtlOptions result;
    result.kernel = &select_kernel(kernel);
    result.amplitude = amplitude;
    result.seed = 7;
    result.output_root = folder_ / "out";
    return result;
  }
  Done process(const std::string& name, const EtlOptions& how) const {
    const EtlWorkload workload({{folder_ / name, name, kStream}}, how);
    return run(workload, {0, 1});
  }
  WorkloadOptions cell(std::uint32_t tasks, std::uint64_t frames, const char* kernel = "auto") const {
    WorkloadOptions result;
    result.tasks = tasks;
    result.task_size = frames;
    result.kernel = &select_kernel(kernel);
    return result;
  }

  TemporaryFolder folder_;
};

TEST_F(Etl, WritesWhatTheKernelMakesOfTheSamples) {
  // Longer than a buffer, so that pieces must fit together; stereo, so that samples are no frames.
  constexpr std::size_t kSamples = 700'000;
  const KernelCode& kernel = select_kernel("scalar").add_noise;
  const NoiseKey key{7, kStream};

  const auto int16 = ramp<std::int16_t>(kSamples, 1, 65000);
  write_sound(folder_ / "int16.wav", wav_facts(SampleType::int16, 2, 44100, 0), int16);
  Done done = process("int16.wav", options());
  ASSERT_EQ(done.results[0].status, 0) << done.message();
  std::vector<std::int16_t> expected16(kSamples);
  const std::size_t clipped =
      kernel.i16(int16.data(), expected16.data(), kSamples, static_cast<float>(0.01 * 32768), 1, key, 0);
  EXPECT_TRUE(read_sound<std::int16_t>(folder_ / "out/int16.wav") == expected16);
  EXPECT_EQ(done.outcome().clipped, clipped);
  EXPECT_EQ(done.outcome().frames, static_cast<std::int64_t>(kSamples / 2));
  EXPECT_EQ(done.outcome().channels, 2);
  EXPECT_EQ(done.outcome().rate, 44100);
  EXPECT_EQ(done.outcome().warnings, 0U);
  EXPECT_EQ(done.outcome().bytes_written, fs::file_size(folder_ / "out/int16.wav"));

  const auto float32 = ramp<float>(kSamples, 1, 3);
  write_sound(folder_ / "float32.wav", wav_facts(SampleType::float32, 1, 44100, 0), float32);
  done = process("float32.wav", options());
  ASSERT_EQ(done.results[0].status, 0) << done.message();
  std::vector<float> expected32(kSamples);
  kernel.f32(float32.data(), expected32.data(), kSamples, 0.01F, key, 0);
  EXPECT_TRUE(read_sound<float>(folder_ / "out/float32.wav") == expected32);

  const auto float64 = ramp<double>(kSamples, 1, 3);
  write_sound(folder_ / "float64.wav", wav_facts(SampleType::float64, 1, 44100, 0), float64);
  done = process("float64.wav", options());
  ASSERT_EQ(done.results[0].status, 0) << done.message();
  std::vector<double> expected64(kSamples);
  kernel.f64(float64.data(), expected64.data(), kSamples, 0.01F, key, 0);
  EXPECT_TRUE(read_sound<double>(folder_ / "out/float64.wav") == expected64);

  SoundFacts facts = wav_facts(SampleType::int32, 1, 44100, 0);
  facts.format = SF_FORMAT_WAV | SF_FORMAT_PCM_24;
  facts.step = 256;
  const auto int24 = ramp<std::int32_t>(kSamples, 256, 4.2e9);
  write_sound(folder_ / "int24.wav", facts, int24);
  done = process("int24.wav", options());
  ASSERT_EQ(done.results[0].status, 0) << done.message();
  std::vector<std::int32_t> expected24(kSamples);
  kernel.i32(int24.data(), expected24.data(), kSamples, static_cast<float>(0.01 * 2147483648.0), 256, key, 0);
  for (std::int32_t& x : expected24) x &= ~255;  // what saturated lies off the grid by less than a step
  EXPECT_TRUE(read_sound<std::int32_t>(folder_ / "out/int24.wav") == expected24);
}

TEST_F(Etl, NoNoiseCopiesTheFile) {
  for (const SampleType type : {SampleType::int16, SampleType::int32}) {
    for (const int container : {SF_FORMAT_WAV, SF_FORMAT_AIFF}) {
      SoundFacts facts = wav_facts(type, 1, 8000, 0);
      facts.format = (facts.format & SF_FORMAT_SUBMASK) | container;
      if (type == SampleType::int16) {
        write_sound(folder_ / "in", facts, ramp<std::int16_t>(300'001, 1, 65000));
      } else {
        write_sound(folder_ / "in", facts, ramp<std::int32_t>(300'001, 1, 4e9));
      }
      fs::remove(folder_ / "out/in");
      const Done done = process("in", options(0.0));
      ASSERT_EQ(done.results[0].status, 0) << done.message();
      EXPECT_TRUE(content(folder_ / "in") == content(folder_ / "out/in")) << std::hex << facts.format;
    }
  }
}

TEST_F(Etl, DigestIsTheSameForEveryKernelChunkAndWorker) {
  constexpr std::uint32_t kTasks = 9;
  constexpr std::uint64_t kFrames = 300'003;
  const auto digest_of = [&](const char* kernel, std::uint32_t chunk, bool threads) {
    const auto workload = make_etl(cell(kTasks, kFrames, kernel));
    workload->prepare(2);
    workload->begin(1);
    std::vector<std::jthread> workers;
    for (std::uint32_t first = 0; first < kTasks; first += chunk) {
      const TaskRange range{first, std::min(first + chunk, kTasks)};
      const auto work = [&workload, range] {
        for (const TaskResult& result : run(*workload, range).results) EXPECT_EQ(result.status, 0);
      };
      if (threads) {
        workers.emplace_back(work);
      } else {
        work();
      }
    }
    workers.clear();
    const std::uint64_t digest = workload->digest({0, kTasks});
    EXPECT_EQ(workload->digest({0, 4}) + workload->digest({4, kTasks}), digest);
    workload->clean();
    return digest;
  };
  const std::uint64_t expected = digest_of("scalar", kTasks, false);
  EXPECT_EQ(digest_of("scalar", 1, true), expected);
  EXPECT_EQ(digest_of("scalar", 2, false), expected);
  for (const Kernel& kernel : kernels()) {
    if (!kernel.unavailable.empty()) continue;
    if (kernel.bytes_of == "naive") {
      EXPECT_NE(digest_of(std::string(kernel.name).c_str(), 4, true), expected) << kernel.name;
    } else {
      EXPECT_EQ(digest_of(std::string(kernel.name).c_str(), 4, true), expected) << kernel.name;
    }
  }
}

TEST_F(Etl, EachIterationHasFilesOfItsOwn) {
  const auto workload = make_etl(cell(2, 1000));
  workload->prepare(3);
  EXPECT_EQ(workload->digestible_iterations(3), 3U);
  workload->begin(2);
  run(*workload, {0, 2});
  const std::uint64_t digest = workload->digest({0, 2});
  workload->begin(0);
  EXPECT_THROW(static_cast<void>(workload->digest({0, 2})), Error) << "nothing ran in this iteration";
  run(*workload, {0, 1});
  EXPECT_THROW(static_cast<void>(workload->digest({0, 2})), Error) << "one task is missing";
  run(*workload, {1, 2});
  EXPECT_EQ(workload->digest({0, 2}), digest);
  EXPECT_EQ(run(*workload, {0, 1}).results[0].status, kTaskFailed) << "`new` means new";
}

TEST_F(Etl, ReplaceMeetsEarlierOutputThatNoDigestTakesForItsOwn) {
  WorkloadOptions replacing = cell(2, 1000);
  replacing.output_mode = "replace";
  const auto workload = make_etl(replacing);
  workload->prepare(1);
  workload->begin(0);
  const std::uint64_t before = workload->digest({0, 2});
  run(*workload, {0, 2});
  const std::uint64_t after = workload->digest({0, 2});
  EXPECT_NE(before, after);
  const auto fresh = make_etl(cell(2, 1000));
  fresh->prepare(1);
  fresh->begin(0);
  run(*fresh, {0, 2});
  EXPECT_EQ(fresh->digest({0, 2}), after);
}

TEST_F(Etl, VolumeAndStageTimesCoverAllTasks) {
  const auto workload = make_etl(cell(3, 100'000));
  EXPECT_EQ(workload->volume().samples, 300'000U);
  EXPECT_EQ(workload->volume().bytes_read, 3 * (44 + 200'000U));
  workload->prepare(1);
  EXPECT_EQ(workload->stage_times()->transform_ns, 0U);
  const Done done = run(*workload, {0, 3});
  ASSERT_EQ(done.results[2].status, 0);
  EXPECT_EQ(workload->volume().bytes_written,
            3 * etl_outcome(std::span(done.returned).first(sizeof(EtlOutcome))).bytes_written);
  EXPECT_GT(workload->stage_times()->extract_ns, 0U);
  EXPECT_GT(workload->stage_times()->transform_ns, 0U);
  EXPECT_GT(workload->stage_times()->load_ns, 0U);
  workload->prepare(1);
  EXPECT_EQ(workload->stage_times()->load_ns, 0U);
}

TEST_F(Etl, LeavesNoOutputBehind) {
  {
    const auto workload = make_etl(cell(2, 1000));
    workload->prepare(2);
    run(*workload, {0, 2});
    EXPECT_EQ(folder_.entries("cache/output"), 1U);
    workload->clean();
  }
  EXPECT_EQ(folder_.entries("cache/output"), 0U);
}

TEST_F(Etl, RemovesTheOutputOfAKilledProcessButNotOfALivingOne) {
  const auto living = make_etl(cell(1, 1000));
  living->prepare(1);
  const pid_t child = ::fork();
  if (child == 0) {
    // Its own copy of the first workload's lock must not outlive it either.
    const auto workload = make_etl(cell(2, 1000));
    workload->prepare(1);
    run(*workload, {0, 2});
    ::kill(::getpid(), SIGKILL);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(folder_.entries("cache/output"), 2U);
  const auto next = make_etl(cell(1, 1000));
  EXPECT_EQ(folder_.entries("cache/output"), 2U) << "the living one's and the next one's";
  living->begin(0);
  EXPECT_EQ(run(*living, {0, 1}).results[0].status, 0);
}

TEST_F(Etl, AForkedWorkerSeesTheIterationAndAddsItsTimes) {
  const auto workload = make_etl(cell(1, 1000));
  workload->prepare(2);
  int go[2];
  ASSERT_EQ(::pipe(go), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    char byte = 0;
    if (::read(go[0], &byte, 1) != 1) ::_exit(3);
    ::_exit(run(*workload, {0, 1}).results[0].status);
  }
  workload->begin(1);  // after the fork
  ASSERT_EQ(::write(go[1], "x", 1), 1);
  int status = 0;
  ::waitpid(child, &status, 0);
  ::close(go[0]);
  ::close(go[1]);
  EXPECT_EQ(status, 0);
  EXPECT_NO_THROW(static_cast<void>(workload->digest({0, 1})));
  EXPECT_GT(workload->stage_times()->load_ns, 0U);
}

TEST_F(Etl, BadInputIsAFailedTaskWithItsNameAndTheOthersGoOn) {
  write_sound(folder_ / "good.wav", wav_facts(SampleType::int16, 1, 8000, 0), ramp<std::int16_t>(100, 1, 1000));
  std::ofstream(folder_ / "text.wav") << "a letter";
  const EtlWorkload workload({{folder_ / "missing.wav", "missing.wav", 1},
                              {folder_ / "text.wav", "text.wav", 2},
                              {folder_ / "good.wav", "good.wav", 3},
                              {folder_ / "good.wav", "no/such/folder.wav", 3}},
                             options());
  const Done done = run(workload, {0, 4});
  EXPECT_EQ(done.results[0].status, kTaskFailed);
  EXPECT_THAT(done.message(0), testing::HasSubstr("missing.wav"));
  EXPECT_THAT(done.message(1), testing::HasSubstr("text.wav"));
  EXPECT_EQ(done.results[2].status, 0);
  EXPECT_THAT(done.message(3), testing::HasSubstr("no/such/folder.wav"));
  EXPECT_EQ(folder_.entries("out"), 1U) << "a failed task leaves no file";
}

TEST_F(Etl, TruncatedInputIsProcessedAsFarAsItGoes) {
  write_sound(folder_ / "cut.wav", wav_facts(SampleType::int16, 1, 8000, 0), ramp<std::int16_t>(1000, 1, 1000));
  fs::resize_file(folder_ / "cut.wav", 44 + 2 * 600);
  const Done done = process("cut.wav", options());
  ASSERT_EQ(done.results[0].status, 0) << done.message();
  EXPECT_EQ(done.outcome().warnings, static_cast<std::uint32_t>(EtlOutcome::kTruncated));
  EXPECT_EQ(done.outcome().frames, 600);
  EXPECT_EQ(done.outcome().frames_promised, 1000);
  SoundReader written(folder_ / "out/cut.wav");
  EXPECT_EQ(written.facts().frames, 600) << "the output says what it holds";
}

TEST_F(Etl, NotFiniteSamplesAreReplacedAndCounted) {
  const float inf = std::numeric_limits<float>::infinity();
  write_sound<float>(folder_ / "nan.wav", wav_facts(SampleType::float32, 1, 8000, 0),
                     {0.25F, std::numeric_limits<float>::quiet_NaN(), inf, -inf, 4.0F});
  const Done done = process("nan.wav", options(0.0));
  ASSERT_EQ(done.results[0].status, 0) << done.message();
  EXPECT_EQ(done.outcome().not_finite, 3U);
  EXPECT_EQ(done.outcome().warnings, static_cast<std::uint32_t>(EtlOutcome::kNotFinite));
  EXPECT_THAT(read_sound<float>(folder_ / "out/nan.wav"), testing::ElementsAre(0.25F, 0.0F, 1.0F, -1.0F, 4.0F));
}

TEST_F(Etl, ARatioIsDrawnForEachStreamAndReachedOverAllChannels) {
  // Two channels of different level: the level is that of both.
  std::vector<std::int16_t> sound(200'000);
  for (std::size_t i = 0; i < sound.size(); ++i) {
    sound[i] = static_cast<std::int16_t>((i % 2 == 0 ? 6000 : 600) * (i / 2 * 37 % 1000 < 500 ? 1 : -1));
  }
  write_sound(folder_ / "in.wav", wav_facts(SampleType::int16, 2, 8000, 0), sound);
  const double rms = std::sqrt((6000.0 * 6000 + 600.0 * 600) / 2) / 32768;
  EtlOptions how = options();
  how.snr = SnrRange{10, 30};
  std::vector<EtlTask> tasks;
  for (std::uint64_t stream = 0; stream < 5; ++stream) {
    tasks.push_back({folder_ / "in.wav", std::to_string(stream), stream});
  }
  const EtlWorkload workload(tasks, how);
  const Done done = run(workload, {0, 5});
  std::set<double> drawn;
  for (std::size_t task = 0; task < tasks.size(); ++task) {
    ASSERT_EQ(done.results[task].status, 0) << done.message(task);
    const EtlOutcome outcome =
        etl_outcome(std::span(done.returned).subspan(task * sizeof(EtlOutcome), sizeof(EtlOutcome)));
    drawn.insert(outcome.snr_db_requested);
    EXPECT_EQ(outcome.snr_db_requested, how.snr->of({how.seed, tasks[task].stream}));
    EXPECT_GE(outcome.snr_db_requested, 10);
    EXPECT_LT(outcome.snr_db_requested, 30);
    EXPECT_NEAR(outcome.amplitude, rms / std::pow(10, outcome.snr_db_requested / 20), 1e-12);
    EXPECT_NEAR(outcome.snr_db_achieved, outcome.snr_db_requested, 0.1);
    EXPECT_EQ(outcome.warnings, 0U);
    // Measured on what was written.
    const auto noisy = read_sound<std::int16_t>(folder_ / ("out/" + tasks[task].output));
    double signal = 0, noise = 0;
    for (std::size_t i = 0; i < sound.size(); ++i) {
      signal += double(sound[i]) * sound[i];
      noise += double(noisy[i] - sound[i]) * (noisy[i] - sound[i]);
    }
    EXPECT_NEAR(outcome.snr_db_achieved, 10 * std::log10(signal / noise), 1e-9);
  }
  EXPECT_EQ(drawn.size(), tasks.size());
}

TEST_F(Etl, ARatioGivesTheSameBytesForEveryKernelAndSampleTypeItsOwn) {
  write_sound(folder_ / "int16.wav", wav_facts(SampleType::int16, 1, 8000, 0), ramp<std::int16_t>(300'000, 1, 20000));
  write_sound(folder_ / "int32.wav", wav_facts(SampleType::int32, 1, 8000, 0), ramp<std::int32_t>(300'000, 1, 1e9));
  write_sound(folder_ / "float32.wav", wav_facts(SampleType::float32, 1, 8000, 0), ramp<float>(300'000, 1, 0.1));
  write_sound(folder_ / "float64.wav", wav_facts(SampleType::float64, 1, 8000, 0), ramp<double>(300'000, 1, 1e-6));
  for (const std::string name : {"int16.wav", "int32.wav", "float32.wav", "float64.wav"}) {
    std::string expected;
    for (const Kernel& kernel : kernels()) {
      if (!kernel.unavailable.empty() || kernel.bytes_of == "naive") continue;
      EtlOptions how = options(0, std::string(kernel.name).c_str());
      how.snr = SnrRange{20, 20};
      fs::remove(folder_ / ("out/" + name));
      const Done done = process(name, how);
      ASSERT_EQ(done.results[0].status, 0) << done.message();
      EXPECT_EQ(done.outcome().snr_db_requested, 20);
      EXPECT_NEAR(done.outcome().snr_db_achieved, 20, 0.1) << name;
      const std::string bytes = content(folder_ / ("out/" + name));
      if (expected.empty()) expected = bytes;
      EXPECT_TRUE(bytes == expected) << name << " by " << kernel.name;
    }
  }
}

TEST_F(Etl, SilenceHasNoLevelAndGetsNoNoise) {
  EtlOptions how = options();
  how.snr = SnrRange{10, 10};
  write_sound(folder_ / "silent.wav", wav_facts(SampleType::int16, 1, 8000, 0), std::vector<std::int16_t>(1000));
  write_sound(folder_ / "short.wav", wav_facts(SampleType::int16, 1, 8000, 0), std::vector<std::int16_t>());
  for (const std::string name : {"silent.wav", "short.wav"}) {
    const Done done = process(name, how);
    ASSERT_EQ(done.results[0].status, 0) << done.message();
    EXPECT_EQ(done.outcome().warnings, static_cast<std::uint32_t>(EtlOutcome::kSilent));
    EXPECT_EQ(done.outcome().amplitude, 0);
    EXPECT_TRUE(std::isnan(done.outcome().snr_db_achieved));
    EXPECT_TRUE(content(folder_ / name) == content(folder_ / ("out/" + name)));
  }
}

TEST_F(Etl, NoiseBelowTheLeastStepIsSaid) {
  EtlOptions how = options();
  how.snr = SnrRange{90, 90};
  write_sound(folder_ / "soft.wav", wav_facts(SampleType::int16, 1, 8000, 0), ramp<std::int16_t>(1000, 1, 100));
  const Done done = process("soft.wav", how);
  ASSERT_EQ(done.results[0].status, 0) << done.message();
  EXPECT_EQ(done.outcome().warnings, static_cast<std::uint32_t>(EtlOutcome::kNoNoise));
  EXPECT_TRUE(std::isinf(done.outcome().snr_db_achieved));
}

TEST_F(Etl, ARatioThatTheStepsOrTheRangeDoNotAllowIsSaid) {
  EtlOptions how = options();
  write_sound(folder_ / "soft.wav", wav_facts(SampleType::int16, 1, 8000, 0), ramp<std::int16_t>(10'000, 1, 8));
  how.snr = SnrRange{20, 20};  // noise of a quarter of a step: one sample in thirty gets a whole one
  Done done = process("soft.wav", how);
  ASSERT_EQ(done.results[0].status, 0) << done.message();
  EXPECT_EQ(done.outcome().warnings, static_cast<std::uint32_t>(EtlOutcome::kMissed));
  EXPECT_GT(done.outcome().snr_db_achieved, 21);
  write_sound(folder_ / "loud.wav", wav_facts(SampleType::int16, 1, 8000, 0), ramp<std::int16_t>(10'000, 1, 65000));
  how.snr = SnrRange{-20, -20};
  done = process("loud.wav", how);
  EXPECT_EQ(done.outcome().warnings, static_cast<std::uint32_t>(EtlOutcome::kMissed));
  EXPECT_GT(done.outcome().clipped, 5000U);
}

TEST_F(Etl, ALevelThatNoNoiseCanBeRelativeToIsAnError) {
  EtlOptions how = options();
  how.snr = SnrRange{10, 10};
  for (const double loud : {1e6, 1e300}) {
    write_sound(folder_ / "loud.wav", wav_facts(SampleType::float64, 1, 8000, 0), std::vector<double>(1000, loud));
    const Done done = process("loud.wav", how);
    EXPECT_EQ(done.results[0].status, kTaskFailed);
    EXPECT_THAT(done.message(), testing::HasSubstr("loud.wav"));
    EXPECT_EQ(folder_.entries("out"), 0U);
  }
}

TEST_F(Etl, WhatIsNotFiniteHasNoPartInTheLevel) {
  const float inf = std::numeric_limits<float>::infinity();
  std::vector<float> sound = ramp<float>(10'000, 1, 0.5);
  sound[7] = std::numeric_limits<float>::quiet_NaN();
  std::vector<float> replaced = sound;
  replaced[7] = 0;
  sound[8] = inf;
  replaced[8] = 1;
  EtlOptions how = options();
  how.snr = SnrRange{10, 10};
  write_sound(folder_ / "nan.wav", wav_facts(SampleType::float32, 1, 8000, 0), sound);
  write_sound(folder_ / "finite.wav", wav_facts(SampleType::float32, 1, 8000, 0), replaced);
  const Done nan = process("nan.wav", how), finite = process("finite.wav", how);
  ASSERT_EQ(nan.results[0].status, 0) << nan.message();
  EXPECT_EQ(nan.outcome().not_finite, 2U);
  EXPECT_EQ(nan.outcome().amplitude, finite.outcome().amplitude);
  EXPECT_TRUE(content(folder_ / "out/nan.wav") == content(folder_ / "out/finite.wav"));
}

TEST_F(Etl, ConfirmingKeepsWhatIsRightAndTellsWhatIsNot) {
  write_sound(folder_ / "in.wav", wav_facts(SampleType::int16, 1, 8000, 0), ramp<std::int16_t>(200'000, 1, 1000));
  EtlOptions confirming = options();
  confirming.output_mode = OutputMode::confirm;
  confirming.exists_hint = ": a hint";
  ASSERT_EQ(process("in.wav", confirming).results[0].status, 0) << "nothing there: written";
  const std::string right = content(folder_ / "out/in.wav");
  const auto time = fs::last_write_time(folder_ / "out/in.wav");
  ASSERT_EQ(process("in.wav", confirming).results[0].status, 0) << "the same there";
  EXPECT_EQ(fs::last_write_time(folder_ / "out/in.wav"), time);
  EXPECT_EQ(folder_.entries("out"), 1U);
  for (const std::string& wrong : {right.substr(0, right.size() - 1), right.substr(0, right.size() - 1) + "x"}) {
    std::ofstream(folder_ / "out/in.wav", std::ios::binary) << wrong;
    const Done done = process("in.wav", confirming);
    EXPECT_EQ(done.results[0].status, kTaskFailed);
    EXPECT_THAT(done.message(), testing::HasSubstr("out/in.wav' exists, and is not what would be written: a hint"));
    EXPECT_TRUE(content(folder_ / "out/in.wav") == wrong) << "it is kept";
    EXPECT_EQ(folder_.entries("out"), 1U);
  }
}

TEST_F(Etl, RefusesRatiosThatCannotBeMeant) {
  EtlOptions how = options();
  for (const SnrRange range : {SnrRange{30, 10}, SnrRange{NAN, 10}, SnrRange{10, INFINITY}}) {
    how.snr = range;
    EXPECT_THROW(EtlWorkload({}, how), UsageError);
  }
  EXPECT_THROW(EtlWorkload({}, options(1e9)), UsageError);
}

TEST_F(Etl, AStopEndsATaskInTheMiddleWithoutAFile) {
  write_sound(folder_ / "in.wav", wav_facts(SampleType::int16, 1, 8000, 0), ramp<std::int16_t>(1000, 1, 1000));
  const std::atomic<bool> stop{true};
  EtlOptions stopping = options();
  stopping.stop = &stop;
  const Done done = process("in.wav", stopping);
  EXPECT_EQ(done.results[0].status, kTaskFailed);
  EXPECT_EQ(done.message(), kInterrupted);
  EXPECT_EQ(folder_.entries("out"), 0U);
}

TEST_F(Etl, AFullDiskFailsTheTaskAndLeavesNoFile) {
  write_sound(folder_ / "in.wav", wav_facts(SampleType::int16, 1, 8000, 0), ramp<std::int16_t>(100'000, 1, 1000));
  const pid_t child = ::fork();
  if (child == 0) {
    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{4096, 4096};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    const Done done = process("in.wav", options());
    const bool is_told = done.message().find("File too large") != std::string::npos;
    ::_exit(done.results[0].status == kTaskFailed && is_told ? 0 : 1);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(folder_.entries("out"), 0U);
}

TEST_F(Etl, RefusesWhatCannotBeMeant) {
  WorkloadOptions bad = cell(1, 10);
  bad.output_mode = "append";
  EXPECT_THROW(make_etl(bad), UsageError);
  bad = cell(1, 10);
  bad.format = "int64";
  EXPECT_THROW(make_etl(bad), UsageError);
  EXPECT_THROW(EtlWorkload({}, options(-1.0)), UsageError);
  EXPECT_THROW(EtlWorkload({}, options(std::numeric_limits<double>::quiet_NaN())), UsageError);
  const Kernel elsewhere{"elsewhere", "", "scalar", "needs another CPU", {}};
  EtlOptions unavailable = options();
  unavailable.kernel = &elsewhere;
  EXPECT_THROW(EtlWorkload({}, unavailable), MissingError);
}

TEST_F(Etl, AKernelWithoutCodeForAFileIsSaidForThatFile) {
  write_sound(folder_ / "in.wav", wav_facts(SampleType::float64, 1, 8000, 0), ramp<double>(100, 1, 1));
  Kernel partial{"partial", "", "scalar", "", select_kernel("scalar").add_noise};
  partial.add_noise.f64 = nullptr;
  EtlOptions how = options();
  how.kernel = &partial;
  const Done done = process("in.wav", how);
  EXPECT_EQ(done.results[0].status, kTaskFailed);
  EXPECT_THAT(done.message(), testing::HasSubstr("partial"));
}

TEST_F(Etl, NoTasksIsNoWork) {
  const auto workload = make_etl(cell(0, 1000));
  workload->prepare(1);
  EXPECT_EQ(workload->task_count(), 0U);
  EXPECT_EQ(workload->digest({0, 0}), 0U);
}

// The first pass is over when a task is open, so what happens between the two happens exactly there.
TEST_F(Etl, AFileThatChangesBetweenItsTwoPassesFailsAndLeavesNothing) {
  constexpr std::size_t kSamples = 300'000;
  const std::string input = folder_ / "in.wav";
  EtlOptions how = options();
  how.snr = SnrRange{10, 30};
  enum class Change : std::uint8_t { none, another_sample, fewer_samples };
  for (const Change change : {Change::none, Change::another_sample, Change::fewer_samples}) {
    SCOPED_TRACE(static_cast<int>(change));
    write_sound(input, wav_facts(SampleType::int16, 1, 44100, 0), ramp<std::int16_t>(kSamples, 1, 20000));
    const EtlWorkload workload({{input, "in.wav", kStream}}, how);
    const Stages& stages = *workload.stages();
    std::unique_ptr<StagedTask> task = stages.open(0);
    const auto size = fs::file_size(input);
    if (change == Change::another_sample) {
      const UniqueFd fd(::open(input.c_str(), O_WRONLY | O_CLOEXEC));
      const std::int16_t sample = 32000;
      ASSERT_EQ(::pwrite(fd.get(), &sample, sizeof sample, static_cast<off_t>(size - 2)), 2);
    } else if (change == Change::fewer_samples) {
      fs::resize_file(input, size - 2000);
    }
    std::vector<std::byte> room(stages.piece_bytes());
    std::vector<std::byte> returned;
    Piece piece;
    for (std::size_t bytes = 0; (bytes = task->extract(room, piece)) > 0;) {
      task->transform({room.data(), bytes}, piece);
      task->load({room.data(), bytes}, piece);
    }
    if (change == Change::none) {
      task->finish(returned);
      EXPECT_EQ(etl_outcome(returned).frames, static_cast<std::int64_t>(kSamples));
      fs::remove(folder_ / "out/in.wav");
      continue;
    }
    try {
      task->finish(returned);
      ADD_FAILURE() << "the change went unnoticed";
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), testing::HasSubstr("in.wav' changed between the two times that it was read"));
    }
    task.reset();
    EXPECT_TRUE(fs::is_empty(folder_ / "out"));
  }
}

}  // namespace
}  // namespace noisefloor
