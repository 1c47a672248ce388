// Processes, pipes and reasons that several pitfalls share.
// SPDX-License-Identifier: MIT
#include "benchmarks/pitfalls/support.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "harness/base/error.hpp"

namespace noisefloor {

Process::Process(Bench& bench, const std::function<void()>& work) : pid_(-1) {
  const pid_t parent = ::getpid();
  pid_ = ::fork();
  if (pid_ < 0) throw system_error("cannot start a process", errno);
  ++bench.count.processes;
  if (pid_ > 0) return;
  const rlimit none{};
  ::setrlimit(RLIMIT_CORE, &none);  // a crash may be what is shown: it leaves no file
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(127);
  try {
    work();
  } catch (...) {
    ::_exit(1);
  }
  ::_exit(0);
}

bool Process::wait() {
  if (pid_ < 0) return true;
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

Pipe::Pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw system_error("cannot make a pipe", errno);
  read.reset(ends[0]);
  write.reset(ends[1]);
}

Channel::Channel() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
    throw system_error("cannot make a socket", errno);
  ours.reset(ends[0]);
  theirs.reset(ends[1]);
}

bool write_all(int fd, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written > 0) {
      bytes = bytes.subspan(static_cast<std::size_t>(written));
    } else if (errno != EINTR) {
      return false;
    }
  }
  return true;
}

bool read_all(int fd, std::span<std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t got = ::read(fd, bytes.data(), bytes.size());
    if (got > 0) {
      bytes = bytes.subspan(static_cast<std::size_t>(got));
    } else if (got == 0 || errno != EINTR) {
      return false;
    }
  }
  return true;
}

std::string needs_two_cpus(int workers) {
  return workers >= 2 ? std::string()
                      : fmt::format("it takes two CPUs at the same time, and {} is to be used", workers);
}

}  // namespace noisefloor
