// What several pitfalls need: threads and processes that are counted and always joined, pipes, and reasons.
// SPDX-License-Identifier: MIT
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "benchmarks/pitfalls/transferable.hpp"
#include "harness/base/unique_fd.hpp"
#include "harness/measure/pitfall.hpp"

namespace noisefloor {

/// Runs f(0) … f(threads - 1) in threads of their own and waits for them. f must not throw.
template <class F>
void in_threads(Bench& bench, int threads, F&& f) {
  std::vector<std::jthread> team;
  team.reserve(static_cast<std::size_t>(threads));
  for (int i = 0; i < threads; ++i) team.emplace_back([&f, i] { f(i); });
  bench.count.threads += static_cast<std::uint64_t>(threads);
}

/// The i-th of n equal parts of `all`.
inline std::pair<std::size_t, std::size_t> part(std::size_t all, int i, int n) {
  return {all * static_cast<std::size_t>(i) / static_cast<std::size_t>(n),
          all * static_cast<std::size_t>(i + 1) / static_cast<std::size_t>(n)};
}

/// A child process that runs `work` and ends; it dies with the thread that made it. Waited for when it goes.
class Process {
 public:
  Process(Bench& bench, const std::function<void()>& work);
  Process(Process&& other) noexcept : pid_(std::exchange(other.pid_, -1)) {}
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;
  Process& operator=(Process&&) = delete;
  ~Process() { wait(); }

  /// True if it ended by itself, with status 0.
  bool wait();

 private:
  pid_t pid_;
};

/// Two connected ends of a pipe.
struct Pipe {
  Pipe();
  UniqueFd read, write;
};

/// Two connected ends, each for both directions: a stream of bytes.
struct Channel {
  Channel();
  UniqueFd ours, theirs;
};

/// Writes all of it. False if nobody reads any more.
bool write_all(int fd, std::span<const std::byte> bytes);
/// Fills all of it. False at end of file.
bool read_all(int fd, std::span<std::byte> bytes);

/// A value that is nothing but its bytes, sent and counted as one message.
template <Transferable T>
bool send(Bench& bench, int fd, const T& value) {
  ++bench.count.messages;
  bench.count.bytes += sizeof value;
  return write_all(fd, std::as_bytes(std::span(&value, 1)));
}
template <Transferable T>
bool receive(Bench& bench, int fd, T& value) {
  ++bench.count.messages;
  bench.count.bytes += sizeof value;
  return read_all(fd, std::as_writable_bytes(std::span(&value, 1)));
}

/// For Pitfall::refuse: what is lost there is lost between two CPUs.
std::string needs_two_cpus(int workers);

/// Keeps the compiler from seeing through `value`.
template <class T>
void keep(T& value) {
  asm volatile("" : "+m"(value) : : "memory");
}

}  // namespace noisefloor
