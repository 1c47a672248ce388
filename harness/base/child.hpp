// A child process that is watched, and ended with all its descendants.
// SPDX-License-Identifier: MIT
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

namespace noisefloor {

struct ChildRequest {
  std::string program;                 ///< its path: PATH is not searched
  std::vector<std::string> arguments;  ///< without the program
  std::string folder = {};             ///< to run in; empty: that of this process
  std::size_t padding_bytes = 0;       ///< added to the environment: layout differs per launch
  std::chrono::nanoseconds deadline = std::chrono::seconds(10);  ///< then it is ended: ChildRunner::kFarewell
  int output = -1;  ///< a descriptor that standard output goes to; -1: into ChildOutcome::output
};

enum class ChildEnd : std::uint8_t {
  exited,       ///< by itself, or by a signal of others
  deadline,     ///< overran it
  interrupted,  ///< we were asked to stop
  wild,         ///< printed more than kMostOutputBytes
};

struct ChildOutcome {
  ChildEnd end = ChildEnd::exited;
  std::optional<int> exit_status;  ///< empty where it was killed
  std::string
      message;  ///< why it did not end with exit status 0, with what it said last on standard error; empty: it did
  std::string output;                   ///< at most kMostOutputBytes and a little more
  std::chrono::nanoseconds wall{};      ///< from just before it was made until its end was seen
  std::chrono::nanoseconds cpu{};       ///< of itself and the descendants that it waited for
  std::chrono::nanoseconds duration{};  ///< from start to the end of its last descendant
};

/// Starts one child at a time, in a process group of its own, standard input empty. The calling process becomes the
/// reaper of orphaned descendants; children that it had before are left alone. A child dies with the thread that
/// started it. Not thread-safe.
class ChildRunner {
 public:
  /// `interrupt_fd`: readable once all shall stop, or -1.
  explicit ChildRunner(int interrupt_fd = -1);

  /// Throws Error only where no process can be started.
  ChildOutcome run(const ChildRequest& request);

  static constexpr std::size_t kMostOutputBytes = std::size_t{16} << 20U;  ///< what prints more has gone wild
  /// How long a child that shall end may take for that after SIGTERM before it is killed: mpirun ends its ranks and
  /// removes their files.
  static constexpr std::chrono::milliseconds kFarewell{1500};
  /// How long what a child leaves behind may take to end by itself before it is killed.
  static constexpr std::chrono::seconds kGrace{2};

 private:
  void settle(pid_t group, std::chrono::nanoseconds grace);

  int interrupt_fd_;
  std::unordered_set<pid_t> foreign_;  ///< children that are not ours
};

/// `message`, and after a colon `said` if there is any.
std::string with_what_it_said(const std::string& message, std::string_view said);

/// The last line of a text.
std::string last_line(std::string_view text);

}  // namespace noisefloor
