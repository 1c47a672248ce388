// Starts, watches and ends children.
// SPDX-License-Identifier: MIT
#include "harness/base/child.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <thread>
#include <utility>

#include "harness/base/error.hpp"
#include "harness/base/unique_fd.hpp"

namespace noisefloor {
namespace {

using std::chrono::nanoseconds;
using std::chrono::steady_clock;

constexpr std::size_t kMostOutputBytes = ChildRunner::kMostOutputBytes;
constexpr std::size_t kKeptErrorBytes = 64UL << 10U;
constexpr std::chrono::seconds kUnkillable{10};
constexpr std::string_view kPaddingName = "NOISEFLOOR_PADDING=";

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
[[noreturn]] void become(const ChildRequest& request, char* const* arguments, char* const* environment, pid_t parent,
                         int out, int err, int report) {
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
  if (!request.folder.empty() && ::chdir(request.folder.c_str()) != 0) fail();
  ::execve(request.program.c_str(), arguments, environment);
  fail();
  ::_exit(127);
}

}  // namespace

std::string last_line(std::string_view text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == ' ')) text.remove_suffix(1);
  const std::size_t line_end = text.rfind('\n');
  return std::string(line_end == std::string_view::npos ? text : text.substr(line_end + 1));
}

std::string with_what_it_said(const std::string& message, std::string_view said) {
  return said.empty() ? message : fmt::format("{}: {}", message, said);
}

ChildRunner::ChildRunner(int interrupt_fd) : interrupt_fd_(interrupt_fd) {
  if (::prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) throw system_error("cannot become the reaper of launches", errno);
  if (has_children()) {
    for (const pid_t child : children()) foreign_.insert(child);
  }
}

void ChildRunner::settle(pid_t group, std::chrono::nanoseconds grace) {
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

ChildOutcome ChildRunner::run(const ChildRequest& request) {
  std::vector<std::string> words = request.arguments;
  words.insert(words.begin(), request.program);
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
  ChildOutcome outcome;
  const auto start = steady_clock::now();
  const pid_t parent = ::getpid();
  // Without the handlers of a fork, which only a child that does not become another program needs: where this machine's
  // facts were asked of LLVM's OpenMP runtime, its handler would leave a file in /dev/shm for every launch.
  const pid_t child = ::_Fork();
  if (child < 0) throw system_error("cannot start a launch", errno);
  if (child == 0) {
    become(request, arguments.data(), environment.data(), parent, request.output < 0 ? out.write.get() : request.output,
           err.write.get(), report.write.get());
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

  std::string& output = outcome.output;
  std::string messages;
  std::array<pollfd, 4> polled = {{{process.get(), POLLIN, 0},
                                   {interrupt_fd_, POLLIN, 0},
                                   {out.read.get(), POLLIN, 0},
                                   {err.read.get(), POLLIN, 0}}};
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
      outcome.end = ChildEnd::wild;
      break;
    }
    if (polled[1].revents != 0) {
      outcome.end = ChildEnd::interrupted;
      break;
    }
    if (polled[0].revents != 0) break;
    // Last: this process may have been stopped, and the launch have ended in time meanwhile.
    if (left == left.zero()) {
      outcome.end = ChildEnd::deadline;
      break;
    }
  }
  outcome.wall = steady_clock::now() - start;
  if (outcome.end != ChildEnd::exited) end_group(child, process.get(), polled[2].fd, polled[3].fd, kFarewell);
  int status = 0;
  rusage used = {};
  while (::wait4(child, &status, 0, &used) < 0 && errno == EINTR) {
  }
  for (const timeval& time : {used.ru_utime, used.ru_stime}) {
    outcome.cpu += std::chrono::seconds(time.tv_sec) + std::chrono::microseconds(time.tv_usec);
  }
  if (outcome.end == ChildEnd::exited) {
    // A descendant may still hold the other ends: take what is there, and do not wait for more.
    if (polled[2].fd >= 0) drain(polled[2].fd, output, kMostOutputBytes);
    if (polled[3].fd >= 0) drain(polled[3].fd, messages, 2 * kKeptErrorBytes);
  }
  settle(child, outcome.end == ChildEnd::exited ? std::chrono::nanoseconds(kGrace) : std::chrono::nanoseconds(0));
  outcome.duration = steady_clock::now() - start;

  int exec_error = 0;
  if (::read(report.read.get(), &exec_error, sizeof exec_error) == static_cast<ssize_t>(sizeof exec_error)) {
    throw system_error(fmt::format("cannot start {}", request.program), exec_error);
  }
  const std::string said = what_it_said(messages);
  if (outcome.end == ChildEnd::interrupted) {
    outcome.message = "interrupted";
  } else if (outcome.end == ChildEnd::deadline) {
    outcome.message = with_what_it_said(
        fmt::format("killed at its deadline of {:.1f} s", std::chrono::duration<double>(request.deadline).count()),
        said);
  } else if (outcome.end == ChildEnd::wild) {
    outcome.message = fmt::format("killed: it printed more than {} bytes", kMostOutputBytes);
  } else if (WIFSIGNALED(status)) {
    const char* name = ::sigabbrev_np(WTERMSIG(status));
    outcome.message = with_what_it_said(
        name != nullptr ? fmt::format("ended by SIG{}", name) : fmt::format("ended by signal {}", WTERMSIG(status)),
        said);
  } else {
    outcome.exit_status = WEXITSTATUS(status);
    if (*outcome.exit_status != 0) {
      outcome.message = with_what_it_said(fmt::format("exit status {}", *outcome.exit_status), said);
    }
  }
  return outcome;
}

}  // namespace noisefloor
