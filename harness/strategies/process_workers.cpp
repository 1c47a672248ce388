// Forking, ending and judging worker processes.
// SPDX-License-Identifier: MIT
#include "harness/strategies/process_workers.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstring>
#include <exception>
#include <filesystem>
#include <new>
#include <string>
#include <system_error>
#include <utility>

#include "harness/base/error.hpp"

namespace noisefloor {
namespace {

constexpr std::chrono::milliseconds kLongestTick(100);

/// Blocks all signals while it lives, so that a handler of the parent never runs in a child.
class BlockSignals {
 public:
  BlockSignals() {
    sigset_t all;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  BlockSignals(const BlockSignals&) = delete;
  BlockSignals& operator=(const BlockSignals&) = delete;
  ~BlockSignals() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_{};
};

void reset_handlers() noexcept {
  for (int number = 1; number < NSIG; ++number) {
    struct sigaction action {};
    if (::sigaction(number, nullptr, &action) != 0) continue;
    if (number == SIGINT || number == SIGHUP) {
      action.sa_handler = SIG_IGN;
    } else if (action.sa_handler == SIG_IGN) {
      continue;
    } else {
      action.sa_handler = SIG_DFL;
    }
    action.sa_flags = 0;
    ::sigaction(number, &action, nullptr);
  }
}

void close_range_of_fds(unsigned first, unsigned last) {
  if (first > last || ::close_range(first, last, 0) == 0) return;
  // A kernel before 5.9. What is closed while the folder is read may be the folder: so, first the list.
  std::vector<int> open;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd", ignored)) {
    const std::string name = entry.path().filename().string();
    unsigned fd = 0;
    if (std::from_chars(name.data(), name.data() + name.size(), fd).ec != std::errc{}) continue;
    if (fd >= first && fd <= last) open.push_back(static_cast<int>(fd));
  }
  for (const int fd : open) ::close(fd);
}

void close_all_but(std::span<const int> keep) {
  std::vector<int> kept(keep.begin(), keep.end());
  kept.push_back(STDERR_FILENO);
  std::sort(kept.begin(), kept.end());
  for (std::size_t i = 0; i < kept.size(); ++i) {
    const unsigned first = static_cast<unsigned>(kept[i]) + 1;
    const unsigned last = i + 1 < kept.size() ? static_cast<unsigned>(kept[i + 1]) - 1 : ~0U;
    if (kept[i] >= STDERR_FILENO) close_range_of_fds(first, last);
  }
}

[[noreturn]] void be_child(pid_t parent, std::span<const int> keep, const std::function<void()>& body) noexcept {
  int status = 1;
  try {
    // A parent that died before this call sends no signal; it is then no longer the parent.
    if (::prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && ::getppid() == parent) {
      reset_handlers();
      sigset_t none;
      ::sigemptyset(&none);
      ::pthread_sigmask(SIG_SETMASK, &none, nullptr);
      close_all_but(keep);
      body();
      status = 0;
    }
  } catch (...) {
    status = 1;
  }
  ::_exit(status);
}

std::uint64_t ns_of(const timeval& time) {
  return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000U + static_cast<std::uint64_t>(time.tv_usec) * 1'000U;
}

std::string how_it_ended(int status) {
  if (WIFSIGNALED(status)) {
    const int number = WTERMSIG(status);
    const char* text = ::sigdescr_np(number);
    return fmt::format("was killed by signal {} ({})", number, text != nullptr ? text : "unknown");
  }
  return fmt::format("exited with status {}", WEXITSTATUS(status));
}

}  // namespace

// --- Processes ---

ChildProcess::ChildProcess(std::span<const int> keep, const std::function<void()>& body)
    : made_(std::chrono::steady_clock::now()) {
  const pid_t parent = ::getpid();
  {
    const BlockSignals no_signals;
    pid_ = ::fork();
    if (pid_ == 0) be_child(parent, keep, body);
  }
  if (pid_ < 0) throw system_error("no process can be forked", errno);
  // glibc 2.36 has a function for it, whose header forgets extern "C".
  pidfd_.reset(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0)));
  if (pidfd_) return;
  const int error = errno;
  ::kill(pid_, SIGKILL);
  reap();
  throw system_error("a forked process cannot be watched (pidfd_open)", error);
}

ChildProcess::ChildProcess(ChildProcess&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)), pidfd_(std::move(other.pidfd_)), made_(other.made_) {}

ChildProcess& ChildProcess::operator=(ChildProcess&& other) noexcept {
  if (this != &other) {
    if (pid_ > 0) {
      kill();
      reap();
    }
    pid_ = std::exchange(other.pid_, -1);
    pidfd_ = std::move(other.pidfd_);
    made_ = other.made_;
  }
  return *this;
}

ChildProcess::~ChildProcess() {
  if (pid_ <= 0) return;
  kill();
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
}

void ChildProcess::kill() const noexcept {
  if (pid_ > 0) ::kill(pid_, SIGKILL);  // not reaped, so the number is still this process's
}

Ending ChildProcess::reap() {
  int status = 0;
  rusage usage{};
  pid_t got = -1;
  siginfo_t ended;
  // Until it is reaped, a dead process can be asked how long it had waited for a CPU. glibc's waitid() leaves usage
  // out.
  do {
    got = static_cast<pid_t>(::syscall(SYS_waitid, P_PID, pid_, &ended, WEXITED | WNOWAIT, &usage));
  } while (got < 0 && errno == EINTR);
  const auto cpu = std::chrono::nanoseconds(ns_of(usage.ru_utime) + ns_of(usage.ru_stime));
  const bool has_waited = got == 0 && std::chrono::steady_clock::now() - made_ >= cpu + kLeastWaitAtEnd;
  const std::uint64_t run_delay_ns = has_waited ? run_delay_of_process(pid_) : 0;
  do {
    got = ::wait4(pid_, &status, 0, &usage);
  } while (got < 0 && errno == EINTR);
  pid_ = -1;
  pidfd_.reset();
  if (got < 0) return {"ended, and the system keeps no account of it (SIGCHLD is ignored)", {}, 0};
  Ending ending{how_it_ended(status),
                {ns_of(usage.ru_utime), ns_of(usage.ru_stime), static_cast<std::uint64_t>(usage.ru_minflt),
                 static_cast<std::uint64_t>(usage.ru_majflt), static_cast<std::uint64_t>(usage.ru_nvcsw),
                 static_cast<std::uint64_t>(usage.ru_nivcsw)},
                static_cast<std::uint64_t>(usage.ru_maxrss) * 1024U};
  ending.usage.run_delay_ns = run_delay_ns;
  return ending;
}

SocketPair::SocketPair() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
    throw system_error("no socket pair can be made", errno);
  }
  parent.reset(ends[0]);
  child.reset(ends[1]);
}

// --- Jobs ---

void Jobs::start(std::uint32_t tasks, std::uint32_t chunk_size, std::uint32_t window) {
  chunks_ = Chunks(tasks, chunk_size);
  tasks_ = tasks;
  finished_ = next_ = oldest_ = 0;
  chunk_size_ = chunk_size;
  window_ = window;
  is_cancelled_ = false;
  again_.clear();
  left_.clear();
  if (window != 0) {
    const std::uint64_t span = std::min<std::uint64_t>(chunks_.count(), std::uint64_t{window} + 1);
    left_.resize(static_cast<std::size_t>(std::bit_ceil(span)));
    for (std::uint64_t chunk = 0; chunk < span; ++chunk) left_[static_cast<std::size_t>(chunk)] = chunks_[chunk].size();
  }
  limit_ = window == 0 ? chunks_.count() : std::min<std::uint64_t>(chunks_.count(), std::uint64_t{window} + 1);
}

Job Jobs::take() {
  if (!again_.empty()) return take_again();
  return {chunks_[next_++], 0};
}

Job Jobs::take_again() {
  const Job job = again_.begin()->second;
  again_.erase(again_.begin());
  return job;
}

void Jobs::finish_in_window(TaskRange range) noexcept {
  const std::size_t mask = left_.size() - 1;
  const std::uint64_t chunk = range.first / chunk_size_, count = chunks_.count();
  left_[static_cast<std::size_t>(chunk) & mask] -= range.size();
  while (oldest_ < count && left_[static_cast<std::size_t>(oldest_) & mask] == 0) {
    // The chunk that enters the window takes the place of one that has left it.
    const std::uint64_t enters = oldest_ + window_ + 1;
    if (enters < count) left_[static_cast<std::size_t>(enters) & mask] = chunks_[enters].size();
    ++oldest_;
  }
  if (!is_cancelled_) limit_ = std::min<std::uint64_t>(count, oldest_ + window_ + 1);
}

void Jobs::give_back(const Job& job) {
  if (!is_cancelled_) again_.emplace(job.range.first, job);
}

bool Jobs::blame(Job job) {
  ++job.deaths;
  if (job.range.size() == 1 && job.deaths >= kMostDeaths) return false;
  for (std::uint32_t task = job.range.first; task < job.range.last; ++task) give_back({{task, task + 1}, job.deaths});
  return true;
}

void Jobs::cancel() noexcept {
  is_cancelled_ = true;
  limit_ = next_;
  again_.clear();
}

// --- The worker's side ---

ChunkRunner::ChunkRunner(const Workload& workload, std::uint16_t worker, std::uint32_t chunk_size)
    : workload_(workload), buffer_(std::min(chunk_size, workload.task_count())), worker_(worker) {}

MessageHeader::Kind ChunkRunner::keep_exception() noexcept {
  returned_.clear();
  try {
    throw;
  } catch (const std::bad_alloc&) {
    return MessageHeader::memory;
  } catch (const std::exception& error) {
    const std::string_view what = error.what();
    const auto* bytes = reinterpret_cast<const std::byte*>(what.data());
    returned_.assign(bytes, bytes + what.size());
    return MessageHeader::broken;
  } catch (...) {
    return MessageHeader::broken;
  }
}

void UsageRecord::fill() noexcept {
  usage = process_usage();
  peak_rss_bytes = noisefloor::peak_rss_bytes().value_or(0);
  if (!reset_peak_rss()) peak_rss_bytes = 0;
}

// --- The parent's side ---

ProcessExecutor::ProcessExecutor(std::string_view name, const Workload& workload, const StrategyOptions& options)
    : name_(name),
      workload_(workload),
      options_(options),
      binding_(options.workers, options.bind),
      tick_(kLongestTick),
      last_tick_(Clock::now()),
      ended_peaks_(static_cast<std::size_t>(options.workers)) {
  using std::chrono::milliseconds;
  if (options.task_timeout.count() > 0) tick_ = std::clamp(options.task_timeout / 8, milliseconds(1), kLongestTick);
  done_.resize(std::min(options.chunk_size, std::max(1U, workload.task_count())));
}

bool ProcessExecutor::tick_is_due(Clock::duration& elapsed) noexcept {
  const Clock::time_point now = Clock::now();
  elapsed = now - last_tick_;
  if (elapsed < tick_) return false;
  last_tick_ = now;
  elapsed = std::min<Clock::duration>(elapsed, 2 * tick_);
  return true;
}

void ProcessExecutor::could_not_start(const Error& error) {
  if (!std::exchange(cannot_start_, true)) {
    note(fmt::format("{}: a worker cannot be started ({}); the others go on", name_, error.what()));
  }
}

void ProcessExecutor::look_for_workers(bool in_need, Clock::duration elapsed) {
  constexpr std::chrono::seconds kWithoutWorkers(1);
  // Between one process and the next there is no worker either.
  if (!in_need || !cannot_start_) {
    without_workers_ = {};
  } else if ((without_workers_ += elapsed) > kWithoutWorkers) {
    throw Error(
        fmt::format("{}: no worker is left, and none can be started: give fewer workers, or raise the limits "
                    "on processes and descriptors",
                    name_));
  }
}

bool ProcessExecutor::is_overdue(Patience& patience, std::uint64_t progress, std::uint32_t tasks,
                                 Clock::duration elapsed) const noexcept {
  if (tasks == 0 || patience.progress != progress) {
    patience = {progress, {}};
    return false;
  }
  patience.stalled += elapsed;
  // Counted in seconds of type double: milliseconds times 2^32 tasks are more than nanoseconds can hold.
  using Seconds = std::chrono::duration<double>;
  return options_.task_timeout.count() > 0 &&
         Seconds(patience.stalled) > Seconds(options_.task_timeout) * static_cast<double>(tasks);
}

void ProcessExecutor::report_done(TaskRange range, std::uint16_t worker, const OnChunk& on_chunk) {
  const std::span<TaskResult> results = std::span(done_).first(range.size());
  std::uint32_t task = range.first;
  for (TaskResult& result : results) result = {.task = task++, .bytes = 0, .worker = worker, .status = 0};
  on_chunk(results, {});
}

void ProcessExecutor::report_given_up(const Job& job, std::uint16_t worker, const std::string& how,
                                      const OnChunk& on_chunk) {
  const std::string message = fmt::format("task {} is given up: {} workers died running it; the last one {}",
                                          job.range.first, job.deaths + 1, how);
  const TaskResult result{.task = job.range.first,
                          .bytes = static_cast<std::uint32_t>(message.size()),
                          .worker = worker,
                          .status = kTaskFailed};
  on_chunk({&result, 1}, std::as_bytes(std::span(message)));
}

bool ProcessExecutor::is_sound(std::span<const TaskResult> results, std::span<const std::byte> returned,
                               TaskRange range, int worker) noexcept {
  if (results.size() != range.size()) return false;
  std::uint64_t bytes = 0;
  std::uint32_t task = range.first;
  for (const TaskResult& result : results) {
    if (result.task != task++ || result.worker != worker) return false;
    bytes += result.bytes;
  }
  return bytes == returned.size();
}

void ProcessExecutor::fail(MessageHeader::Kind kind, std::span<const std::byte> message) {
  try {
    if (kind == MessageHeader::memory) throw std::bad_alloc();
    throw Error(fmt::format("{}: a worker cannot go on: {}", name_,
                            message.empty()
                                ? std::string_view("unknown exception")
                                : std::string_view(reinterpret_cast<const char*>(message.data()), message.size())));
  } catch (...) {
    failure_.capture();
  }
}

void ProcessExecutor::bury(std::size_t worker, const Ending& ending) noexcept {
  ended_ += ending.usage;
  ended_peaks_[worker] = std::max(ended_peaks_[worker], ending.peak_rss_bytes);
}

std::string refuse_processes(std::string_view strategy, const StrategyOptions& options, const Takes& takes) {
  if (options.task_timeout.count() < 0) {
    return fmt::format("task_timeout is {} ms: give a time above 0, or 0 for none", options.task_timeout.count());
  }
  Takes all = takes;
  all.task_timeout = true;
  all.bind = true;
  return refuse_but_dynamic(strategy, options, all);
}

}  // namespace noisefloor
