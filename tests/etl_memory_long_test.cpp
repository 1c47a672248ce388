// Promise: memory stays the same however long a file is.
// SPDX-License-Identifier: MIT
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "harness/audio/sound_file.hpp"
#include "harness/base/unique_fd.hpp"
#include "harness/workloads/etl.hpp"
#include "temporary_folder.hpp"

namespace noisefloor {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kHeaderBytes = 44;
constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;

/// Silence of `bytes` bytes of int16 samples that takes no disk.
void make_sparse_wav(const std::string& path, std::uint64_t bytes) {
  {
    const UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    SoundWriter writer(fd.get(), wav_facts(SampleType::int16, 1, 44100, 0), path);
    ASSERT_EQ(writer.finish(), kHeaderBytes);
  }
  const auto write_size = [&](std::fstream& file, std::streamoff at, std::uint64_t size) {
    const auto little_endian = static_cast<std::uint32_t>(size);
    file.seekp(at).write(reinterpret_cast<const char*>(&little_endian), sizeof little_endian);
  };
  std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
  write_size(file, 4, kHeaderBytes - 8 + bytes);
  write_size(file, 40, bytes);
  file.close();
  ASSERT_TRUE(file) << path;
  fs::resize_file(path, kHeaderBytes + bytes);
}

/// Anonymous memory of this process, in bytes.
std::uint64_t anonymous_bytes() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    std::uint64_t kib = 0;
    if (word == "RssAnon:" && status >> kib) return kib * 1024;
  }
  ADD_FAILURE() << "/proc/self/status has no RssAnon";
  return 0;
}

/// How much anonymous memory grew at most while f() ran.
template <class F>
std::uint64_t growth_during(F&& f) {
  std::atomic<bool> done{false};
  std::uint64_t most = 0;
  const std::uint64_t before = anonymous_bytes();
  std::thread sampler([&] {
    while (!done) {
      most = std::max(most, anonymous_bytes());
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  });
  f();
  done = true;
  sampler.join();
  return std::max(most, before) - before;
}

class EtlMemory : public testing::Test {
 protected:
  EtlMemory() { fs::create_directory(folder_ / "out"); }

  /// Growth per worker while `workers` threads process one file of `bytes` bytes of samples each.
  std::uint64_t growth_per_worker(std::uint64_t bytes, unsigned workers, bool has_snr) {
    std::vector<EtlTask> tasks;
    for (unsigned worker = 0; worker < workers; ++worker) {
      const std::string name = std::to_string(worker) + ".wav";
      make_sparse_wav(folder_ / name, bytes);
      tasks.push_back({.input = folder_ / name, .output = name, .stream = worker});
    }
    EtlOptions options;
    options.kernel = &select_kernel("auto");
    options.amplitude = 0.003;
    if (has_snr) options.snr = SnrRange{10, 20};
    options.output_root = folder_ / "out";
    const EtlWorkload workload(tasks, options);
    const std::uint64_t growth = growth_during([&] {
      std::vector<std::thread> threads;
      for (unsigned worker = 0; worker < workers; ++worker) {
        threads.emplace_back([&workload, worker] {
          std::vector<TaskResult> results(1);
          std::vector<std::byte> returned;
          workload.run({worker, worker + 1}, results, returned);
          EXPECT_EQ(results[0].status, 0)
              << std::string(reinterpret_cast<const char*>(returned.data()), returned.size());
        });
      }
      for (std::thread& thread : threads) thread.join();
    });
    for (const EtlTask& task : tasks) {
      EXPECT_EQ(fs::file_size(folder_ / ("out/" + task.output)), kHeaderBytes + bytes);
      fs::remove(folder_ / ("out/" + task.output));
      fs::remove(task.input);
    }
    return growth / workers;
  }

  TemporaryFolder folder_;
};

TEST_F(EtlMemory, AWorkerNeedsAtMost10MbForAFileOf2GiB) {
  constexpr std::uint64_t kMost = 10'000'000;
  EXPECT_LE(growth_per_worker(2048 * kMiB - 2, 1, false), kMost);
  EXPECT_LE(growth_per_worker(2048 * kMiB - 2, 1, true), kMost) << "read twice, with a second buffer";
  EXPECT_LE(growth_per_worker(1024 * kMiB, 2, false), kMost) << "two workers";
}

}  // namespace
}  // namespace noisefloor
