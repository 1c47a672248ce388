// What the ETL is measured against besides a copy: its loop on raw descriptors, its kernel alone, and other ways to
// move the bytes. SPDX-License-Identifier: MIT
//
// Usage: micro_etl_floor loop IN OUT | kernel IN | ways IN OUT [ROUNDS]
//
// IN is a folder of mono int16 WAV files with the shortest header, as the test signals are. `loop` reads, adds noise
// and publishes each file in OUT, which exists and is empty, with one thread and one buffer, and writes the bytes of
// `noisefloor process --seed 1 IN OUT`. `kernel` adds the same noise, in pieces of the same size, to one buffer that
// stays in the cache. Both print the wall time in ns. `ways` copies IN into OUT in every way of a table, without and
// with noise, in ROUNDS (12) rounds of random order after one that is not counted, compares the bytes, and prints the
// medians and their ratios to the way of the ETL, paired by round, as Markdown. Exit status: 0; 1 if a file cannot be
// read or written; 2 usage.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <exception>
#include <filesystem>
#include <memory>
#include <random>
#include <span>
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

// --- Ways ---

enum class Source : std::uint8_t { read, map, kernel };

/// How the bytes of a file are moved.
struct Way {
  const char* name;
  Source source;
  std::size_t read_bytes;   // per read(2), or of the input mapped at a time
  std::size_t write_bytes;  // per write(2)
  bool reserves;            // fallocate(2) of the output
  bool sizes;               // ftruncate(2) of the output to its size before it is written
  bool is_huge;             // the buffer in one huge page
};

constexpr std::size_t KiB = 1024;
// The first is the ETL's. A mapped input ends the process if it is truncated meanwhile (SIGBUS): shown, not used. A
// pipe (splice, vmsplice) saves no copy: ext4 copies out of it as write(2) does from memory. O_DIRECT leaves the page
// cache.
constexpr std::array kWays = {
    Way{"256 KiB", Source::read, 256 * KiB, 256 * KiB, true, false, false},
    Way{"256 KiB, not pre-allocated", Source::read, 256 * KiB, 256 * KiB, false, false, false},
    Way{"256 KiB, sized first", Source::read, 256 * KiB, 256 * KiB, true, true, false},
    Way{"256 KiB, in a huge page", Source::read, 256 * KiB, 256 * KiB, true, false, true},
    Way{"64 KiB", Source::read, 64 * KiB, 64 * KiB, true, false, false},
    Way{"128 KiB", Source::read, 128 * KiB, 128 * KiB, true, false, false},
    Way{"512 KiB", Source::read, 512 * KiB, 512 * KiB, true, false, false},
    Way{"1 MiB", Source::read, 1024 * KiB, 1024 * KiB, true, false, false},
    Way{"1 MiB, written by 256 KiB", Source::read, 1024 * KiB, 256 * KiB, true, false, false},
    Way{"64 KiB, written by 256 KiB", Source::read, 64 * KiB, 256 * KiB, true, false, false},
    Way{"input mapped by 256 KiB", Source::map, 256 * KiB, 256 * KiB, true, false, false},
    Way{"input mapped by 2 MiB", Source::map, 2048 * KiB, 256 * KiB, true, false, false},
    Way{"copy_file_range", Source::kernel, 0, 0, true, false, false},
};

struct Unmap {
  std::size_t bytes;
  void operator()(void* memory) const noexcept { ::munmap(memory, bytes); }
};
using Mapping = std::unique_ptr<void, Unmap>;

Mapping map(int fd, std::uint64_t offset, std::size_t bytes) {
  const int flags = fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED | MAP_POPULATE;
  void* memory =
      ::mmap(nullptr, bytes, fd < 0 ? PROT_READ | PROT_WRITE : PROT_READ, flags, fd, static_cast<off_t>(offset));
  if (memory == MAP_FAILED) throw system_error("cannot map memory", errno);
  return {memory, Unmap{bytes}};
}

/// 2 MiB, aligned to as much.
std::span<std::byte> way_buffer(bool is_huge) {
  constexpr std::size_t kBytes = 2048 * KiB;
  const auto make = [](bool huge) {
    Mapping memory = map(-1, 0, 2 * kBytes);
    void* at = memory.get();
    std::size_t room = 2 * kBytes;
    std::align(kBytes, kBytes, at, room);
    ::madvise(at, kBytes, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
    return std::pair(std::move(memory), std::span(static_cast<std::byte*>(at), kBytes));
  };
  static const auto small = make(false), huge = make(true);
  return is_huge ? huge.second : small.second;
}

std::size_t read_some(int fd, std::span<std::byte> bytes) {
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t got = ::read(fd, bytes.data() + done, bytes.size() - done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw system_error("cannot read", errno);
    if (got == 0) break;
    done += static_cast<std::size_t>(got);
  }
  return done;
}

/// One file, with noise if there is a kernel.
void move_file(const Way& way, const Kernel* kernel, const std::filesystem::path& input, const std::string& out) {
  const UniqueFd from(::open(input.c_str(), O_RDONLY | O_CLOEXEC));
  if (!from) throw system_error("cannot open " + input.string(), errno);
  const std::uint64_t bytes = file_bytes(input);
  AtomicFile to(out + "/" + input.filename().string());
  if (way.reserves) to.reserve(bytes);
  if (way.sizes && ::ftruncate(to.fd(), static_cast<off_t>(bytes)) != 0) throw system_error("cannot write", errno);
  const NoiseKey key = key_of(input);
  const std::span<std::byte> buffer = way_buffer(way.is_huge);
  std::uint64_t sample = 0;
  const auto header = [&](std::uint64_t at) { return at == 0 ? kHeaderBytes : std::size_t{0}; };
  for (std::uint64_t at = 0; at < bytes;) {
    if (way.source == Source::kernel) {
      const ssize_t got = ::copy_file_range(from.get(), nullptr, to.fd(), nullptr, bytes - at, 0);
      if (got <= 0) throw system_error("cannot copy " + input.string(), got < 0 ? errno : EIO);
      at += static_cast<std::uint64_t>(got);
      continue;
    }
    const std::size_t most = std::max(way.read_bytes, way.write_bytes);
    const auto piece = static_cast<std::size_t>(std::min<std::uint64_t>(most, bytes - at));
    if (way.source == Source::map) {
      const Mapping window = map(from.get(), at, piece);
      const std::span<const std::byte> seen(static_cast<const std::byte*>(window.get()), piece);
      for (std::size_t done = 0; done < piece;) {
        const std::span<const std::byte> part = seen.subspan(done, std::min(way.write_bytes, piece - done));
        if (kernel == nullptr) {
          write_all(to.fd(), part);
        } else {
          const std::size_t skip = header(at + done);
          std::copy_n(part.begin(), skip, buffer.begin());
          const std::size_t count = (part.size() - skip) / sizeof(std::int16_t);
          kernel->add_noise.i16(reinterpret_cast<const std::int16_t*>(part.data() + skip),
                                reinterpret_cast<std::int16_t*>(buffer.data() + skip), count, kSigma, 1, key, sample);
          sample += count;
          write_all(to.fd(), buffer.first(part.size()));
        }
        done += part.size();
      }
      at += piece;
      continue;
    }
    for (std::size_t done = 0; done < piece;) {
      const std::span<std::byte> part = buffer.subspan(done, std::min(way.read_bytes, piece - done));
      if (read_some(from.get(), part) != part.size()) throw Error("'" + input.string() + "' became shorter");
      if (kernel != nullptr) sample += add_noise(*kernel, part.subspan(header(at + done)), key, sample);
      done += part.size();
    }
    for (std::size_t done = 0; done < piece;) {
      const std::size_t part = std::min(way.write_bytes, piece - done);
      write_all(to.fd(), buffer.subspan(done, part));
      done += part;
    }
    at += piece;
  }
  to.publish(Publish::fresh, bytes);
}

double median(std::vector<double> values) {
  std::ranges::sort(values);
  const std::size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

void compare_ways(const Kernel& kernel, std::span<const std::filesystem::path> paths, const std::string& out,
                  int rounds) {
  struct Arm {
    const Way* way;
    const Kernel* kernel;
    std::vector<double> wall_ms, cpu_ms;
    std::uint64_t digest;
  };
  std::vector<Arm> arms;
  for (const Kernel* with : {static_cast<const Kernel*>(nullptr), &kernel}) {
    for (const Way& way : kWays) {
      if (with == nullptr || way.source != Source::kernel) arms.push_back({&way, with, {}, {}, 0});
    }
  }
  const auto first_of = [&](const Arm& arm) -> const Arm& {
    return *std::ranges::find(arms, arm.kernel, &Arm::kernel);
  };
  std::vector<std::size_t> order(arms.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::mt19937_64 random(kSeed);  // NOLINT(cert-msc51-cpp): the same order in every call
  for (int round = 0; round <= rounds; ++round) {
    if (round > 0) std::shuffle(order.begin(), order.end(), random);
    for (const std::size_t index : order) {
      Arm& arm = arms[index];
      const std::clock_t cpu = std::clock();
      const auto start = std::chrono::steady_clock::now();
      for (const auto& path : paths) move_file(*arm.way, arm.kernel, path, out);
      const std::chrono::duration<double, std::milli> wall = std::chrono::steady_clock::now() - start;
      if (round > 0) arm.wall_ms.push_back(wall.count());
      if (round > 0) arm.cpu_ms.push_back(1000.0 * static_cast<double>(std::clock() - cpu) / CLOCKS_PER_SEC);
      std::uint64_t file = 0;
      for (const auto& path : paths) {
        const std::string output = out + "/" + path.filename().string();
        if (round == 0) arm.digest += digest_of_file(output, file++);
        std::filesystem::remove(output);
      }
      if (arm.digest != first_of(arm).digest) throw Error(std::string(arm.way->name) + " writes other bytes");
    }
  }
  const auto ratio = [](const std::vector<double>& times, const std::vector<double>& first) {
    std::vector<double> ratios;
    for (std::size_t i = 0; i < first.size(); ++i) ratios.push_back(times[i] / first[i]);
    return median(std::move(ratios));
  };
  std::printf("| way | noise | wall, ms | over the first | CPU, ms | over the first |\n");
  std::printf("| --- | --- | ---: | ---: | ---: | ---: |\n");
  for (const Arm& arm : arms) {
    const Arm& first = first_of(arm);
    std::printf("| %s | %s | %.1f | %.3f | %.1f | %.3f |\n", arm.way->name, arm.kernel != nullptr ? "added" : "none",
                median(arm.wall_ms), ratio(arm.wall_ms, first.wall_ms), median(arm.cpu_ms),
                ratio(arm.cpu_ms, first.cpu_ms));
  }
}

/// A number of rounds, at least 1. Throws UsageError.
int rounds_of(std::string_view text) {
  int rounds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), rounds);
  if (error != std::errc() || end != text.data() + text.size() || rounds < 1) {
    throw UsageError("ROUNDS is '" + std::string(text) + "': give a number from 1 on");
  }
  return rounds;
}

int run(std::span<char*> arguments) {
  const std::string_view part = arguments.size() > 1 ? arguments[1] : "";
  const bool compares = part == "ways" && (arguments.size() == 4 || arguments.size() == 5);
  const bool is_loop = part == "loop" && arguments.size() == 4;
  if (!is_loop && !compares && !(part == "kernel" && arguments.size() == 3)) {
    throw UsageError("usage: micro_etl_floor loop IN OUT | kernel IN | ways IN OUT [ROUNDS]");
  }
  const auto paths = sounds_in(arguments[2]);
  if (paths.empty()) throw UsageError(std::string("no .wav file in '") + arguments[2] + "'");
  const Kernel& kernel = select_kernel("auto");
  if (compares) {
    constexpr int kRounds = 12;
    compare_ways(kernel, paths, arguments[3], arguments.size() == 5 ? rounds_of(arguments[4]) : kRounds);
    return static_cast<int>(ExitStatus::done);
  }
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
