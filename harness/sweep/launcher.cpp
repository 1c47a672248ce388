// Starts, watches and reads launches.
// SPDX-License-Identifier: MIT
#include "harness/sweep/launcher.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <thread>
#include <utility>

#include "harness/base/error.hpp"
#include "harness/workloads/file_tasks.hpp"

namespace noisefloor {
namespace {

using std::chrono::nanoseconds;
using std::chrono::steady_clock;

constexpr std::size_t kMostOutputBytes = std::size_t{16} << 20U;  ///< a launch that prints more has gone wild
constexpr std::size_t kKeptErrorBytes = 64UL << 10U;
constexpr std::chrono::seconds kUnkillable{10};
constexpr std::string_view kPaddingName = "NOISEFLOOR_PADDING=";

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

struct Pipe {
  UniqueFd read, write;

  Pipe() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) throw system_error("cannot make a pipe for a launch", errno);
    read.reset(ends[0]);
    write.reset(ends[1]);
    ::fcntl(ends[0], F_SETFL, O_NONBLOCK);
  }
};

/// Appends what is there now. False at end of file.
bool drain(int fd, std::string& text, std::size_t most) {
  std::array<char, 16384> buffer;
  while (text.size() <= most) {
    const ssize_t got = ::read(fd, buffer.data(), buffer.size());
    if (got > 0) {
      text.append(buffer.data(), static_cast<std::size_t>(got));
    } else if (got == 0) {
      return false;
    } else if (errno != EINTR) {
      return true;
    }
  }
  return true;
}

std::string last_line(std::string_view text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == ' ')) text.remove_suffix(1);
  const std::size_t line_end = text.rfind('\n');
  return std::string(line_end == std::string_view::npos ? text : text.substr(line_end + 1));
}

/// What a launch that failed said last: the last line of ours, around which mpirun prints much, else the last line that
/// is more than a rule.
std::string what_it_said(std::string_view messages) {
  std::string_view last;
  for (std::size_t from = 0; from < messages.size();) {
    const std::size_t end = std::min(messages.find('\n', from), messages.size());
    const std::string_view line = messages.substr(from, end - from);
    from = end + 1;
    const bool ours = line.starts_with("noisefloor");
    if (line.find_first_not_of(" \t\r-=") == std::string_view::npos) continue;
    if (ours || !last.starts_with("noisefloor")) last = line;
  }
  return last_line(last);
}

/// All children of this process, living and dead.
std::vector<pid_t> children() {
  std::vector<pid_t> result;
  const pid_t self = ::getpid();
  std::error_code error;
  for (std::filesystem::directory_iterator it("/proc", error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    std::ifstream file(it->path() / "stat");
    std::string line;
    std::getline(file, line);
    // The command may hold anything; behind its last parenthesis: state, parent.
    const std::size_t behind = line.rfind(')');
    if (behind == std::string::npos || behind + 4 >= line.size()) continue;
    if (std::strtol(line.c_str() + behind + 4, nullptr, 10) == self) {
      result.push_back(static_cast<pid_t>(std::strtol(name.c_str(), nullptr, 10)));
    }
  }
  return result;
}

bool has_children() {
  siginfo_t info;
  return ::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

/// Asks the group of `process` (a pidfd) to end, and kills it when that has, or after `patience`. What it says
/// meanwhile is read, so that it need not wait for room, and dropped. Does not reap.
void end_group(pid_t group, int process, int out, int err, nanoseconds patience) {
  ::kill(-group, SIGTERM);
  std::array<pollfd, 3> polled = {{{process, POLLIN, 0}, {out, POLLIN, 0}, {err, POLLIN, 0}}};
  const auto end = steady_clock::now() + patience;
  while (polled[0].revents == 0) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - steady_clock::now()).count();
    if (left <= 0) break;
    if (::poll(polled.data(), polled.size(), static_cast<int>(left)) < 0) {
      if (errno != EINTR) break;
      continue;
    }
    for (pollfd* pipe : {&polled[1], &polled[2]}) {
      std::string dropped;
      if (pipe->revents != 0 && !drain(pipe->fd, dropped, kKeptErrorBytes)) pipe->fd = -1;
    }
  }
  ::kill(-group, SIGKILL);
}

/// Between fork and exec: only what is safe there. Reports errno through `report`.
[[noreturn]] void become(const char* program, char* const* arguments, char* const* environment, pid_t parent, int out,
                         int err, int report) {
  const auto fail = [&] {
    const int error = errno;
    if (::write(report, &error, sizeof error) < 0) ::_exit(126);
    ::_exit(127);
  };
  ::setpgid(0, 0);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGXFSZ, SIGPIPE}) ::signal(signal, SIG_DFL);
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) fail();
  if (::getppid() != parent) ::_exit(127);  // it died before the line above
  const int null = ::open("/dev/null", O_RDONLY);
  if (null < 0 || ::dup2(null, STDIN_FILENO) < 0 || ::dup2(out, STDOUT_FILENO) < 0 || ::dup2(err, STDERR_FILENO) < 0) {
    fail();
  }
  if (null > STDERR_FILENO) ::close(null);
  ::execve(program, arguments, environment);
  fail();
  ::_exit(127);
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
    : program_(std::move(program)), interrupt_fd_(interrupt_fd) {
  if (::prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) throw system_error("cannot become the reaper of launches", errno);
  if (has_children()) {
    for (const pid_t child : children()) foreign_.insert(child);
  }
}

void ProcessLauncher::settle(pid_t group, std::chrono::nanoseconds grace) {
  const auto start = steady_clock::now();
  auto pause = std::chrono::microseconds(200);
  while (has_children()) {
    std::vector<pid_t> left = children();
    std::erase_if(left, [&](pid_t child) { return foreign_.count(child) != 0; });
    if (left.empty()) return;
    const auto waited = steady_clock::now() - start;
    if (waited > grace + kUnkillable) {
      throw Error(fmt::format("process {}, left behind by a launch, does not end although it was killed", left[0]));
    }
    if (waited >= grace) ::kill(-group, SIGKILL);
    for (const pid_t child : left) {
      // Descendants further down become children when their parents are gone: the next pass sees them.
      if (waited >= grace) ::kill(child, SIGKILL);
      ::waitpid(child, nullptr, WNOHANG);
    }
    std::this_thread::sleep_for(pause);
    pause = std::min(pause * 2, std::chrono::microseconds(10'000));
  }
}

LaunchOutcome ProcessLauncher::launch(const LaunchRequest& request) {
  std::vector<std::string> words = launch_arguments(request.options);
  const std::string& program = request.program.empty() ? program_ : request.program;
  words.insert(words.begin(), program);
  std::vector<char*> arguments;
  arguments.reserve(words.size() + 1);
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  std::string padding(kPaddingName);
  padding.append(request.padding_bytes, 'x');
  std::vector<char*> environment;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    if (!std::string_view(*entry).starts_with(kPaddingName)) environment.push_back(*entry);
  }
  environment.push_back(padding.data());
  environment.push_back(nullptr);

  Pipe out;
  Pipe err;
  Pipe report;
  LaunchOutcome outcome;
  const auto start = steady_clock::now();
  const pid_t parent = ::getpid();
  // Without the handlers of a fork, which only a child that does not become another program needs: where this machine's
  // facts were asked of LLVM's OpenMP runtime, its handler would leave a file in /dev/shm for every launch.
  const pid_t child = ::_Fork();
  if (child < 0) throw system_error("cannot start a launch", errno);
  if (child == 0) {
    become(program.c_str(), arguments.data(), environment.data(), parent, out.write.get(), err.write.get(),
           report.write.get());
  }
  ::setpgid(child, child);  // in both, so that it is true for whoever comes first
  out.write.reset();
  err.write.reset();
  report.write.reset();
  // Not pidfd_open(): the header of glibc 2.36 gives it C++ linkage.
  const UniqueFd process(static_cast<int>(::syscall(SYS_pidfd_open, child, 0)));
  if (!process) {
    const int error = errno;
    ::kill(-child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    throw system_error("cannot watch a launch (pidfd_open)", error);
  }

  std::string output;
  std::string messages;
  std::array<pollfd, 4> polled = {{{process.get(), POLLIN, 0},
                                   {interrupt_fd_, POLLIN, 0},
                                   {out.read.get(), POLLIN, 0},
                                   {err.read.get(), POLLIN, 0}}};
  enum class Why : std::uint8_t { ended, deadline, interrupted, wild } why = Why::ended;
  for (;;) {
    const auto left = std::max(request.deadline - (steady_clock::now() - start), nanoseconds(0));
    const auto milliseconds = std::chrono::ceil<std::chrono::milliseconds>(left).count();
    const int ready =
        ::poll(polled.data(), polled.size(), static_cast<int>(std::min<std::int64_t>(milliseconds, 60'000)));
    if (ready < 0) {
      if (errno != EINTR) throw system_error("cannot wait for a launch", errno);
      continue;  // what poll() did not fill in says nothing
    }
    if (polled[2].revents != 0 && !drain(polled[2].fd, output, kMostOutputBytes)) polled[2].fd = -1;
    if (polled[3].revents != 0 && !drain(polled[3].fd, messages, 2 * kKeptErrorBytes)) polled[3].fd = -1;
    if (messages.size() > kKeptErrorBytes) messages.erase(0, messages.size() - kKeptErrorBytes);
    if (output.size() > kMostOutputBytes) {
      why = Why::wild;
      break;
    }
    if (polled[1].revents != 0) {
      why = Why::interrupted;
      break;
    }
    if (polled[0].revents != 0) break;
    // Last: this process may have been stopped, and the launch have ended in time meanwhile.
    if (left == left.zero()) {
      why = Why::deadline;
      break;
    }
  }
  if (why != Why::ended) end_group(child, process.get(), polled[2].fd, polled[3].fd, kFarewell);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (why == Why::ended) {
    // A descendant may still hold the other ends: take what is there, and do not wait for more.
    if (polled[2].fd >= 0) drain(polled[2].fd, output, kMostOutputBytes);
    if (polled[3].fd >= 0) drain(polled[3].fd, messages, 2 * kKeptErrorBytes);
  }
  settle(child, why == Why::ended ? std::chrono::nanoseconds(kGrace) : std::chrono::nanoseconds(0));
  outcome.duration = steady_clock::now() - start;

  int exec_error = 0;
  if (::read(report.read.get(), &exec_error, sizeof exec_error) == static_cast<ssize_t>(sizeof exec_error)) {
    throw system_error(fmt::format("cannot start {}", program), exec_error);
  }
  const std::string said = what_it_said(messages);
  const auto with_said = [&](const std::string& message) { return said.empty() ? message : message + ": " + said; };
  if (why == Why::interrupted) {
    outcome.end = LaunchEnd::interrupted;
    outcome.message = "interrupted";
  } else if (why == Why::deadline) {
    outcome.end = LaunchEnd::timeout;
    outcome.message = with_said(
        fmt::format("killed at its deadline of {:.1f} s", std::chrono::duration<double>(request.deadline).count()));
  } else if (why == Why::wild) {
    outcome.message = fmt::format("killed: it printed more than {} bytes", kMostOutputBytes);
  } else if (WIFSIGNALED(status)) {
    const char* name = ::sigabbrev_np(WTERMSIG(status));
    outcome.message = with_said(name != nullptr ? fmt::format("ended by SIG{}", name)
                                                : fmt::format("ended by signal {}", WTERMSIG(status)));
  } else {
    const int exit_status = WEXITSTATUS(status);
    outcome.exit_status = exit_status;
    try {
      outcome.rows = parse_rows(output, request.options.repetitions);
      // A launch whose rows tell of a wrong output says so by its exit status too.
      const bool told = std::any_of(outcome.rows.begin(), outcome.rows.end(),
                                    [](const Row& row) { return row["status"] != "ok" && row["status"] != "skipped"; });
      if (exit_status == 0 || (exit_status == static_cast<int>(ExitStatus::failed) && told)) {
        outcome.end = LaunchEnd::finished;
      }
    } catch (const Error& error) {
      outcome.message = error.what();
    }
    if (outcome.end != LaunchEnd::finished) {
      outcome.rows.clear();
      if (exit_status != 0) outcome.message = with_said(fmt::format("exit status {}", exit_status));
    }
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
