// The parent sends chunks ahead through a socket pair per worker, and watches sockets and processes.
// SPDX-License-Identifier: MIT
#include "harness/strategies/process_pool.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <deque>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "harness/base/error.hpp"
#include "harness/base/shared_mapping.hpp"
#include "harness/strategies/message_stream.hpp"
#include "harness/strategies/process_workers.hpp"

namespace noisefloor {
namespace {

/// What a worker is sent: a chunk, or with no tasks a request for its usage.
struct Request {
  std::uint32_t first = 0, tasks = 0;
};

// A worker has at least two chunks, so that it need not wait for the next; and so many that they last a while, for one
// message costs as much as thousands of small tasks. All of them are far smaller than a socket's buffer: the parent
// never blocks in sending while a worker blocks in answering.
constexpr std::size_t kLeastAhead = 2, kMostAhead = 512;
constexpr std::chrono::nanoseconds kAhead = std::chrono::microseconds(200);
// When a worker has had nothing to do for so long, what others have not begun is called back and shared out.
constexpr std::chrono::milliseconds kRecallAfter(1);
constexpr std::chrono::seconds kUsageDeadline(10);

/// Of one worker. Requests are numbered from 1.
struct alignas(kLineBytes) Shared {
  std::atomic<std::uint64_t> running;  ///< by the worker: the request that it runs; 0: none
  UsageRecord usage;                   ///< by the worker
  alignas(
      kLineBytes) std::atomic<std::uint64_t> recall;  ///< by the parent: requests up to this one are not to be begun
};
static_assert(std::atomic<std::uint64_t>::is_always_lock_free, "shared by processes");

class ProcessPool final : public ProcessExecutor {
 public:
  ProcessPool(std::string_view name, const Workload& workload, const StrategyOptions& options, Lifetime lifetime)
      : ProcessExecutor(name, workload, options),
        lifetime_(lifetime),
        memory_(static_cast<std::size_t>(options.workers) * sizeof(Shared)),
        shared_(memory_.as<Shared>()),
        workers_(static_cast<std::size_t>(options.workers)) {
    if (lifetime_ == Lifetime::pool) start_all();
  }

  void run(const OnChunk& on_chunk) override {
    jobs_.start(workload_.task_count(), options_.chunk_size, options_.window);
    if (jobs_.is_complete()) return;
    on_chunk_ = &on_chunk;
    idle_deaths_ = 0;
    try {
      if (lifetime_ == Lifetime::run) start_all();
      work();
    } catch (...) {
      // Whoever still has something to answer would answer it in the next run.
      for (Worker& worker : workers_) {
        if (worker.jobs.empty()) continue;
        worker.jobs.clear();
        end(worker);
      }
      failure_.capture();
    }
    if (lifetime_ != Lifetime::pool) {
      for (Worker& worker : workers_) end(worker);
    }
    failure_.rethrow();
  }

  [[nodiscard]] WorkerUsage worker_usage() const override {
    WorkerUsage total{ended_usage()};
    for (std::size_t i = 0; i < workers_.size(); ++i) {
      std::uint64_t peak = std::max(ended_peak(i), peaks_[i]);
      if (workers_[i].process) {
        if (!ask_usage(i)) {
          total.peak_rss_bytes.reset();
          continue;
        }
        total.usage += shared_[i].usage.usage;
        if (shared_[i].usage.peak_rss_bytes == 0) total.peak_rss_bytes.reset();
        peak = peaks_[i] = std::max(peak, shared_[i].usage.peak_rss_bytes);
      }
      if (total.peak_rss_bytes) *total.peak_rss_bytes += peak;
    }
    return total;
  }

  void reset_worker_peaks() override {
    reset_peaks();
    for (std::size_t i = 0; i < workers_.size(); ++i) {
      if (workers_[i].process) static_cast<void>(ask_usage(i));
    }
    std::fill(peaks_.begin(), peaks_.end(), 0);
  }

 private:
  struct Worker {
    ChildProcess process;
    UniqueFd socket;
    mutable MessageReader reader;
    std::deque<Job> jobs;  // sent and not answered, in the order of sending
    std::uint64_t sent = 0, answered = 0;
    std::size_t ahead = kLeastAhead;
    Clock::time_point last_answer{};
    Patience patience;
  };

  // --- Processes ---

  void start(std::size_t index, const Job* only = nullptr) {
    Worker& worker = workers_[index];
    Shared& mine = shared_[index];
    SocketPair ends;
    mine.running.store(0, std::memory_order_relaxed);
    mine.recall.store(0, std::memory_order_relaxed);
    const int fd = ends.child.get();
    worker.process = ChildProcess({&fd, 1}, [&] {
      binding_.tie(index);
      if (only != nullptr) {
        run_one(fd, index, only->range);
      } else {
        serve(fd, index);
      }
    });
    worker.socket = std::move(ends.parent);
    worker.reader.clear();
    worker.jobs.clear();
    worker.sent = worker.answered = 0;
    worker.ahead = kLeastAhead;
    worker.last_answer = Clock::now();
    worker.patience = {};
  }

  void start_all() {
    for (std::size_t i = 0; i < workers_.size(); ++i) {
      if (workers_[i].process) continue;
      try {
        start(i);
      } catch (const Error& error) {
        for (Worker& worker : workers_) end(worker);
        throw Error(fmt::format("{}: worker {} of {} cannot be started: {}; give fewer workers, or raise the limit",
                                name_, i + 1, workers_.size(), error.what()));
      }
    }
  }

  /// What it has not answered is lost.
  void end(Worker& worker) {
    if (!worker.process) return;
    worker.process.kill();
    bury(static_cast<std::size_t>(&worker - workers_.data()), worker.process.reap());
    worker.socket.reset();
  }

  /// Replaces a dead worker of a pool, if that can be done now.
  void replace(std::size_t index) {
    if (lifetime_ == Lifetime::chunk || jobs_.is_cancelled()) return;
    try {
      start(index);
      has_started();
    } catch (const Error& error) {
      could_not_start(error);
    }
  }

  /// The worker is gone, or about to be: what it had is given back, and it is replaced.
  void lay_to_rest(std::size_t index, std::string how) {
    Worker& worker = workers_[index];
    const pid_t pid = worker.process.pid();
    const Ending ending = worker.process.reap();
    bury(index, ending);
    worker.socket.reset();
    if (worker.jobs.empty() && lifetime_ == Lifetime::chunk) return;
    if (how.empty()) how = ending.how;
    const std::deque<Job> jobs = std::exchange(worker.jobs, {});
    const std::uint64_t running = shared_[index].running.load(std::memory_order_acquire);
    std::string at_what = "when it ran nothing";
    std::size_t again = 0;
    bool has_begun = false;
    for (std::size_t i = 0; i < jobs.size(); ++i) {
      const Job& job = jobs[i];
      if (worker.answered + i + 1 != running) {
        jobs_.give_back(job);
        again += job.range.size();
        continue;
      }
      has_begun = true;
      at_what = job.range.size() == 1 ? fmt::format("running task {}", job.range.first)
                                      : fmt::format("running tasks {} to {}", job.range.first, job.range.last - 1);
      if (jobs_.blame(job)) {
        again += job.range.size();
      } else {
        at_what += ", which is given up";
        jobs_.finish(job.range);
        report_given_up(job, static_cast<std::uint16_t>(index), how, *on_chunk_);
      }
    }
    idle_deaths_ = has_begun ? 0 : idle_deaths_ + 1;
    note(fmt::format("{}: worker {} (process {}) {} {}; unanswered tasks to be run again: {}", name_, index, pid, how,
                     at_what, again));
    if (idle_deaths_ > 10 + 3 * workers_.size()) {
      throw Error(fmt::format("{}: {} workers died one after the other before they had begun a task; the last one {}",
                              name_, idle_deaths_, how));
    }
    replace(index);
  }

  // --- A run, seen by the parent ---

  void work() {
    restart_ticks();
    for (std::size_t i = 0; i < workers_.size(); ++i) {
      if (!workers_[i].process) replace(i);
    }
    while (!jobs_.is_complete()) {
      if (!jobs_.is_cancelled() && (stopped() || failure_.happened())) cancel();
      hand_out();
      if (jobs_.is_cancelled() && outstanding() == 0) break;
      wait();
    }
    // A process of its own is over when it has been waited for.
    while (lifetime_ == Lifetime::chunk && live() > 0) wait();
  }

  void cancel() {
    jobs_.cancel();
    for (std::size_t i = 0; i < workers_.size(); ++i) recall(i);
  }

  void recall(std::size_t index) { shared_[index].recall.store(workers_[index].sent, std::memory_order_release); }

  [[nodiscard]] std::size_t outstanding() const {
    std::size_t sum = 0;
    for (const Worker& worker : workers_) sum += worker.jobs.size();
    return sum;
  }
  [[nodiscard]] std::size_t live() const {
    return static_cast<std::size_t>(std::count_if(
        workers_.begin(), workers_.end(), [](const Worker& worker) { return static_cast<bool>(worker.process); }));
  }

  void hand_out() {
    if (jobs_.ready() == 0) return;
    if (lifetime_ == Lifetime::chunk) {
      for (std::size_t i = 0; i < workers_.size() && jobs_.ready() > 0; ++i) {
        if (!workers_[i].process && !start_for_next(i)) return;
      }
      return;
    }
    // First one for each that has none; then some ahead, but not what another could begin at once.
    for (const bool is_first : {true, false}) {
      for (Worker& worker : workers_) {
        const std::uint64_t ready = jobs_.ready();
        if (ready == 0) return;
        if (!worker.socket || (is_first && !worker.jobs.empty())) continue;
        std::uint64_t most = 1;
        if (!is_first) {
          if (worker.jobs.size() * 2 > worker.ahead) continue;
          most = std::min<std::uint64_t>(worker.ahead, ready / std::max<std::size_t>(1, live()));
        }
        if (worker.jobs.size() < most) send(worker, static_cast<std::size_t>(most) - worker.jobs.size());
      }
    }
  }

  void send(Worker& worker, std::size_t count) {
    std::array<Request, kMostAhead> requests;
    if (worker.jobs.empty()) worker.last_answer = Clock::now();
    std::size_t taken = 0;
    for (; taken < count && jobs_.ready() > 0; ++taken) {
      const Job job = jobs_.take();
      requests[taken] = {job.range.first, job.range.size()};
      worker.jobs.push_back(job);
    }
    const std::size_t bytes = taken * sizeof(Request);
    ssize_t sent = 0;
    do {
      sent = ::send(worker.socket.get(), requests.data(), bytes, MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (sent < 0 && errno == EINTR);
    if (sent == static_cast<ssize_t>(bytes)) {
      worker.sent += taken;
      return;
    }
    if (sent > 0) {  // half a request cannot be finished without waiting
      worker.process.kill();
      worker.sent += taken;
      return;
    }
    // It is dying, and its pidfd will say so; or memory is short, and the next tick tries again.
    for (; taken > 0; --taken) {
      jobs_.give_back(worker.jobs.back());
      worker.jobs.pop_back();
    }
  }

  /// Starts a process for the next job. False if that cannot be done now.
  bool start_for_next(std::size_t index) {
    const Job job = jobs_.take();
    try {
      start(index, &job);
    } catch (const Error& error) {
      jobs_.give_back(job);
      could_not_start(error);
      return false;
    }
    has_started();
    workers_[index].jobs.push_back(job);
    workers_[index].sent = 1;
    return true;
  }

  void wait() {
    const bool is_uneven = jobs_.ready() == 0 && !jobs_.is_cancelled() && could_share();
    polled_.clear();
    polled_workers_.clear();
    for (std::size_t i = 0; i < workers_.size(); ++i) {
      if (!workers_[i].process) continue;
      polled_.push_back({workers_[i].socket.get(), POLLIN, 0});
      polled_.push_back({workers_[i].process.pidfd(), POLLIN, 0});
      polled_workers_.push_back(i);
    }
    const int timeout = static_cast<int>((is_uneven ? std::min(kRecallAfter, tick()) : tick()).count());
    const int events = ::poll(polled_.data(), polled_.size(), timeout);
    if (events < 0 && errno != EINTR && errno != ENOMEM && errno != EAGAIN) {
      throw system_error(fmt::format("{}: workers cannot be watched", name_), errno);
    }
    if (events == 0 && is_uneven) share();
    for (std::size_t i = 0; events > 0 && i < polled_workers_.size(); ++i) {
      answer(polled_workers_[i], polled_[2 * i].revents != 0, polled_[2 * i + 1].revents != 0);
    }
    Clock::duration elapsed{};
    if (tick_is_due(elapsed)) look_after(elapsed);
  }

  void answer(std::size_t index, bool has_said, bool has_ended) {
    if (!has_said && !has_ended) return;
    // What it had said before it died counts, so that is read first.
    const bool is_closed = read(index, has_ended);
    if (has_ended) {
      lay_to_rest(index, {});
    } else if (is_closed && lifetime_ != Lifetime::chunk) {
      lay_to_rest(index, ends_by_itself(workers_[index]) ? "" : "closed its socket or talked nonsense, and was killed");
    } else if (is_closed) {
      workers_[index].socket.reset();  // it has said all; now it ends
    }
  }

  /// A process that dies closes its socket a little before it has ended. One that lives on is killed.
  static bool ends_by_itself(const Worker& worker) {
    pollfd waits{worker.process.pidfd(), POLLIN, 0};
    constexpr int kDyingMs = 100;
    int events = 0;
    do {
      events = ::poll(&waits, 1, kDyingMs);
    } while (events < 0 && errno == EINTR);
    if (events > 0) return true;
    worker.process.kill();
    return false;
  }

  /// One has nothing to do while another has more than it runs.
  [[nodiscard]] bool could_share() const {
    bool is_idle = false, has_more = false;
    for (std::size_t i = 0; i < workers_.size(); ++i) {
      if (!workers_[i].process) continue;
      is_idle = is_idle || workers_[i].jobs.empty();
      has_more = has_more || has_surplus(i);
    }
    return is_idle && has_more;
  }
  [[nodiscard]] bool has_surplus(std::size_t index) const {
    return workers_[index].jobs.size() > 1 &&
           shared_[index].recall.load(std::memory_order_relaxed) < workers_[index].sent;
  }
  void share() {
    for (std::size_t i = 0; i < workers_.size(); ++i) {
      if (workers_[i].process && has_surplus(i)) recall(i);
    }
  }

  /// Reads what the worker has answered; all of it if it is dead. True if it will answer no more.
  bool read(std::size_t index, bool is_dead) {
    Worker& worker = workers_[index];
    if (!worker.socket) return false;
    const std::uint64_t before = worker.answered;
    MessageReader::State state = MessageReader::State::more;
    while (state == MessageReader::State::more || (is_dead && state == MessageReader::State::some)) {
      state = worker.reader.read(worker.socket.get());
      MessageReader::Message message;
      while (worker.reader.next(message)) {
        if (!take(index, message)) {
          worker.process.kill();
          return true;
        }
      }
    }
    if (const std::uint64_t answers = worker.answered - before; answers > 0) {
      const Clock::time_point now = Clock::now();
      const auto each_one =
          std::max<std::chrono::nanoseconds>((now - worker.last_answer) / answers, std::chrono::nanoseconds(1));
      worker.ahead = std::clamp(static_cast<std::size_t>(kAhead / each_one), kLeastAhead, kMostAhead);
      worker.last_answer = now;
      idle_deaths_ = 0;
    }
    return state == MessageReader::State::closed;
  }

  /// False if the worker says what nobody asked.
  bool take(std::size_t index, const MessageReader::Message& message) {
    Worker& worker = workers_[index];
    const auto number = static_cast<std::uint16_t>(index);
    if (message.header.kind == MessageHeader::usage) return true;
    if (worker.jobs.empty() || worker.jobs.front().range.first != message.header.first) return false;
    const Job job = worker.jobs.front();
    if (message.header.kind == MessageHeader::results &&
        !is_sound(message.results, message.returned, job.range, number)) {
      return false;
    }
    worker.jobs.pop_front();
    ++worker.answered;
    switch (message.header.kind) {
      case MessageHeader::done:
        jobs_.finish(job.range);
        report_done(job.range, number, *on_chunk_);
        return true;
      case MessageHeader::results:
        jobs_.finish(job.range);
        (*on_chunk_)(message.results, message.returned);
        return true;
      case MessageHeader::refused:
        jobs_.give_back(job);
        // Not called back by us: the worker has seen that the run is to stop.
        if (worker.answered > shared_[index].recall.load(std::memory_order_relaxed)) cancel();
        return true;
      case MessageHeader::broken:
      case MessageHeader::memory:
        fail(message.header.kind, message.returned);
        return true;
      default:
        return false;
    }
  }

  /// Ends who is overdue, tries again to replace who could not be replaced.
  void look_after(Clock::duration elapsed) {
    for (std::size_t i = 0; i < workers_.size(); ++i) {
      Worker& worker = workers_[i];
      if (!worker.process) {
        if (jobs_.ready() > 0) replace(i);
        continue;
      }
      const std::uint64_t running = shared_[i].running.load(std::memory_order_acquire);
      std::uint32_t tasks = worker.jobs.empty() ? 0 : 1;
      if (running > worker.answered && running - worker.answered <= worker.jobs.size()) {
        tasks = worker.jobs[static_cast<std::size_t>(running - worker.answered - 1)].range.size();
      }
      if (lifetime_ == Lifetime::chunk && tasks == 0) tasks = 1;  // it must end as well
      if (!is_overdue(worker.patience, running + (worker.answered << 32U), tasks, elapsed)) continue;
      worker.process.kill();
      read(i, true);
      lay_to_rest(i, fmt::format("made no progress for {} s, and was killed",
                                 std::chrono::duration<double>(options_.task_timeout).count() * tasks));
    }
    look_for_workers(!jobs_.is_cancelled() && live() == 0 && jobs_.ready() > 0, elapsed);
  }

  // --- A worker ---

  void serve(int fd, std::size_t index) const {
    Shared& mine = shared_[index];
    ChunkRunner runner(workload_, static_cast<std::uint16_t>(index), options_.chunk_size);
    MessageWriter answers(fd);
    std::array<Request, kMostAhead> requests;
    std::size_t held = 0;  // bytes
    for (std::uint64_t number = 0;;) {
      const ssize_t got = ::recv(fd, reinterpret_cast<std::byte*>(requests.data()) + held, sizeof requests - held, 0);
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) return;
      held += static_cast<std::size_t>(got);
      const std::size_t count = held / sizeof(Request);
      std::size_t unsaid = 0;
      for (std::size_t i = 0; i < count; ++i) {
        const Request request = requests[i];
        if (request.tasks == 0) {
          mine.usage.fill();
          answers.add(MessageHeader::usage, 0);
          continue;
        }
        ++number;
        if (number <= mine.recall.load(std::memory_order_acquire) || stopped()) {
          answers.add(MessageHeader::refused, request.first);
          continue;
        }
        mine.running.store(number, std::memory_order_release);
        const MessageHeader::Kind kind = runner.run({request.first, request.first + request.tasks});
        answers.add(kind, request.first, runner);
        mine.running.store(0, std::memory_order_release);
        // Half of what was sent together is answered together, so that more comes while the rest is run.
        if (++unsaid * 2 >= count) {
          answers.flush();
          unsaid = 0;
        }
      }
      answers.flush();
      held -= count * sizeof(Request);
      std::memmove(requests.data(), reinterpret_cast<std::byte*>(requests.data()) + count * sizeof(Request), held);
    }
  }

  void run_one(int fd, std::size_t index, TaskRange range) const {
    shared_[index].running.store(1, std::memory_order_release);
    ChunkRunner runner(workload_, static_cast<std::uint16_t>(index), range.size());
    MessageWriter answers(fd);
    answers.add(runner.run(range), range.first, runner);
    answers.flush();
    shared_[index].running.store(0, std::memory_order_release);
  }

  // --- Usage ---

  /// Between runs: lets the worker fill its record. False if it cannot.
  [[nodiscard]] bool ask_usage(std::size_t index) const {
    const Worker& worker = workers_[index];
    const Request request{};
    if (::send(worker.socket.get(), &request, sizeof request, MSG_NOSIGNAL | MSG_DONTWAIT) != sizeof request)
      return false;
    const Clock::time_point deadline = Clock::now() + kUsageDeadline;
    for (MessageReader::Message message; Clock::now() < deadline;) {
      pollfd waits{worker.socket.get(), POLLIN, 0};
      if (::poll(&waits, 1, static_cast<int>(tick().count())) <= 0) continue;
      if (worker.reader.read(worker.socket.get()) == MessageReader::State::closed) return false;
      if (worker.reader.next(message)) return message.header.kind == MessageHeader::usage;
    }
    return false;
  }

  const Lifetime lifetime_;
  SharedMapping memory_;
  std::span<Shared> shared_;
  std::vector<Worker> workers_;
  std::vector<pollfd> polled_;
  std::vector<std::size_t> polled_workers_;
  mutable std::vector<std::uint64_t> peaks_ = std::vector<std::uint64_t>(workers_.size());
  const OnChunk* on_chunk_ = nullptr;
  std::uint64_t idle_deaths_ = 0;
};

}  // namespace

std::unique_ptr<Executor> make_process_pool(std::string_view name, const Workload& workload,
                                            const StrategyOptions& options, Lifetime lifetime) {
  return std::make_unique<ProcessPool>(name, workload, options, lifetime);
}

}  // namespace noisefloor
