// Starts, watches and reads launches.
// SPDX-License-Identifier: MIT
#include "harness/sweep/launcher.hpp"

#include <fmt/format.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <utility>

#include "harness/base/error.hpp"
#include "harness/workloads/file_tasks.hpp"

namespace noisefloor {
namespace {

std::atomic<bool> interrupt_requested{false};
std::atomic<int> interrupt_event{-1};
static_assert(std::atomic<bool>::is_always_lock_free && std::atomic<int>::is_always_lock_free);

extern "C" void on_interrupt(int /*signal*/) {
  const int saved = errno;
  interrupt_requested.store(true);
  const std::uint64_t one = 1;
  if (::write(interrupt_event.load(), &one, sizeof one) < 0) {
    // The flag is set all the same.
  }
  errno = saved;
}

}  // namespace

std::vector<Row> parse_rows(std::string_view output, int repetitions) {
  if (output.empty()) throw Error("it printed nothing");
  if (output.back() != '\n') throw Error(fmt::format("its output is torn: '{}'", last_line(output)));
  std::vector<std::string> header;
  std::vector<Row> rows;
  while (!output.empty()) {
    const std::size_t line_end = output.find('\n');
    const std::string_view line = output.substr(0, line_end);
    output.remove_prefix(line_end + 1);
    if (header.empty()) {
      header = csv_split(line);
      for (const std::string_view needed : {"status", "wall_ns", "iterations", "digest"}) {
        if (std::find(header.begin(), header.end(), needed) == header.end()) {
          throw Error(fmt::format("its output is no table of observations: no column '{}' in '{}'", needed, line));
        }
      }
    } else {
      rows.push_back(csv_row(header, line));
    }
  }
  const bool skipped = rows.size() == 1 && rows[0]["status"] == "skipped";
  if (!skipped && rows.size() != static_cast<std::size_t>(repetitions)) {
    throw Error(fmt::format("it printed {} rows for {} repetitions", rows.size(), repetitions));
  }
  return rows;
}

ProcessLauncher::ProcessLauncher(std::string program, int interrupt_fd)
    : program_(std::move(program)), children_(interrupt_fd) {}

LaunchOutcome ProcessLauncher::launch(const LaunchRequest& request) {
  ChildOutcome child = children_.run({.program = request.program.empty() ? program_ : request.program,
                                      .arguments = launch_arguments(request.options),
                                      .padding_bytes = request.padding_bytes,
                                      .deadline = request.deadline});
  LaunchOutcome outcome;
  outcome.message = std::move(child.message);
  outcome.exit_status = child.exit_status;
  outcome.duration = child.duration;
  if (child.end == ChildEnd::interrupted) {
    outcome.end = LaunchEnd::interrupted;
  } else if (child.end == ChildEnd::deadline) {
    outcome.end = LaunchEnd::timeout;
  } else if (child.exit_status) {
    const int exit_status = *child.exit_status;
    try {
      outcome.rows = parse_rows(child.output, request.options.repetitions);
      // A launch whose rows tell of a wrong output says so by its exit status too.
      const bool told = std::any_of(outcome.rows.begin(), outcome.rows.end(),
                                    [](const Row& row) { return row["status"] != "ok" && row["status"] != "skipped"; });
      if (exit_status == 0 || (exit_status == static_cast<int>(ExitStatus::failed) && told)) {
        outcome.end = LaunchEnd::finished;
        outcome.message.clear();
      }
    } catch (const Error& error) {
      if (exit_status == 0) outcome.message = error.what();
    }
    if (outcome.end != LaunchEnd::finished) outcome.rows.clear();
  }
  if (outcome.end != LaunchEnd::finished) remove_stale_outputs();  // it may not have done so itself
  return outcome;
}

Interrupt::Interrupt() : event_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (!event_) throw system_error("cannot make an eventfd", errno);
  interrupt_requested.store(false);
  interrupt_event.store(event_.get());
  for (std::size_t i = 0; i < std::size(kSignals); ++i) {
    struct sigaction action = {};
    action.sa_handler = kSignals[i] == SIGXFSZ ? SIG_IGN : on_interrupt;
    ::sigemptyset(&action.sa_mask);
    ::sigaction(kSignals[i], nullptr, &old_[i]);
    // What nohup ignores stays ignored.
    if (kSignals[i] == SIGHUP && old_[i].sa_handler == SIG_IGN) continue;
    ::sigaction(kSignals[i], &action, nullptr);
  }
}

Interrupt::~Interrupt() {
  for (std::size_t i = 0; i < std::size(kSignals); ++i) ::sigaction(kSignals[i], &old_[i], nullptr);
  interrupt_event.store(-1);
}

bool Interrupt::requested() noexcept { return interrupt_requested.load(); }

}  // namespace noisefloor
