// Workloads do what they say, and their digests see what was not done.
// SPDX-License-Identifier: MIT
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <xxhash.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <numbers>
#include <ostream>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "harness/base/error.hpp"
#include "harness/workloads/noise.hpp"
#include "harness/workloads/payload.hpp"
#include "harness/workloads/table.hpp"
#include "harness/workloads/workload.hpp"
#include "kernels/spin.hpp"

namespace noisefloor {
namespace {

using ::testing::HasSubstr;

constexpr std::uint32_t kTasks = 10;

// Runs tasks that must succeed; what they returned.
std::vector<std::byte> run(const Workload& workload, TaskRange range) {
  std::vector<TaskResult> results(range.size());
  std::vector<std::byte> returned;
  workload.run(range, results, returned);
  for (std::uint32_t i = 0; i < range.size(); ++i) {
    EXPECT_EQ(results[i].task, range.first + i);
    EXPECT_EQ(results[i].status, 0);
    EXPECT_EQ(results[i].bytes, returned.size() / range.size());
  }
  return returned;
}

WorkloadOptions options(const std::string& format = "int16") {
  WorkloadOptions result;
  result.tasks = kTasks;
  result.task_size = 1000;
  result.kernel = &select_kernel("scalar");
  result.format = format;
  return result;
}

struct Case {
  const char* label;
  const char* workload;
  const char* format;
  std::size_t returned_bytes;  // by a task of size 1000
};
void PrintTo(const Case& one, std::ostream* out) { *out << one.label; }

class InMemory : public ::testing::TestWithParam<Case> {
 protected:
  std::unique_ptr<Workload> workload = select_workload(GetParam().workload).make(options(GetParam().format));
};

TEST_P(InMemory, TasksReturnWhatTheWorkloadIsToReturnAndNoMore) {
  EXPECT_EQ(run(*workload, {2, 5}).size(), 3 * GetParam().returned_bytes);
}

TEST_P(InMemory, DigestsOfPartsAddUp) {
  workload->prepare(1);
  run(*workload, {0, 4});
  run(*workload, {4, kTasks});
  const std::uint64_t whole = workload->digest({0, kTasks});
  EXPECT_EQ(workload->digest({0, 3}) + workload->digest({3, 4}) + workload->digest({4, kTasks}), whole);
  EXPECT_NE(workload->digest({0, kTasks - 1}), whole);
  EXPECT_EQ(workload->digest({2, 2}), 0U);
}

TEST_P(InMemory, TheSameOptionsGiveTheSameDigestInAnyOrder) {
  run(*workload, {0, kTasks});
  const auto again = select_workload(GetParam().workload).make(options(GetParam().format));
  for (std::uint32_t task = kTasks; task > 0; --task) run(*again, {task - 1, task});
  EXPECT_EQ(again->digest({0, kTasks}), workload->digest({0, kTasks}));
}

TEST_P(InMemory, ATaskThatDidNotRunIsNamedByTheDigest) {
  for (const int repetition : {1, 2}) {
    workload->prepare(1);  // what an earlier repetition wrote does not count
    run(*workload, {0, 6});
    run(*workload, {7, kTasks});
    try {
      static_cast<void>(workload->digest({0, kTasks}));
      FAIL() << "a missing task was not noticed";
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), HasSubstr("task 6 "));
    }
    EXPECT_NO_THROW(static_cast<void>(workload->digest({7, kTasks})));
    run(*workload, {6, 7});
    EXPECT_NO_THROW(static_cast<void>(workload->digest({0, kTasks}))) << repetition;
  }
}

TEST_P(InMemory, NoTasksAreNoWork) {
  WorkloadOptions none = options(GetParam().format);
  none.tasks = 0;
  const auto empty = select_workload(GetParam().workload).make(none);
  empty->prepare(1);
  EXPECT_EQ(empty->task_count(), 0U);
  EXPECT_EQ(empty->digest({0, 0}), 0U);
}

TEST_P(InMemory, ATaskSizeOfZeroIsRefused) {
  WorkloadOptions zero = options(GetParam().format);
  zero.task_size = 0;
  EXPECT_THROW(select_workload(GetParam().workload).make(zero), UsageError);
}

INSTANTIATE_TEST_SUITE_P(Workloads, InMemory,
                         ::testing::Values(Case{"spin", "spin", "int16", 0}, Case{"noise_int16", "noise", "int16", 0},
                                           Case{"noise_float32", "noise", "float32", 0},
                                           Case{"noise_int32", "noise", "int32", 0},
                                           Case{"noise_float64", "noise", "float64", 0},
                                           Case{"wait", "wait", "int16", 0}, Case{"multiply", "multiply", "int16", 0},
                                           Case{"payload", "payload", "int16", 1000}),
                         [](const auto& instance) { return std::string(instance.param.label); });

TEST(Spin, IsTheChainItIsDefinedAs) {
  EXPECT_EQ(spin(17, 0), 17U);
  EXPECT_EQ(spin(17, 1), 17 * kSpinMultiplier + kSpinIncrement);
  std::uint64_t x = 3;
  for (int i = 0; i < 1000; ++i) x = x * kSpinMultiplier + kSpinIncrement;
  EXPECT_EQ(spin(3, 1000), x);
  EXPECT_EQ(spin(spin(3, 400), 600), x);
}

TEST(Spin, WhatDoesNotFitInMemoryIsRefused) {
  WorkloadOptions huge = options();
  huge.tasks = std::numeric_limits<std::uint32_t>::max();
  try {
    select_workload("spin").make(huge);
    FAIL();
  } catch (const UsageError& error) {
    EXPECT_THAT(error.what(), HasSubstr("4294967295 tasks are held in memory, at most 134217728"));
  }
}

TEST(Spin, TasksAndSizesGiveDifferentOutput) {
  const auto some = select_workload("spin").make(options());
  WorkloadOptions longer = options();
  longer.task_size += 1;
  const auto more = select_workload("spin").make(longer);
  run(*some, {0, kTasks});
  run(*more, {0, kTasks});
  EXPECT_NE(some->digest({0, kTasks}), more->digest({0, kTasks}));
  EXPECT_FALSE(some->volume().samples.has_value());
}

// Makes `workload` with tasks of this size; the message of the UsageError that must come of it.
std::string refusal(const char* workload, std::uint32_t tasks, std::uint64_t task_size) {
  try {
    select_workload(workload).make({.tasks = tasks, .task_size = task_size});
  } catch (const UsageError& error) {
    return error.what();
  }
  return "not refused";
}

TEST(Multiply, WritesTenTimesEachNumberOnce) {
  for (const std::size_t task_size : {1U, 3U, 1000U}) {
    const auto workload = select_workload("multiply").make({.tasks = kTasks, .task_size = task_size});
    run(*workload, {0, kTasks});
    std::uint64_t expected = 0;
    for (std::uint32_t task = 0; task < kTasks; ++task) {
      std::vector<std::uint64_t> items(task_size);
      for (std::size_t i = 0; i < task_size; ++i) items[i] = 10 * (task * task_size + i);
      expected += XXH3_64bits_withSeed(items.data(), items.size() * sizeof items[0], task);
    }
    EXPECT_EQ(workload->digest({0, kTasks}), expected) << task_size;
  }
}

TEST(Multiply, RefusesWhatItWouldNotHoldInMemory) {
  EXPECT_THAT(refusal("multiply", 2, std::uint64_t{1} << 26 | 1), HasSubstr("at most 134217728 items together"));
  EXPECT_THAT(refusal("multiply", 4000000000U, std::numeric_limits<std::uint64_t>::max()),
              HasSubstr("4000000000 tasks"));
}

TEST(Wait, NeverWaitsShorterThanAsked) {
  constexpr std::uint64_t kNs = 700'000;
  const auto workload = select_workload("wait").make({.tasks = kTasks, .task_size = kNs});
  const auto start = std::chrono::steady_clock::now();
  run(*workload, {0, kTasks});
  EXPECT_GE(std::chrono::steady_clock::now() - start, kTasks * std::chrono::nanoseconds(kNs));
}

TEST(Wait, RefusesMoreThanAnHour) {
  EXPECT_THAT(refusal("wait", 1, 3'600'000'000'001), HasSubstr("3600000000001 ns"));
  EXPECT_NO_THROW(select_workload("wait").make({.tasks = 1, .task_size = 3'600'000'000'000}));
}

TEST(Payload, ReturnsTheBytesOfEachTaskAndDigestsTheirHashes) {
  for (const std::size_t task_size : {1U, 7U, 8U, 9U, 4099U}) {
    const auto workload = select_workload("payload").make({.tasks = kTasks, .task_size = task_size});
    const std::vector<std::byte> returned = run(*workload, {0, kTasks});
    ASSERT_EQ(returned.size(), kTasks * task_size);
    std::uint64_t expected = 0;
    std::set<std::vector<std::byte>> different;
    for (std::uint32_t task = 0; task < kTasks; ++task) {
      std::vector<std::byte> bytes(task_size);
      fill_payload(task, bytes);
      EXPECT_TRUE(
          std::equal(bytes.begin(), bytes.end(), returned.begin() + static_cast<std::ptrdiff_t>(task * task_size)))
          << task << " of size " << task_size;
      expected += XXH3_64bits_withSeed(bytes.data(), bytes.size(), task);
      different.insert(std::move(bytes));
    }
    EXPECT_EQ(different.size(), kTasks);
    EXPECT_EQ(workload->digest({0, kTasks}), expected);
  }
}

TEST(Payload, IsAWordAfterTheOtherAndTheBeginningOfALongerOne) {
  std::vector<std::byte> longer(83), shorter(43);
  fill_payload(5, longer);
  fill_payload(5, shorter);
  EXPECT_TRUE(std::equal(shorter.begin(), shorter.end(), longer.begin()));
  std::uint64_t words[5];
  std::memcpy(words, longer.data(), sizeof words);
  EXPECT_NE(words[0], words[1]);
  EXPECT_EQ(words[2] - words[1], words[1] - words[0]);
  EXPECT_EQ(words[4] - words[3], words[1] - words[0]);
}

TEST(Payload, RefusesMoreThanAGibibytePerTask) {
  EXPECT_THAT(refusal("payload", 1, (std::uint64_t{1} << 30) + 1), HasSubstr("returns 1073741825 bytes"));
}

// The signal and the digest of `noise`, written down a second time: slices of one stream.
template <class Sample, class AddNoise>
std::uint64_t noise_in_one_call(double full_scale, const AddNoise& add_noise) {
  const WorkloadOptions expected = options();
  const std::size_t n = kTasks * expected.task_size;
  std::vector<Sample> signal(n);
  for (std::size_t i = 0; i < n; ++i) {
    const double value = 0.5 * full_scale * std::sin(2.0 * std::numbers::pi * static_cast<double>(i % 100) / 100.0);
    signal[i] = static_cast<Sample>(std::is_integral_v<Sample> ? std::round(value) : value);
  }
  add_noise(signal.data(), n, static_cast<float>(kBenchmarkAmplitude * full_scale),
            NoiseKey{expected.seed, stream_of(kNoiseStreamName.data(), kNoiseStreamName.size())});
  std::uint64_t sum = 0;
  for (std::uint32_t task = 0; task < kTasks; ++task) {
    sum += XXH3_64bits_withSeed(&signal[task * expected.task_size], expected.task_size * sizeof(Sample), task);
  }
  return sum;
}

TEST(Noise, SlicesAreOneStream) {
  const KernelCode& code = select_kernel("scalar").add_noise;
  const auto int16 = select_workload("noise").make(options("int16"));
  run(*int16, {0, kTasks});
  EXPECT_EQ(int16->digest({0, kTasks}),
            noise_in_one_call<std::int16_t>(32768.0, [&](std::int16_t* data, std::size_t n, float sigma, NoiseKey key) {
              EXPECT_EQ(code.i16(data, data, n, sigma, 1, key, 0), 0U);
            }));
  const auto float32 = select_workload("noise").make(options("float32"));
  run(*float32, {0, kTasks});
  EXPECT_EQ(float32->digest({0, kTasks}),
            noise_in_one_call<float>(1.0, [&](float* data, std::size_t n, float sigma, NoiseKey key) {
              code.f32(data, data, n, sigma, key, 0);
            }));
  EXPECT_EQ(int16->volume().samples, std::uint64_t{kTasks} * 1000);
}

TEST(Noise, TheSeedMatters) {
  const auto one = select_workload("noise").make(options());
  WorkloadOptions other = options();
  other.seed = 2;
  const auto two = select_workload("noise").make(other);
  run(*one, {0, kTasks});
  run(*two, {0, kTasks});
  EXPECT_NE(one->digest({0, kTasks}), two->digest({0, kTasks}));
}

TEST(Noise, WhatDoesNotFitInMemoryIsRefused) {
  WorkloadOptions huge = options();
  huge.tasks = std::numeric_limits<std::uint32_t>::max();
  huge.task_size = std::numeric_limits<std::uint64_t>::max();
  EXPECT_THROW(select_workload("noise").make(huge), UsageError);
  huge.tasks = 1;
  huge.task_size = kLargestNoiseBytes / (2 * sizeof(std::int16_t)) + 1;
  try {
    select_workload("noise").make(huge);
    FAIL();
  } catch (const UsageError& error) {
    EXPECT_THAT(error.what(), HasSubstr("536870912 samples of int16"));
  }
}

TEST(Noise, AnUnknownFormatOrNoKernelIsRefused) {
  try {
    select_workload("noise").make(options("int61"));
    FAIL();
  } catch (const UsageError& error) {
    EXPECT_THAT(error.what(), HasSubstr("did you mean 'int16'"));
  }
  WorkloadOptions no_kernel = options();
  no_kernel.kernel = nullptr;
  EXPECT_THROW(select_workload("noise").make(no_kernel), UsageError);
  const Kernel absent{"absent", "", "scalar", "this CPU lacks everything", {}};
  no_kernel.kernel = &absent;
  EXPECT_THROW(select_workload("noise").make(no_kernel), MissingError);
}

TEST(Each, AFailedTaskKeepsItsMessageOnlyAndTheOthersTheirs) {
  std::vector<TaskResult> results(3);
  std::vector<std::byte> returned;
  each({5, 8}, results, returned, [](std::uint32_t task, std::vector<std::byte>& bytes) {
    bytes.assign(bytes.size() + 2, static_cast<std::byte>('x'));
    if (task == 6) throw std::runtime_error("six");
  });
  EXPECT_EQ(results[0].bytes, 2U);
  EXPECT_EQ(results[1].task, 6U);
  EXPECT_EQ(results[1].status, kTaskFailed);
  EXPECT_EQ(results[1].bytes, 3U);
  EXPECT_EQ(results[2].status, 0);
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(returned.data()), returned.size()).size(), 7U);
}

class KernelChoice : public ::testing::Test {
 protected:
  void TearDown() override { ::unsetenv("NOISEFLOOR_KERNEL"); }
};

TEST_F(KernelChoice, AutoIsTheFirstThatCanRunHere) {
  ::unsetenv("NOISEFLOOR_KERNEL");
  const Kernel& chosen = select_kernel("auto");
  EXPECT_TRUE(chosen.unavailable.empty());
  for (const Kernel& kernel : kernels()) {
    if (&kernel == &chosen) break;
    EXPECT_FALSE(kernel.unavailable.empty()) << kernel.name << " is wider and can run";
  }
}

TEST_F(KernelChoice, TheEnvironmentDecidesWhatAutoIsButNotWhatANameIs) {
  ::setenv("NOISEFLOOR_KERNEL", "scalar", 1);
  EXPECT_EQ(select_kernel("auto").name, "scalar");
  EXPECT_EQ(select_kernel("naive").name, "naive");
  ::setenv("NOISEFLOOR_KERNEL", "", 1);
  EXPECT_TRUE(select_kernel("auto").unavailable.empty());
  ::setenv("NOISEFLOOR_KERNEL", "sclar", 1);
  try {
    select_kernel("auto");
    FAIL();
  } catch (const UsageError& error) {
    EXPECT_THAT(error.what(), HasSubstr("NOISEFLOOR_KERNEL"));
    EXPECT_THAT(error.what(), HasSubstr("did you mean 'scalar'?"));
  }
}

TEST_F(KernelChoice, AKernelThatCannotRunHereIsMissingWithTheReason) {
  for (const Kernel& kernel : kernels()) {
    if (kernel.unavailable.empty()) {
      EXPECT_EQ(&select_kernel(kernel.name), &kernel);
      continue;
    }
    try {
      select_kernel(kernel.name);
      FAIL() << kernel.name;
    } catch (const MissingError& error) {
      EXPECT_THAT(error.what(), HasSubstr(std::string(kernel.unavailable)));
    }
  }
}

TEST_F(KernelChoice, AnUnknownKernelIsAnsweredWithTheNearest) {
  try {
    select_kernel("avx-2");
    FAIL();
  } catch (const UsageError& error) {
    EXPECT_THAT(error.what(), HasSubstr("did you mean 'avx2'?"));
    EXPECT_THAT(error.what(), HasSubstr("Choices: auto, "));
  }
}

TEST(WorkloadTable, NamesAreFoundAndTheNearestIsSuggested) {
  for (const WorkloadRow& row : workloads()) EXPECT_EQ(&select_workload(row.name), &row);
  try {
    select_workload("nois");
    FAIL();
  } catch (const UsageError& error) {
    EXPECT_THAT(error.what(), HasSubstr("did you mean 'noise'?"));
  }
}

}  // namespace
}  // namespace noisefloor
