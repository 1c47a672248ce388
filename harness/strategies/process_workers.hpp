// What the strategies share whose workers are processes: forking and ending them, and which tasks are theirs to run.
// SPDX-License-Identifier: MIT
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "harness/base/error.hpp"
#include "harness/base/unique_fd.hpp"
#include "harness/base/usage.hpp"
#include "harness/strategies/binding.hpp"
#include "harness/strategies/chunks.hpp"
#include "harness/strategies/strategy.hpp"

namespace noisefloor {

/// How a process ended, and what it had used.
struct Ending {
  std::string how;  ///< "was killed by signal 9 (Killed)"
  Usage usage;
  std::uint64_t peak_rss_bytes = 0;
};

/// A forked process, killed and waited for when this goes. For the thread that made it, which must live as long: a
/// child is killed when the thread that forked it ends. The parent should have no other thread at that time, since a
/// lock that one of them holds is never released in the child; glibc's own locks are.
class ChildProcess {
 public:
  ChildProcess() noexcept = default;
  /// Forks. The child runs `body` and exits: with status 0, or 1 after an exception. It keeps standard input, output
  /// and error and the descriptors in `keep`, and closes all others: an end of a socket inherited from a sibling's
  /// making would hide that the sibling is gone. It dies with its parent, ignores SIGINT and SIGHUP (they are the
  /// parent's to handle) and has the default action for every other signal that the parent handles. Throws Error.
  ChildProcess(std::span<const int> keep, const std::function<void()>& body);
  ChildProcess(ChildProcess&& other) noexcept;
  ChildProcess& operator=(ChildProcess&& other) noexcept;
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;
  ~ChildProcess();

  explicit operator bool() const noexcept { return pid_ > 0; }
  [[nodiscard]] pid_t pid() const noexcept { return pid_; }
  /// Readable once the process has ended.
  [[nodiscard]] int pidfd() const noexcept { return pidfd_.get(); }
  void kill() const noexcept;
  /// Waits until it has ended, and forgets it.
  Ending reap();

 private:
  pid_t pid_ = -1;
  UniqueFd pidfd_;
  std::chrono::steady_clock::time_point made_;
};

/// A pair of connected stream sockets. Throws Error.
struct SocketPair {
  SocketPair();
  UniqueFd parent, child;
};

/// What a worker takes at a time, and how many workers have died while they ran it.
struct Job {
  TaskRange range;
  std::uint32_t deaths = 0;
};

/// A task is given up after as many workers have died of it.
inline constexpr std::uint32_t kMostDeaths = 3;

/// The jobs of one run: the chunks in order, and before them what has to be run again. For the parent alone.
class Jobs {
 public:
  void start(std::uint32_t tasks, std::uint32_t chunk_size, std::uint32_t window);

  /// Chunks below this number may be taken: the window's end.
  [[nodiscard]] std::uint64_t limit() const noexcept { return limit_; }
  /// The chunk that take() gives next, where nothing is to be run again.
  [[nodiscard]] std::uint64_t next() const noexcept { return next_; }
  /// Jobs that take() may give now.
  [[nodiscard]] std::uint64_t ready() const noexcept { return again_.size() + (limit_ > next_ ? limit_ - next_ : 0); }
  Job take();
  [[nodiscard]] bool has_again() const noexcept { return !again_.empty(); }
  Job take_again();

  /// The job's results have come.
  void finish(TaskRange range) {
    finished_ += range.size();
    if (window_ != 0) finish_in_window(range);
  }
  /// The job was taken and has not been run.
  void give_back(const Job& job);
  /// A worker died running the job: its tasks are to be run again, each as a job of its own, so that the one that kills
  /// workers is known. False if it is one task that has killed kMostDeaths: it is given up, and left to the caller.
  [[nodiscard]] bool blame(Job job);
  /// No further job may be taken.
  void cancel() noexcept;

  [[nodiscard]] bool is_cancelled() const noexcept { return is_cancelled_; }
  /// All tasks have results.
  [[nodiscard]] bool is_complete() const noexcept { return finished_ == tasks_; }
  [[nodiscard]] const Chunks& chunks() const noexcept { return chunks_; }

 private:
  void finish_in_window(TaskRange range) noexcept;

  Chunks chunks_{0, 1};
  std::uint64_t tasks_ = 0, finished_ = 0, next_ = 0, limit_ = 0, oldest_ = 0;
  std::uint32_t chunk_size_ = 1, window_ = 0;
  bool is_cancelled_ = false;
  std::vector<std::uint32_t> left_;     // with a window: tasks without result of the chunks in it, by chunk number
  std::map<std::uint32_t, Job> again_;  // by first task
};

/// What a worker found out about a chunk, as it crosses to the parent: this header, then for `results` the results and
/// the bytes returned, for `broken` the message. Each message is a multiple of 8 bytes long.
struct MessageHeader {
  enum Kind : std::uint32_t {
    done,     ///< all tasks of the chunk are done and returned nothing: no more follows
    results,  ///< `bytes` bytes returned
    broken,   ///< Workload::run() threw: the worker lives, the run cannot go on; `bytes` bytes of message
    memory,   ///< the same for std::bad_alloc, without a message
    refused,  ///< not run
    usage,    ///< the worker's usage is in its shared record
    kKindMask = 0xFF,
    kAgain = 0x100,  ///< beside a kind: `first` is the number of a job that is run again
  };
  std::uint32_t first = 0;  ///< what names the job: its first task
  Kind kind = done;
};
struct MessageSize {
  std::uint32_t results = 0, padding = 0;
  std::uint64_t bytes = 0;
};

constexpr std::size_t padded(std::size_t bytes) noexcept { return (bytes + 7) & ~std::size_t{7}; }

/// The worker's side of a chunk. Reused from chunk to chunk, so that a chunk allocates nothing.
class ChunkRunner {
 public:
  ChunkRunner(const Workload& workload, std::uint16_t worker, std::uint32_t chunk_size);

  /// Runs the tasks, and says which kind of message tells it. Does not throw.
  MessageHeader::Kind run(TaskRange range) noexcept {
    results_ = std::span(buffer_).first(range.size());
    returned_.clear();
    try {
      workload_.run(range, results_, returned_);
    } catch (...) {
      return keep_exception();
    }
    unsigned failed = 0;
    for (const TaskResult& result : results_) failed |= result.status;
    if (failed == 0 && returned_.empty()) return MessageHeader::done;
    for (TaskResult& result : results_) result.worker = worker_;
    return MessageHeader::results;
  }
  [[nodiscard]] std::span<const TaskResult> results() const noexcept { return results_; }
  /// What the tasks returned, or why the run cannot go on.
  [[nodiscard]] std::span<const std::byte> returned() const noexcept { return returned_; }

 private:
  /// In a catch block.
  MessageHeader::Kind keep_exception() noexcept;

  const Workload& workload_;
  std::vector<TaskResult> buffer_;
  std::span<TaskResult> results_;
  std::vector<std::byte> returned_;
  std::uint16_t worker_;
};

/// What a worker tells of itself, in memory that it shares with its parent.
struct UsageRecord {
  Usage usage;
  std::uint64_t peak_rss_bytes;  ///< since the last record; 0: unknown
  void fill() noexcept;          ///< called by the worker
};

/// An executor whose workers are processes: what it owes to tasks, notes and figures, whatever the way to its workers.
class ProcessExecutor : public Executor {
 public:
  ProcessExecutor(std::string_view name, const Workload& workload, const StrategyOptions& options);

  [[nodiscard]] std::uint64_t digest() const override { return workload_.digest({0, workload_.task_count()}); }

 protected:
  using Clock = std::chrono::steady_clock;

  /// How long one worker has shown no progress, in time during which this process itself ran: a whole process group
  /// may be stopped and go on.
  struct Patience {
    std::uint64_t progress = 0;
    Clock::duration stalled{};
  };

  [[nodiscard]] bool stopped() const noexcept {
    return options_.stop != nullptr && options_.stop->load(std::memory_order_relaxed);
  }
  /// How long the parent may sleep until it looks after its workers again.
  [[nodiscard]] std::chrono::milliseconds tick() const noexcept { return tick_; }
  /// To be called at the beginning of run(), and then again and again. True, once per tick, if workers should be looked
  /// after now; `elapsed` is then the time since the last time that counts.
  bool tick_is_due(Clock::duration& elapsed) noexcept;
  void restart_ticks() noexcept {
    last_tick_ = Clock::now();
    without_workers_ = {};
  }
  /// True if a worker that has `tasks` tasks at hand, and whose progress is this number, should be given up.
  bool is_overdue(Patience& patience, std::uint64_t progress, std::uint32_t tasks,
                  Clock::duration elapsed) const noexcept;

  /// A worker was started.
  void has_started() noexcept { cannot_start_ = false; }
  /// A worker could not be started: noted once, until one can.
  void could_not_start(const Error& error);
  /// `in_need`: there is work, and no worker. Throws Error once that has lasted a second in which none could be
  /// started.
  void look_for_workers(bool in_need, Clock::duration elapsed);

  void note(const std::string& text) const {
    if (options_.on_note) options_.on_note(text);
  }
  /// Tells on_chunk that all tasks of `range` are done and returned nothing.
  void report_done(TaskRange range, std::uint16_t worker, const OnChunk& on_chunk);
  /// Tells on_chunk that a task was given up, and why.
  void report_given_up(const Job& job, std::uint16_t worker, const std::string& how, const OnChunk& on_chunk);
  /// True if `results` are those of `range`, and their bytes as many as came.
  [[nodiscard]] static bool is_sound(std::span<const TaskResult> results, std::span<const std::byte> returned,
                                     TaskRange range, int worker) noexcept;
  /// Keeps what ended the run, as the worker told it.
  void fail(MessageHeader::Kind kind, std::span<const std::byte> message);
  void bury(std::size_t worker, const Ending& ending) noexcept;
  void reset_peaks() noexcept { std::fill(ended_peaks_.begin(), ended_peaks_.end(), 0); }
  /// Usage of the workers that have ended, and the peak of worker `w` among them.
  [[nodiscard]] const Usage& ended_usage() const noexcept { return ended_; }
  [[nodiscard]] std::uint64_t ended_peak(std::size_t worker) const noexcept { return ended_peaks_[worker]; }

  const std::string_view name_;
  const Workload& workload_;
  const StrategyOptions options_;
  const Binding binding_;  // a worker ties itself when it begins
  Jobs jobs_;
  Failure failure_;

 private:
  std::chrono::milliseconds tick_;
  Clock::time_point last_tick_;
  Clock::duration without_workers_{};
  bool cannot_start_ = false;
  std::vector<TaskResult> done_;
  Usage ended_;
  std::vector<std::uint64_t> ended_peaks_;
};

/// Why these options cannot be honoured by a strategy whose workers are processes; empty if they can.
std::string refuse_processes(std::string_view strategy, const StrategyOptions& options, const Takes& takes);

}  // namespace noisefloor
