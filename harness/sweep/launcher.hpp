// Launches: one fresh process per launch, watched, ended with all its descendants, and read.
// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "harness/base/child.hpp"
#include "harness/base/unique_fd.hpp"
#include "harness/measure/columns.hpp"
#include "harness/measure/launch.hpp"
#include "harness/measure/start.hpp"

namespace noisefloor {

struct LaunchRequest {
  LaunchOptions options;
  std::string program = {};       ///< an arm's; empty: the launcher's own
  std::size_t padding_bytes = 0;  ///< added to the environment: layout differs per launch
  std::chrono::nanoseconds deadline = std::chrono::seconds(10);  ///< then it is ended: ChildRunner::kFarewell
};

enum class LaunchEnd : std::uint8_t {
  finished,     ///< its rows are whole; what they say is another matter
  failed,       ///< crashed, said so by its exit status, or printed something else than its rows
  timeout,      ///< overran its deadline
  interrupted,  ///< we were asked to stop
};

struct LaunchOutcome {
  LaunchEnd end = LaunchEnd::failed;
  std::vector<Row> rows;                ///< only if finished; then not empty
  std::string message;                  ///< why it did not finish
  std::optional<int> exit_status;       ///< empty where it was killed
  std::chrono::nanoseconds duration{};  ///< from start to the end of its last descendant
};

/// Not thread-safe.
class Launcher {
 public:
  Launcher() = default;
  Launcher(const Launcher&) = delete;
  Launcher& operator=(const Launcher&) = delete;
  virtual ~Launcher() = default;

  /// Whatever becomes of the launch is in the outcome. Throws Error only where no process can be started.
  virtual LaunchOutcome launch(const LaunchRequest& request) = 0;
};

/// The rows that a launch printed. Throws Error if the text is torn or no table, or if there are neither
/// `repetitions` rows nor a single skipped one.
std::vector<Row> parse_rows(std::string_view output, int repetitions);

/// Starts `program`, or that of the request, with launch_arguments(), as a ChildRunner does.
class ProcessLauncher : public Launcher {
 public:
  /// `interrupt_fd`: readable once the run shall stop (Interrupt::fd()), or -1.
  explicit ProcessLauncher(std::string program, int interrupt_fd = -1);

  LaunchOutcome launch(const LaunchRequest& request) override;

 private:
  std::string program_;
  ChildRunner children_;
};

/// While it lives, SIGINT, SIGTERM and SIGHUP ask for an orderly stop instead of ending the process, and a
/// file that grows too large is an error of write() instead of a signal. One at a time.
class Interrupt {
 public:
  Interrupt();
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;
  ~Interrupt();

  [[nodiscard]] int fd() const noexcept { return event_.get(); }  ///< readable once requested
  [[nodiscard]] static bool requested() noexcept;

 private:
  static constexpr int kSignals[] = {SIGINT, SIGTERM, SIGHUP, SIGXFSZ};
  UniqueFd event_;
  struct sigaction old_[4] = {};
};

}  // namespace noisefloor
