// The kernel that was asked for is the one that runs.
// SPDX-License-Identifier: MIT
//
// The chain has three links: a name selects the row of that name (here), the row holds the code of its
// unit and that unit's object the instructions of its name (kernels_test, kernel_objects_test), and a
// workload calls the code of the row that it was given, all of it through that and nothing else (here).
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "harness/base/error.hpp"
#include "harness/workloads/table.hpp"
#include "kernels/kernel.hpp"

namespace noisefloor::test {
namespace {

// What the spy saw. A test runs its tasks in one thread.
std::uint64_t spied_i16_samples = 0;
std::uint64_t spied_f32_samples = 0;
KernelCode behind{};

std::size_t spy_i16(const std::int16_t* in, std::int16_t* out, std::size_t n, float sigma, int step, NoiseKey key,
                    std::uint64_t first) noexcept {
  spied_i16_samples += n;
  return behind.i16(in, out, n, sigma, step, key, first);
}
void spy_f32(const float* in, float* out, std::size_t n, float sigma, NoiseKey key, std::uint64_t first) noexcept {
  spied_f32_samples += n;
  behind.f32(in, out, n, sigma, key, first);
}

std::uint64_t digest_of_noise(const Kernel& kernel, const std::string& format) {
  WorkloadOptions options;
  options.tasks = 3;
  options.task_size = 5000;
  options.kernel = &kernel;
  options.format = format;
  const auto workload = select_workload("noise").make(options);
  workload->prepare(1);
  workload->begin(0);
  std::vector<TaskResult> results(options.tasks);
  std::vector<std::byte> returned;
  workload->run({0, options.tasks}, results, returned);
  for (const TaskResult& result : results) EXPECT_EQ(result.status, 0);
  return workload->digest({0, options.tasks});
}

TEST(ForcedKernel, EveryNameSelectsItsOwnRow) {
  for (const Kernel& kernel : kernels()) {
    if (!kernel.unavailable.empty()) continue;
    EXPECT_EQ(&select_kernel(kernel.name), &kernel);
    ASSERT_EQ(::setenv("NOISEFLOOR_KERNEL", std::string(kernel.name).c_str(), 1), 0);
    EXPECT_EQ(&select_kernel("auto"), &kernel);
    ::unsetenv("NOISEFLOOR_KERNEL");
  }
}

TEST(ForcedKernel, OneThatCannotRunIsRefusedWithWhatTheCpuLacks) {
  int refused = 0;
  for (const Kernel& kernel : kernels()) {
    if (kernel.unavailable.empty()) continue;
    ++refused;
    try {
      select_kernel(kernel.name);
      FAIL() << kernel.name << " was selected";
    } catch (const MissingError& error) {
      EXPECT_NE(std::string(error.what()).find(kernel.unavailable), std::string::npos) << error.what();
      EXPECT_EQ(error.status(), ExitStatus::missing);
    }
  }
  EXPECT_GE(refused, 1);  // no CPU has both AVX and NEON
}

TEST(ForcedKernel, TheWorkloadRunsEverySampleThroughTheKernelThatItWasGiven) {
  for (const Kernel& kernel : kernels()) {
    if (!kernel.unavailable.empty()) continue;
    behind = kernel.add_noise;
    Kernel spy = kernel;
    spy.add_noise = {spy_i16, nullptr, spy_f32, nullptr};
    spied_i16_samples = spied_f32_samples = 0;
    const std::uint64_t int16_digest = digest_of_noise(spy, "int16");
    EXPECT_EQ(spied_i16_samples, 15'000U) << kernel.name;
    EXPECT_EQ(spied_f32_samples, 0U) << kernel.name;
    EXPECT_EQ(int16_digest, digest_of_noise(kernel, "int16")) << kernel.name;
    spied_i16_samples = 0;
    const std::uint64_t float32_digest = digest_of_noise(spy, "float32");
    EXPECT_EQ(spied_i16_samples, 0U) << kernel.name;
    EXPECT_EQ(spied_f32_samples, 15'000U) << kernel.name;
    EXPECT_EQ(float32_digest, digest_of_noise(kernel, "float32")) << kernel.name;
  }
}

TEST(ForcedKernel, OnlyNaiveMakesOtherBytes) {
  const std::uint64_t scalar = digest_of_noise(select_kernel("scalar"), "int16");
  for (const Kernel& kernel : kernels()) {
    if (!kernel.unavailable.empty()) continue;
    EXPECT_EQ(digest_of_noise(kernel, "int16") == scalar, kernel.bytes_of == "scalar") << kernel.name;
  }
}

}  // namespace
}  // namespace noisefloor::test
