// Forking while another thread holds a lock: the child inherits a locked lock, and nobody who unlocks it.
// SPDX-License-Identifier: MIT
#include <atomic>
#include <mutex>
#include <string>
#include <thread>

#include "benchmarks/pitfalls/support.hpp"
#include "benchmarks/pitfalls/table.hpp"

namespace noisefloor {
namespace {

constexpr int kProcesses = 300;

// variant: logger_first fork_first
/// A logger as every program has one: a lock around a buffer. malloc and stdio have theirs.
struct Logger {
  std::mutex lock;
  std::string text;

  void log(int line) {
    const std::lock_guard guard(lock);
    text.assign(2'000, static_cast<char>('a' + line % 26));
  }
};

/// A process that logs a line and ends.
bool log_in_a_process(Bench& bench, Logger& logger, int line) {
  Process child(bench, [&] { logger.log(line); });
  return child.wait();
}
// end

// variant: logger_first
Answer logger_first(Bench& bench) {
  Logger logger;
  std::atomic<bool> stop{false};
  std::jthread thread([&] {
    for (int line = 0; !stop; ++line) logger.log(line);  // holds the lock most of the time
  });
  Answer done = 0;
  for (int i = 0; i < kProcesses; ++i) done += log_in_a_process(bench, logger, i) ? 1 : 0;
  stop = true;
  return done;
}
// end

// variant: fork_first
Answer fork_first(Bench& bench) {
  Logger logger;
  Answer done = 0;
  for (int i = 0; i < kProcesses; ++i) done += log_in_a_process(bench, logger, i) ? 1 : 0;
  std::atomic<bool> stop{false};
  std::jthread thread([&] {
    for (int line = 0; !stop; ++line) logger.log(line);
  });
  stop = true;
  return done;
}
// end

constexpr Variant kVariants[] = {
    {.name = "logger_first",
     .role = Role::bad,
     .help = "a thread logs while processes are forked that log too",
     .run = logger_first,
     .hangs = true},
    {.name = "fork_first",
     .role = Role::good,
     .help = "the processes are forked before the thread is made",
     .run = fork_first},
};

}  // namespace

constexpr Pitfall kForkHoldingLock{
    .name = "fork_holding_lock",
    .title = "Forking from a process with threads",
    .lesson =
        "What another thread had locked at the moment of the fork stays locked in the child for ever: its owner was "
        "not "
        "copied.",
    .harm = Harm::hang,
    .source = "POSIX: after fork from a process with threads the child may call async-signal-safe functions only",
    .advice =
        "Fork before threads are made, or exec at once after the fork (posix_spawn); in Python the start methods "
        "forkserver or spawn.",
    .variants = kVariants,
};

}  // namespace noisefloor
