// Pieces of tasks on their way to workers and back, through pipes, socket pairs or shared memory.
// SPDX-License-Identifier: MIT
#include "harness/strategies/ship_samples.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <deque>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "harness/base/error.hpp"
#include "harness/base/shared_mapping.hpp"
#include "harness/strategies/process_workers.hpp"

namespace noisefloor {
namespace {

// Two tasks for each worker: it transforms a piece of one while the parent writes and reads for the other.
constexpr std::size_t kLanes = 2;
constexpr std::chrono::seconds kUsageDeadline(10);

/// A piece on its way, followed by its data where they do not lie in shared memory.
struct Parcel {
  enum Kind : std::uint32_t { piece, failed, usage };  ///< failed: the data are a message
  std::uint32_t task = 0;
  std::uint32_t lane = 0;
  Kind kind = piece;
  std::uint32_t unused = 0;
  std::uint64_t bytes = 0;
  Piece state;
};
static_assert(std::is_trivially_copyable_v<Parcel>);

/// Of one worker.
struct alignas(kLineBytes) Shared {
  std::atomic<std::uint32_t> running;  ///< by the worker: the lane whose piece it transforms, plus 1; 0: none
  UsageRecord usage;
};

/// The parent's ends of the ways to a worker and back, which do not block.
struct Ends {
  UniqueFd to, from;
  UniqueFd held;  // the other end of a pipe: while it is open, writing into it raises no SIGPIPE
};

bool read_all(int fd, void* data, std::size_t bytes) {
  auto* at = static_cast<std::byte*>(data);
  while (bytes > 0) {
    const ssize_t got = ::read(fd, at, bytes);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    at += got;
    bytes -= static_cast<std::size_t>(got);
  }
  return true;
}

bool write_all(int fd, const void* data, std::size_t bytes) {
  const auto* at = static_cast<const std::byte*>(data);
  while (bytes > 0) {
    const ssize_t put = ::write(fd, at, bytes);
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return false;
    at += put;
    bytes -= static_cast<std::size_t>(put);
  }
  return true;
}

class SampleShipper final : public ProcessExecutor {
 public:
  SampleShipper(std::string_view name, const Workload& workload, const StrategyOptions& options, const Stages& stages)
      : ProcessExecutor(name, workload, options),
        stages_(stages),
        piece_bytes_(stages.piece_bytes()),
        by_value_(options.transport != Transport::shm && options.transport != Transport::shm_in_place),
        shared_memory_(static_cast<std::size_t>(options.workers) * sizeof(Shared)),
        shared_(shared_memory_.as<Shared>()),
        rooms_(by_value_ ? 0 : static_cast<std::size_t>(options.workers) * kLanes * piece_bytes_),
        workers_(static_cast<std::size_t>(options.workers)),
        peaks_(workers_.size()) {
    for (std::size_t i = 0; i < workers_.size(); ++i) {
      for (std::size_t lane = 0; lane < kLanes; ++lane) {
        Lane& mine = workers_[i].lanes[lane];
        if (options.transport == Transport::shm_in_place) {
          mine.room = shared_room(i, lane);
        } else {
          mine.own_room.resize(piece_bytes_);
          mine.room = mine.own_room;
        }
      }
    }
    if (options.pool != Pool::cold) start_all();
  }

  void run(const OnChunk& on_chunk) override {
    jobs_.start(workload_.task_count(), options_.chunk_size, options_.window);
    if (jobs_.is_complete()) return;
    on_chunk_ = &on_chunk;
    idle_deaths_ = 0;
    try {
      if (options_.pool == Pool::cold) start_all();
      work();
    } catch (...) {
      failure_.capture();
      for (Worker& worker : workers_) {
        for (Lane& lane : worker.lanes) lane.clear();
        end(worker);
      }
    }
    if (options_.pool == Pool::cold) {
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
  /// A chunk that is run for a worker, one task after the other.
  struct Lane {
    std::optional<Job> job;
    std::uint32_t next = 0;            // task
    std::unique_ptr<StagedTask> task;  // of number `next`, where it is open
    std::vector<TaskResult> results;
    std::vector<std::byte> returned;
    std::vector<std::byte> own_room;
    std::span<std::byte> room;  // where the parent has the piece at hand
    Parcel parcel;

    void clear() {
      job.reset();
      task.reset();
      results.clear();
      returned.clear();
    }
  };
  struct Worker {
    ChildProcess process;
    Ends ends;
    std::array<Lane, kLanes> lanes;
    std::deque<std::size_t> to_send, to_come;  // lanes, in order
    std::size_t sent = 0, come = 0;            // bytes of the parcels in front
    Parcel arriving;
    std::uint64_t answered = 0;
    Patience patience;
  };

  [[nodiscard]] std::span<std::byte> shared_room(std::size_t worker, std::size_t lane) const {
    return rooms_.as<std::byte>().subspan((worker * kLanes + lane) * piece_bytes_, piece_bytes_);
  }

  // --- Processes ---

  void start(std::size_t index) {
    Worker& worker = workers_[index];
    shared_[index].running.store(0, std::memory_order_relaxed);
    Ends ours;
    UniqueFd in, out;  // the worker's
    if (options_.transport == Transport::pipe) {
      std::array<int, 2> to{}, from{};
      if (::pipe2(to.data(), O_CLOEXEC) != 0) throw system_error("no pipe can be made", errno);
      in.reset(to[0]);
      ours.to.reset(to[1]);
      if (::pipe2(from.data(), O_CLOEXEC) != 0) throw system_error("no pipe can be made", errno);
      ours.from.reset(from[0]);
      out.reset(from[1]);
      ::fcntl(ours.to.get(), F_SETFL, O_NONBLOCK);
    } else {
      SocketPair pair;
      ours.from = std::move(pair.parent);
      in = std::move(pair.child);
    }
    ::fcntl(ours.from.get(), F_SETFL, O_NONBLOCK);
    const std::array keep = {in.get(), out ? out.get() : in.get()};
    worker.process = ChildProcess(keep, [&] {
      binding_.tie(index);
      serve(keep[0], keep[1], index);
    });
    if (ours.to) ours.held = std::move(in);
    worker.ends = std::move(ours);
    worker.to_send.clear();
    worker.to_come.clear();
    worker.sent = worker.come = 0;
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

  void end(Worker& worker) {
    if (!worker.process) return;
    worker.process.kill();
    bury(static_cast<std::size_t>(&worker - workers_.data()), worker.process.reap());
    worker.ends = {};
  }

  void replace(std::size_t index) {
    if (jobs_.is_cancelled()) return;
    try {
      start(index);
      has_started();
    } catch (const Error& error) {
      could_not_start(error);
    }
  }

  /// What its lanes have completed is delivered; the task at hand is opened again elsewhere, and what follows it run
  /// there.
  void lay_to_rest(std::size_t index, std::string how) {
    Worker& worker = workers_[index];
    const pid_t pid = worker.process.pid();
    const Ending ending = worker.process.reap();
    bury(index, ending);
    worker.ends = {};
    if (how.empty()) how = ending.how;
    const std::uint32_t running = shared_[index].running.load(std::memory_order_acquire);
    std::string at_what = "when it ran nothing";
    std::size_t again = 0;
    bool has_begun = false;
    for (std::size_t i = 0; i < kLanes; ++i) {
      Lane& lane = worker.lanes[i];
      if (!lane.job) continue;
      Job job = *lane.job;
      const std::uint32_t task = lane.next;
      lane.task.reset();
      deliver_lane(lane, index);
      const Job rest{{task + 1, job.range.last}, job.range.size() == 1 ? job.deaths : 0};
      if (rest.range.size() > 0) jobs_.give_back(rest);
      again += job.range.last - task;
      const Job this_one{{task, task + 1}, job.deaths};
      lane.clear();
      if (running != i + 1) {
        jobs_.give_back(this_one);
        continue;
      }
      has_begun = true;
      at_what = fmt::format("running task {}", task);
      if (jobs_.blame(this_one)) continue;
      at_what += ", which is given up";
      --again;
      jobs_.finish(this_one.range);
      report_given_up(this_one, static_cast<std::uint16_t>(index), how, *on_chunk_);
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
      if (!jobs_.is_cancelled() && (stopped() || failure_.happened())) jobs_.cancel();
      hand_out();
      if (jobs_.is_complete() || (jobs_.is_cancelled() && !is_any_busy())) break;
      wait();
    }
  }

  [[nodiscard]] bool is_any_busy() const {
    return std::any_of(workers_.begin(), workers_.end(), [](const Worker& worker) {
      return std::any_of(worker.lanes.begin(), worker.lanes.end(),
                         [](const Lane& lane) { return lane.job.has_value(); });
    });
  }

  /// One chunk for every worker, then a second one for those that others could not begin at once.
  void hand_out() {
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      for (std::size_t i = 0; i < workers_.size(); ++i) {
        Worker& worker = workers_[i];
        // A chunk may be over before a piece of it was sent: all its tasks failed, or had none.
        while (worker.process && !worker.lanes[lane].job && jobs_.ready() > 0) {
          worker.lanes[lane].job = jobs_.take();
          worker.lanes[lane].next = worker.lanes[lane].job->range.first;
          advance(i, lane);
        }
      }
    }
  }

  void keep_failure(Lane& lane, std::exception_ptr error) {
    TaskResult result;
    attempt(lane.next, result, lane.returned,
            [&](std::uint32_t, std::vector<std::byte>&) { std::rethrow_exception(error); });
    close_task(lane, result);
  }

  static void close_task(Lane& lane, const TaskResult& result) {
    lane.task.reset();
    lane.results.push_back(result);
    ++lane.next;
  }

  void deliver_lane(Lane& lane, std::size_t worker) {
    if (lane.results.empty()) return;
    for (TaskResult& result : lane.results) result.worker = static_cast<std::uint16_t>(worker);
    const std::uint32_t first = lane.results.front().task;
    jobs_.finish({first, first + static_cast<std::uint32_t>(lane.results.size())});
    (*on_chunk_)(lane.results, lane.returned);
    lane.results.clear();
    lane.returned.clear();
  }

  /// Until the next piece is on its way, or the chunk is over.
  void advance(std::size_t index, std::size_t lane_number) {
    Worker& worker = workers_[index];
    Lane& lane = worker.lanes[lane_number];
    while (lane.next < lane.job->range.last) {
      try {
        if (!lane.task) {
          lane.parcel.state = {};
          lane.task = stages_.open(lane.next);
        }
        const std::size_t bytes = lane.task->extract(lane.room.first(piece_bytes_), lane.parcel.state);
        if (bytes > 0) {
          lane.parcel.task = lane.next;
          lane.parcel.lane = static_cast<std::uint32_t>(lane_number);
          lane.parcel.kind = Parcel::piece;
          lane.parcel.bytes = bytes;
          if (options_.transport == Transport::shm) {
            std::memcpy(shared_room(index, lane_number).data(), lane.room.data(), bytes);
          }
          worker.to_send.push_back(lane_number);
          worker.to_come.push_back(lane_number);
          send(worker);
          return;
        }
        TaskResult result;
        attempt(lane.next, result, lane.returned,
                [&](std::uint32_t, std::vector<std::byte>& returned) { lane.task->finish(returned); });
        close_task(lane, result);
      } catch (...) {
        keep_failure(lane, std::current_exception());
      }
    }
    deliver_lane(lane, index);
    lane.clear();
  }

  /// Bytes at `offset` of a parcel with its data, as far as they lie in one piece.
  static std::span<std::byte> part_of(Parcel& parcel, std::span<std::byte> data, std::size_t offset) {
    const std::span<std::byte> head = std::as_writable_bytes(std::span(&parcel, 1));
    return offset < head.size() ? head.subspan(offset) : data.subspan(offset - head.size());
  }
  [[nodiscard]] std::size_t size_of(const Parcel& parcel) const {
    return sizeof(Parcel) + (by_value_ || parcel.kind == Parcel::failed ? static_cast<std::size_t>(parcel.bytes) : 0);
  }

  /// As much as goes without waiting. A worker that is gone is noticed by its pidfd.
  void send(Worker& worker) {
    const bool is_pipe = static_cast<bool>(worker.ends.to);
    while (!worker.to_send.empty()) {
      Lane& lane = worker.lanes[worker.to_send.front()];
      const std::size_t total = size_of(lane.parcel);
      const std::span<const std::byte> part =
          part_of(lane.parcel, lane.room.first(static_cast<std::size_t>(lane.parcel.bytes)), worker.sent);
      const ssize_t put = is_pipe
                              ? ::write(worker.ends.to.get(), part.data(), std::min(part.size(), total - worker.sent))
                              : ::send(worker.ends.from.get(), part.data(), std::min(part.size(), total - worker.sent),
                                       MSG_NOSIGNAL | MSG_DONTWAIT);
      if (put < 0 && errno == EINTR) continue;
      if (put <= 0) return;
      worker.sent += static_cast<std::size_t>(put);
      if (worker.sent < total) continue;
      worker.to_send.pop_front();
      worker.sent = 0;
    }
  }

  /// What has come back. False if no more will.
  bool receive(std::size_t index) {
    Worker& worker = workers_[index];
    for (;;) {
      const bool is_head = worker.come < sizeof(Parcel);
      std::span<std::byte> part;
      if (is_head) {
        part = std::as_writable_bytes(std::span(&worker.arriving, 1)).subspan(worker.come);
      } else {
        part = worker.lanes[worker.arriving.lane]
                   .room.first(static_cast<std::size_t>(worker.arriving.bytes))
                   .subspan(worker.come - sizeof(Parcel));
      }
      const ssize_t got = ::read(worker.ends.from.get(), part.data(), part.size());
      if (got < 0 && errno == EINTR) continue;
      if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return true;
      if (got <= 0) return false;
      worker.come += static_cast<std::size_t>(got);
      if (worker.come == sizeof(Parcel) && !is_expected(worker)) return false;
      if (worker.come < sizeof(Parcel) || worker.come < size_of(worker.arriving)) continue;
      worker.come = 0;
      ++worker.answered;
      idle_deaths_ = 0;
      const std::size_t lane = worker.to_come.front();
      worker.to_come.pop_front();
      take(index, lane);
    }
  }

  [[nodiscard]] bool is_expected(const Worker& worker) const {
    return !worker.to_come.empty() && worker.arriving.lane == worker.to_come.front() &&
           worker.arriving.bytes <= piece_bytes_ && worker.arriving.kind != Parcel::usage &&
           worker.arriving.task == worker.lanes[worker.to_come.front()].parcel.task;
  }

  void take(std::size_t index, std::size_t lane_number) {
    Worker& worker = workers_[index];
    Lane& lane = worker.lanes[lane_number];
    lane.parcel.state = worker.arriving.state;
    const auto bytes = static_cast<std::size_t>(worker.arriving.bytes);
    try {
      if (worker.arriving.kind == Parcel::failed) {
        throw std::runtime_error(std::string(reinterpret_cast<const char*>(lane.room.data()), bytes));
      }
      if (options_.transport == Transport::shm) {
        std::memcpy(lane.room.data(), shared_room(index, lane_number).data(), bytes);
      }
      lane.task->load(lane.room.first(bytes), lane.parcel.state);
    } catch (...) {
      keep_failure(lane, std::current_exception());
    }
    advance(index, lane_number);
  }

  void wait() {
    polled_.clear();
    polled_workers_.clear();
    for (std::size_t i = 0; i < workers_.size(); ++i) {
      const Worker& worker = workers_[i];
      if (!worker.process) continue;
      const bool is_pipe = static_cast<bool>(worker.ends.to);
      const short writes = worker.to_send.empty() ? short{0} : short{POLLOUT};
      polled_.push_back({worker.process.pidfd(), POLLIN, 0});
      polled_.push_back({worker.ends.from.get(), static_cast<short>(is_pipe ? POLLIN : POLLIN | writes), 0});
      polled_.push_back({is_pipe && writes != 0 ? worker.ends.to.get() : -1, writes, 0});
      polled_workers_.push_back(i);
    }
    const int events = ::poll(polled_.data(), polled_.size(), static_cast<int>(tick().count()));
    if (events < 0 && errno != EINTR && errno != ENOMEM && errno != EAGAIN) {
      throw system_error(fmt::format("{}: workers cannot be watched", name_), errno);
    }
    for (std::size_t i = 0; events > 0 && i < polled_workers_.size(); ++i) {
      const std::size_t index = polled_workers_[i];
      const pollfd* const polled = &polled_[3 * i];
      if (((polled[1].revents | polled[2].revents) & POLLOUT) != 0) send(workers_[index]);
      const bool is_open = (polled[1].revents & ~POLLOUT) == 0 && polled[0].revents == 0 ? true : receive(index);
      if (polled[0].revents != 0) {
        lay_to_rest(index, {});
      } else if (!is_open) {
        pollfd ended{workers_[index].process.pidfd(), POLLIN, 0};
        constexpr int kDyingMs = 100;  // it closes its ends a little before it has ended
        const bool ends_by_itself = ::poll(&ended, 1, kDyingMs) > 0;
        workers_[index].process.kill();
        lay_to_rest(index, ends_by_itself ? "" : "closed its socket or talked nonsense, and was killed");
      }
    }
    Clock::duration elapsed{};
    if (tick_is_due(elapsed)) look_after(elapsed);
  }

  void look_after(Clock::duration elapsed) {
    std::size_t live = 0;
    for (std::size_t i = 0; i < workers_.size(); ++i) {
      Worker& worker = workers_[i];
      if (!worker.process) replace(i);
      if (!worker.process) continue;
      ++live;
      const std::uint64_t progress = worker.answered + (static_cast<std::uint64_t>(worker.sent + worker.come) << 32U);
      if (!is_overdue(worker.patience, progress, worker.to_come.empty() ? 0 : 1, elapsed)) continue;
      worker.process.kill();
      lay_to_rest(i, fmt::format("made no progress for {} s, and was killed",
                                 std::chrono::duration<double>(options_.task_timeout).count()));
    }
    look_for_workers(live == 0 && !jobs_.is_cancelled(), elapsed);
  }

  // --- A worker ---

  void serve(int in, int out, std::size_t index) const {
    Shared& mine = shared_[index];
    std::vector<std::byte> buffer(options_.transport == Transport::shm_in_place ? 0 : piece_bytes_);
    Parcel parcel;
    while (read_all(in, &parcel, sizeof parcel)) {
      if (parcel.kind == Parcel::usage) {
        mine.usage.fill();
        if (!write_all(out, &parcel, sizeof parcel)) return;
        continue;
      }
      const auto bytes = static_cast<std::size_t>(parcel.bytes);
      std::span<std::byte> data;
      if (by_value_) {
        data = std::span(buffer).first(bytes);
        if (!read_all(in, data.data(), bytes)) return;
      } else {
        data = shared_room(index, parcel.lane).first(bytes);
        if (options_.transport == Transport::shm) {
          std::memcpy(buffer.data(), data.data(), bytes);
          data = std::span(buffer).first(bytes);
        }
      }
      std::string message;
      mine.running.store(parcel.lane + 1, std::memory_order_release);
      try {
        stages_.transform(parcel.task, data, parcel.state);
      } catch (const std::exception& error) {
        parcel.kind = Parcel::failed;
        message = std::string(error.what()).substr(0, piece_bytes_);
      } catch (...) {
        parcel.kind = Parcel::failed;
        message = std::string("unknown exception").substr(0, piece_bytes_);
      }
      mine.running.store(0, std::memory_order_release);
      if (parcel.kind == Parcel::failed) {
        parcel.bytes = message.size();
        if (!write_all(out, &parcel, sizeof parcel) || !write_all(out, message.data(), message.size())) return;
        continue;
      }
      if (options_.transport == Transport::shm) {
        std::memcpy(shared_room(index, parcel.lane).data(), data.data(), bytes);
      }
      if (!write_all(out, &parcel, sizeof parcel)) return;
      if (by_value_ && !write_all(out, data.data(), bytes)) return;
    }
  }

  // --- Usage ---

  /// Between runs: lets the worker fill its record. False if it cannot.
  [[nodiscard]] bool ask_usage(std::size_t index) const {
    const Worker& worker = workers_[index];
    Parcel parcel;
    parcel.kind = Parcel::usage;
    const ssize_t put = worker.ends.to
                            ? ::write(worker.ends.to.get(), &parcel, sizeof parcel)
                            : ::send(worker.ends.from.get(), &parcel, sizeof parcel, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (put != sizeof parcel) return false;
    const Clock::time_point deadline = Clock::now() + kUsageDeadline;
    std::size_t come = 0;
    while (come < sizeof parcel && Clock::now() < deadline) {
      std::array<pollfd, 2> waits = {pollfd{worker.ends.from.get(), POLLIN, 0},
                                     pollfd{worker.process.pidfd(), POLLIN, 0}};
      if (::poll(waits.data(), waits.size(), static_cast<int>(tick().count())) <= 0) continue;
      const ssize_t got =
          ::read(worker.ends.from.get(), reinterpret_cast<std::byte*>(&parcel) + come, sizeof parcel - come);
      if (got > 0) come += static_cast<std::size_t>(got);
      if (got == 0 || waits[1].revents != 0) return false;
    }
    return come == sizeof parcel;
  }

  const Stages& stages_;
  const std::size_t piece_bytes_;
  const bool by_value_;
  SharedMapping shared_memory_;
  std::span<Shared> shared_;
  SharedMapping rooms_;
  std::vector<Worker> workers_;
  mutable std::vector<std::uint64_t> peaks_;
  std::vector<pollfd> polled_;
  std::vector<std::size_t> polled_workers_;
  const OnChunk* on_chunk_ = nullptr;
  std::uint64_t idle_deaths_ = 0;
};

}  // namespace

std::unique_ptr<Executor> make_sample_shipper(std::string_view name, const Workload& workload,
                                              const StrategyOptions& options) {
  const Stages* const stages = workload.stages();
  if (stages == nullptr) {
    throw UsageError(fmt::format(
        "{} with ship samples needs tasks whose stages can be run apart, as etl has: this workload has none; "
        "leave ship and transport out",
        name));
  }
  return std::make_unique<SampleShipper>(name, workload, options, *stages);
}

}  // namespace noisefloor
