// What the ETL is measured against besides a copy: its loop on raw descriptors, and its kernel alone.
// SPDX-License-Identifier: MIT
//
// Usage: micro_etl_floor loop IN OUT | kernel IN
//
// IN is a folder of mono int16 WAV files with the shortest header, as the test signals are. `loop` reads, adds noise
// and publishes each file in OUT, which exists and is empty, with one thread and one buffer, and writes the bytes of
// `noisefloor process --seed 1 IN OUT`. `kernel` adds the same noise, in pieces of the same size, to one buffer that
// stays in the cache. Prints the wall time in ns. Exit status: 0; 1 if a file cannot be read or written; 2 usage.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "harness/audio/atomic_file.hpp"
#include "harness/base/error.hpp"
#include "harness/base/unique_fd.hpp"
#include "harness/workloads/file_tasks.hpp"
#include "harness/workloads/table.hpp"
#include "kernels/kernel.hpp"
#include "kernels/noise.hpp"

namespace noisefloor {
namespace {

constexpr std::size_t kHeaderBytes = 44;
constexpr auto kSigma = static_cast<float>(kBenchmarkAmplitude * 32768);
constexpr std::uint64_t kSeed = 1;

std::vector<std::filesystem::path> sounds_in(const std::string& folder) {
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() == ".wav") paths.push_back(entry.path());
  }
  std::ranges::sort(paths);
  return paths;
}

/// Adds noise to the int16 samples in `bytes`; returns how many there were.
std::size_t add_noise(const Kernel& kernel, std::span<std::byte> bytes, NoiseKey key, std::uint64_t first_sample) {
  auto* samples = reinterpret_cast<std::int16_t*>(bytes.data());
  const std::size_t count = bytes.size() / sizeof(std::int16_t);
  kernel.add_noise.i16(samples, samples, count, kSigma, 1, key, first_sample);
  return count;
}

NoiseKey key_of(const std::filesystem::path& path) {
  const std::string name = path.filename();
  return {kSeed, stream_of(name.data(), name.size())};
}

void write_all(int fd, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) throw system_error("cannot write", written < 0 ? errno : EIO);
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
}

void loop(const Kernel& kernel, const std::filesystem::path& input, const std::string& out) {
  const UniqueFd from(::open(input.c_str(), O_RDONLY | O_CLOEXEC));
  if (!from) throw system_error("cannot open " + input.string(), errno);
  AtomicFile to(out + "/" + input.filename().string());
  to.reserve(file_bytes(input));
  const NoiseKey key = key_of(input);
  std::uint64_t bytes = 0, sample = 0;
  for (;;) {
    const std::span<std::byte> buffer = thread_buffer();
    const ssize_t got = ::read(from.get(), buffer.data(), buffer.size());
    if (got < 0) throw system_error("cannot read " + input.string(), errno);
    if (got == 0) break;
    const std::span<std::byte> piece = buffer.first(static_cast<std::size_t>(got));
    sample += add_noise(kernel, piece.subspan(bytes == 0 ? std::min(kHeaderBytes, piece.size()) : 0), key, sample);
    write_all(to.fd(), piece);
    bytes += piece.size();
  }
  to.publish(Publish::fresh, bytes);
}

void kernel_alone(const Kernel& kernel, const std::filesystem::path& input) {
  const NoiseKey key = key_of(input);
  std::uint64_t sample = 0;
  for (std::uint64_t left = file_bytes(input) - kHeaderBytes; left > 0;) {
    const std::span<std::byte> piece = thread_buffer().first(std::min<std::uint64_t>(left, kTaskBufferBytes));
    sample += add_noise(kernel, piece, key, sample);
    left -= piece.size();
  }
}

int run(std::span<char*> arguments) {
  const std::string_view part = arguments.size() > 1 ? arguments[1] : "";
  const bool is_loop = part == "loop" && arguments.size() == 4;
  if (!is_loop && !(part == "kernel" && arguments.size() == 3)) {
    throw UsageError("usage: micro_etl_floor loop IN OUT | kernel IN");
  }
  const auto paths = sounds_in(arguments[2]);
  if (paths.empty()) throw UsageError(std::string("no .wav file in '") + arguments[2] + "'");
  const Kernel& kernel = select_kernel("auto");
  const auto start = std::chrono::steady_clock::now();
  for (const auto& path : paths) {
    if (is_loop) {
      loop(kernel, path, arguments[3]);
    } else {
      kernel_alone(kernel, path);
    }
  }
  const std::chrono::nanoseconds wall = std::chrono::steady_clock::now() - start;
  std::printf("%lld\n", static_cast<long long>(wall.count()));
  return static_cast<int>(ExitStatus::done);
}

}  // namespace
}  // namespace noisefloor

int main(int argc, char** argv) {
  try {
    return noisefloor::run({argv, static_cast<std::size_t>(argc)});
  } catch (const noisefloor::Error& error) {
    std::fprintf(stderr, "micro_etl_floor: %s\n", error.what());
    return static_cast<int>(error.status());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "micro_etl_floor: %s\n", error.what());
    return static_cast<int>(noisefloor::ExitStatus::failed);
  }
}
