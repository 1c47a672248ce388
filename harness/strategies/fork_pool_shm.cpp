// Workers take chunks from a cursor in shared memory, and answer in a ring each; the parent reads rings and watches.
// SPDX-License-Identifier: MIT
#include "harness/strategies/fork_pool_shm.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "harness/base/error.hpp"
#include "harness/base/limits.hpp"
#include "harness/base/shared_mapping.hpp"
#include "harness/strategies/process_workers.hpp"
#include "harness/strategies/shared_ring.hpp"

namespace noisefloor {
namespace {

constexpr std::string_view kName = "fork_pool_shm";

// How a parent sleeps. One that answers come to in quick succession lets them gather.
enum Sleep : std::uint32_t { kAwake, kUntilAnyAnswer, kUntilManyAnswers };
constexpr std::uint64_t kManyBytes = SharedRing::kBytes / 8;
constexpr std::chrono::microseconds kQuick(20);      // answers come more often than this
constexpr std::chrono::milliseconds kLongestNap(1);  // while answers may be gathering
constexpr std::chrono::microseconds kSpin(50);       // with a CPU to spare
constexpr std::chrono::microseconds kGather(2);      // between two looks into the rings
constexpr std::chrono::milliseconds kLookAgain(100);
constexpr std::chrono::seconds kUsageDeadline(10);
constexpr std::size_t kMostAgain = 1024;

/// Jobs are numbered through all runs and never twice, so that a worker that slept through a run cannot take from the
/// next what it saw in the last. There are two lanes: the chunks, and what is run again.
struct Control {
  alignas(kLineBytes) std::atomic<std::uint64_t> cursor;  ///< by workers: the next chunk
  alignas(kLineBytes) std::atomic<std::uint64_t> limit;   ///< by the parent: chunks below it may be taken
  std::atomic<std::uint64_t> base;                        ///< the number of this run's first chunk
  std::atomic<std::uint64_t> again_cursor, again_limit;
  std::atomic<std::uint64_t> again_base;
  alignas(kLineBytes) std::atomic<std::uint32_t> sleep;  ///< how the parent sleeps: Sleep
  std::atomic<std::uint32_t> epoch;                      ///< changes when idle workers should look again
  std::atomic<std::uint32_t> usage_asked;                ///< counts requests
  std::atomic<std::uint32_t> stop_seen;                  ///< by workers: the run is to stop
  alignas(kLineBytes) std::array<TaskRange, kMostAgain> again;
};

/// Of one worker.
struct Shared {
  /// By the worker: the job that it is about to take, takes or runs, as intent_of(); 0: none. It is written before the
  /// job is taken, so whoever dies with a job in hand has said so.
  alignas(kLineBytes) std::atomic<std::uint64_t> intent;
  std::atomic<std::uint32_t> is_idle;      ///< by the worker: it sleeps on Control::epoch
  std::atomic<std::uint32_t> usage_given;  ///< by the worker: the request that `usage` answers
  UsageRecord usage;
  SharedRing ring;
};

struct Taken {
  std::uint64_t number = 0;
  bool is_again = false;
};
constexpr std::uint64_t intent_of(Taken job) noexcept { return ((job.number + 1) << 1U) | (job.is_again ? 1U : 0U); }
constexpr Taken job_of(std::uint64_t intent) noexcept { return {(intent >> 1U) - 1, (intent & 1U) != 0}; }

void relax() noexcept {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#else
  std::atomic_signal_fence(std::memory_order_seq_cst);
#endif
}

class SharedPool final : public ProcessExecutor {
 public:
  SharedPool(const Workload& workload, const StrategyOptions& options)
      : ProcessExecutor(kName, workload, options),
        is_cold_(options.pool == Pool::cold),
        may_spin_(available_workers() > options.workers),
        control_memory_(sizeof(Control)),
        shared_memory_(static_cast<std::size_t>(options.workers) * sizeof(Shared)),
        control_(control_memory_.as<Control>()[0]),
        shared_(shared_memory_.as<Shared>()),
        bell_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)),
        workers_(static_cast<std::size_t>(options.workers)),
        peaks_(workers_.size()) {
    if (!bell_) throw system_error(fmt::format("{}: no event descriptor can be made", kName), errno);
    if (!is_cold_) start_all();
  }

  void run(const OnChunk& on_chunk) override {
    jobs_.start(workload_.task_count(), options_.chunk_size, options_.window);
    if (jobs_.is_complete()) return;
    on_chunk_ = &on_chunk;
    begin();
    try {
      if (is_cold_) start_all();
      work();
    } catch (...) {
      failure_.capture();
      close_lanes();
      for (Worker& worker : workers_) end(worker);
    }
    if (is_cold_) {
      for (Worker& worker : workers_) end(worker);
    }
    failure_.rethrow();
  }

  [[nodiscard]] WorkerUsage worker_usage() const override {
    ask_usage();
    WorkerUsage total{ended_usage()};
    for (std::size_t i = 0; i < workers_.size(); ++i) {
      std::uint64_t peak = std::max(ended_peak(i), peaks_[i]);
      if (workers_[i].process) {
        const UsageRecord& record = shared_[i].usage;
        if (!has_given_usage(i) || record.peak_rss_bytes == 0) total.peak_rss_bytes.reset();
        if (has_given_usage(i)) {
          total.usage += record.usage;
          peak = peaks_[i] = std::max(peak, record.peak_rss_bytes);
        }
      }
      if (total.peak_rss_bytes) *total.peak_rss_bytes += peak;
    }
    return total;
  }

  void reset_worker_peaks() override {
    reset_peaks();
    ask_usage();
    std::fill(peaks_.begin(), peaks_.end(), 0);
  }

 private:
  struct Worker {
    ChildProcess process;
    RingReader reader;
    Patience patience;
  };
  /// A job that the dead may have had in hand.
  struct Suspect {
    Taken job;
    std::string who, how;
    std::uint16_t worker;
  };
  struct Again {
    Job job;
    bool is_resolved = false;
  };

  // --- Processes ---

  void start(std::size_t index) {
    Shared& mine = shared_[index];
    workers_[index].reader.clear(mine.ring);
    mine.intent.store(0, std::memory_order_relaxed);
    mine.is_idle.store(0, std::memory_order_relaxed);
    mine.usage_given.store(control_.usage_asked.load(std::memory_order_relaxed), std::memory_order_relaxed);
    workers_[index].patience = {};
    const int bell = bell_.get();
    workers_[index].process = ChildProcess({&bell, 1}, [&] {
      binding_.tie(index);
      serve(index);
    });
  }

  void start_all() {
    for (std::size_t i = 0; i < workers_.size(); ++i) {
      if (workers_[i].process) continue;
      try {
        start(i);
      } catch (const Error& error) {
        for (Worker& worker : workers_) end(worker);
        throw Error(fmt::format("{}: worker {} of {} cannot be started: {}; give fewer workers, or raise the limit",
                                kName, i + 1, workers_.size(), error.what()));
      }
    }
  }

  void end(Worker& worker) {
    if (!worker.process) return;
    worker.process.kill();
    bury(static_cast<std::size_t>(&worker - workers_.data()), worker.process.reap());
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

  /// The worker is dead: it is replaced, and what it may have had in hand is looked into.
  void lay_to_rest(std::size_t index, std::string how) {
    Worker& worker = workers_[index];
    const std::string who = fmt::format("worker {} (process {})", index, worker.process.pid());
    const Ending ending = worker.process.reap();
    bury(index, ending);
    if (how.empty()) how = ending.how;
    drain(index);
    const std::uint64_t intent = shared_[index].intent.load(std::memory_order_acquire);
    if (intent == 0 || !is_taken(job_of(intent)) || is_resolved(job_of(intent))) {
      tell_death(who, how, "when it ran nothing", 0);
      if (++idle_deaths_ > 10 + 3 * workers_.size()) {
        throw Error(fmt::format("{}: {} workers died one after the other before they had begun a task; the last one {}",
                                kName, idle_deaths_, how));
      }
    } else {
      suspects_.push_back({job_of(intent), who, how, static_cast<std::uint16_t>(index)});
    }
    replace(index);
    settle();
  }

  void tell_death(const std::string& who, const std::string& how, std::string_view at_what, std::size_t again) const {
    note(fmt::format("{}: {} {} {}; unanswered tasks to be run again: {}", kName, who, how, at_what, again));
  }

  /// A job that was taken, is not answered, and is in no living worker's hand, was in a dead one's.
  void settle() {
    for (std::size_t i = 0; i < suspects_.size();) {
      const Suspect suspect = suspects_[i];
      // First who may have it, then what they have answered: whoever finishes in between is not missed.
      const bool may_be_alive = std::any_of(workers_.begin(), workers_.end(), [&](const Worker& worker) {
        const auto index = static_cast<std::size_t>(&worker - workers_.data());
        return worker.process && shared_[index].intent.load(std::memory_order_acquire) == intent_of(suspect.job);
      });
      for (std::size_t other = 0; other < workers_.size(); ++other) {
        if (workers_[other].process) drain(other);
      }
      if (may_be_alive && !is_resolved(suspect.job)) {
        ++i;
        continue;
      }
      suspects_.erase(suspects_.begin() + static_cast<std::ptrdiff_t>(i));
      if (is_resolved(suspect.job)) {
        tell_death(suspect.who, suspect.how, "when it ran nothing", 0);
        continue;
      }
      convict(suspect);
    }
  }

  void convict(const Suspect& suspect) {
    const Job job = resolve(suspect.job);
    idle_deaths_ = 0;
    std::string at_what = job.range.size() == 1
                              ? fmt::format("running task {}", job.range.first)
                              : fmt::format("running tasks {} to {}", job.range.first, job.range.last - 1);
    if (jobs_.blame(job)) {
      tell_death(suspect.who, suspect.how, at_what, job.range.size());
      return;
    }
    jobs_.finish(job.range);
    report_given_up(job, suspect.worker, suspect.how, *on_chunk_);
    tell_death(suspect.who, suspect.how, at_what + ", which is given up", 0);
  }

  // --- A run, seen by the parent ---

  /// Nothing is taken yet.
  void begin() {
    base_ = control_.cursor.load(std::memory_order_relaxed);
    again_base_ = control_.again_cursor.load(std::memory_order_relaxed);
    resolved_.assign(static_cast<std::size_t>((jobs_.chunks().count() + 63) / 64), 0);
    resolved_chunks_ = taken_chunks_ = 0;
    again_.clear();
    again_resolved_ = again_taken_ = again_oldest_ = 0;
    suspects_.clear();
    idle_deaths_ = 0;
    control_.stop_seen.store(0, std::memory_order_relaxed);
    control_.base.store(base_, std::memory_order_relaxed);
    control_.again_base.store(again_base_, std::memory_order_relaxed);
    control_.again_limit.store(again_base_, std::memory_order_relaxed);
    control_.limit.store(base_, std::memory_order_relaxed);
  }

  /// No further job can be taken: the cursors jump to the lanes' ends, and tell how many were.
  void close_lanes() noexcept {
    const std::uint64_t count = jobs_.chunks().count();
    taken_chunks_ = control_.cursor.exchange(base_ + count) - base_;
    again_taken_ = control_.again_cursor.exchange(again_base_ + again_.size()) - again_base_;
    jobs_.cancel();
  }

  void work() {
    restart_ticks();
    for (std::size_t i = 0; i < workers_.size(); ++i) {
      if (!workers_[i].process) replace(i);
    }
    Clock::time_point last_news = Clock::now(), last_look = last_news;
    std::uint64_t read_since = 0;
    while (!jobs_.is_complete()) {
      if (!jobs_.is_cancelled() &&
          (stopped() || failure_.happened() || control_.stop_seen.load(std::memory_order_relaxed) != 0)) {
        close_lanes();
      }
      if (jobs_.is_cancelled() && resolved_chunks_ == taken_chunks_ && again_resolved_ == again_taken_) break;
      open_lanes();
      const std::uint64_t read = drain_all();
      if (!suspects_.empty()) settle();
      const Clock::time_point now = Clock::now();
      read_since += read;
      if (read > 0) last_news = now;
      if (read > 0 || (may_spin_ && now - last_news < kSpin)) {
        // Looking takes the line away from who writes it: so, not all the time.
        while (read < kManyBytes && Clock::now() - now < kGather) relax();
        if (now - last_look < kLongestNap) continue;
        watch(std::chrono::milliseconds(0));
      } else {
        const bool is_quick = read_since / sizeof(MessageHeader) * kQuick > now - last_look;
        nap(is_quick ? kUntilManyAnswers : kUntilAnyAnswer);
      }
      last_look = Clock::now();
      read_since = 0;
    }
    // Deaths that cost nothing are still told.
    for (const Suspect& suspect : suspects_) tell_death(suspect.who, suspect.how, "when it ran nothing", 0);
    // The next run begins after this one's numbers. All have been taken: nobody can change the cursors.
  }

  /// Lets workers take what they may, and wakes those that sleep.
  void open_lanes() {
    bool is_more = false;
    if (!jobs_.is_cancelled()) {
      const std::uint64_t limit = base_ + jobs_.limit();
      if (limit != control_.limit.load(std::memory_order_relaxed)) {
        control_.limit.store(limit, std::memory_order_release);
        is_more = true;
      }
      while (jobs_.has_again() && again_.size() - again_oldest_ < kMostAgain) {
        const Job job = jobs_.take_again();
        control_.again[static_cast<std::size_t>(again_base_ + again_.size()) % kMostAgain] = job.range;
        again_.push_back({job});
        control_.again_limit.store(again_base_ + again_.size(), std::memory_order_release);
        is_more = true;
      }
    }
    if (is_more) wake_workers();
  }

  void wake_workers() const {
    control_.epoch.fetch_add(1, std::memory_order_seq_cst);
    std::atomic_thread_fence(
        std::memory_order_seq_cst);  // against workers, who say that they are idle, then look again
    for (std::size_t i = 0; i < workers_.size(); ++i) {
      if (shared_[i].is_idle.load(std::memory_order_relaxed) == 0) continue;
      wake_all(control_.epoch);
      return;
    }
  }

  [[nodiscard]] bool is_taken(Taken job) const {
    return job.number < (job.is_again ? control_.again_cursor : control_.cursor).load(std::memory_order_acquire);
  }
  [[nodiscard]] bool is_resolved(Taken job) const {
    if (job.is_again) return job.number < again_base_ || again_[job.number - again_base_].is_resolved;
    if (job.number < base_) return true;  // of an earlier run
    const auto chunk = static_cast<std::size_t>(job.number - base_);
    return (resolved_[chunk / 64] >> (chunk % 64) & 1U) != 0;
  }
  /// The job is answered, or lost with its worker. Returns it.
  Job resolve(Taken job) {
    if (job.is_again) {
      Again& again = again_[job.number - again_base_];
      again.is_resolved = true;
      ++again_resolved_;
      while (again_oldest_ < again_.size() && again_[again_oldest_].is_resolved) ++again_oldest_;
      return again.job;
    }
    const auto chunk = static_cast<std::size_t>(job.number - base_);
    resolved_[chunk / 64] |= std::uint64_t{1} << (chunk % 64);
    ++resolved_chunks_;
    return {jobs_.chunks()[chunk], 0};
  }

  std::uint64_t drain_all() {
    std::uint64_t read = 0;
    for (std::size_t i = 0; i < workers_.size(); ++i) read += drain(i);
    if (read > 0) idle_deaths_ = 0;
    return read;
  }

  std::uint64_t drain(std::size_t index) {
    if (!RingReader::has_news(shared_[index].ring)) return 0;
    return workers_[index].reader.read(shared_[index].ring,
                                       [&](const RingReader::Message& message) { take(index, message); });
  }

  /// Throws Error for what no worker says; that ends the run, for nothing in the ring can then be trusted.
  void take(std::size_t index, const RingReader::Message& message) {
    const bool is_again = (message.header.kind & MessageHeader::kAgain) != 0;
    const std::uint64_t number = message.header.first;
    const bool is_ours = is_again ? number < again_.size() : number < jobs_.chunks().count();
    const Taken taken{(is_again ? again_base_ : base_) + number, is_again};
    if (!is_ours || is_resolved(taken)) refuse_nonsense(index);
    const Job job = resolve(taken);
    const auto worker = static_cast<std::uint16_t>(index);
    switch (const auto kind = message.header.kind & MessageHeader::kKindMask) {
      case MessageHeader::done:
        jobs_.finish(job.range);
        report_done(job.range, worker, *on_chunk_);
        return;
      case MessageHeader::results:
        if (!is_sound(message.results, message.returned, job.range, worker)) refuse_nonsense(index);
        jobs_.finish(job.range);
        (*on_chunk_)(message.results, message.returned);
        return;
      case MessageHeader::broken:
      case MessageHeader::memory:
        fail(static_cast<MessageHeader::Kind>(kind), message.returned);
        return;
      default:
        refuse_nonsense(index);
    }
  }

  [[noreturn]] static void refuse_nonsense(std::size_t index) {
    throw Error(fmt::format("{}: worker {} wrote nonsense into its ring: a task overwrites memory that is not its own",
                            kName, index));
  }

  /// Sleeps until there is something to do, or the next tick.
  void nap(Sleep how) {
    control_.sleep.store(how, std::memory_order_seq_cst);
    std::atomic_thread_fence(std::memory_order_seq_cst);  // against workers, who answer, then look whether we sleep
    bool has_news = control_.stop_seen.load(std::memory_order_relaxed) != 0;
    for (const Shared& shared : shared_) {
      if (!RingReader::has_news(shared.ring)) continue;
      has_news = has_news || how == kUntilAnyAnswer || shared.is_idle.load(std::memory_order_relaxed) != 0 ||
                 shared.ring.head.load(std::memory_order_relaxed) - shared.ring.tail.load(std::memory_order_relaxed) >=
                     kManyBytes;
    }
    if (!has_news) watch(how == kUntilAnyAnswer ? tick() : std::min(tick(), kLongestNap));
    control_.sleep.store(kAwake, std::memory_order_relaxed);
  }

  void watch(std::chrono::milliseconds timeout) {
    polled_.assign(1, {bell_.get(), POLLIN, 0});
    polled_workers_.clear();
    for (std::size_t i = 0; i < workers_.size(); ++i) {
      if (!workers_[i].process) continue;
      polled_.push_back({workers_[i].process.pidfd(), POLLIN, 0});
      polled_workers_.push_back(i);
    }
    const int events = ::poll(polled_.data(), polled_.size(), static_cast<int>(timeout.count()));
    if (events < 0 && errno != EINTR && errno != ENOMEM && errno != EAGAIN) {
      throw system_error(fmt::format("{}: workers cannot be watched", kName), errno);
    }
    if (events > 0 && polled_[0].revents != 0) silence_bell();
    for (std::size_t i = 0; events > 0 && i < polled_workers_.size(); ++i) {
      if (polled_[i + 1].revents != 0) lay_to_rest(polled_workers_[i], {});
    }
    Clock::duration elapsed{};
    if (tick_is_due(elapsed)) look_after(elapsed);
  }

  void silence_bell() const {
    std::uint64_t rings = 0;
    while (::read(bell_.get(), &rings, sizeof rings) < 0 && errno == EINTR) {
    }
  }

  void look_after(Clock::duration elapsed) {
    std::size_t live = 0;
    const bool is_work =
        control_.cursor.load(std::memory_order_relaxed) < control_.limit.load(std::memory_order_relaxed) ||
        control_.again_cursor.load(std::memory_order_relaxed) < control_.again_limit.load(std::memory_order_relaxed);
    for (std::size_t i = 0; i < workers_.size(); ++i) {
      Worker& worker = workers_[i];
      if (!worker.process) replace(i);
      if (!worker.process) continue;
      ++live;
      const std::uint64_t intent = shared_[i].intent.load(std::memory_order_acquire);
      std::uint32_t tasks = is_work ? 1 : 0;
      if (intent != 0 && !is_resolved(job_of(intent))) tasks = range_of(job_of(intent)).size();
      // A ring that fills slowly is progress too.
      const std::uint64_t progress = intent * 31 + shared_[i].ring.head.load(std::memory_order_relaxed);
      if (!is_overdue(worker.patience, progress, tasks, elapsed)) continue;
      worker.process.kill();
      lay_to_rest(i, fmt::format("made no progress for {} s, and was killed",
                                 std::chrono::duration<double>(options_.task_timeout).count() * tasks));
    }
    look_for_workers(live == 0 && !jobs_.is_cancelled(), elapsed);
  }

  [[nodiscard]] TaskRange range_of(Taken job) const {
    if (job.is_again) return again_[job.number - again_base_].job.range;
    return jobs_.chunks()[job.number - base_];
  }

  // --- A worker ---

  void serve(std::size_t index) const {
    Shared& mine = shared_[index];
    ChunkRunner runner(workload_, static_cast<std::uint16_t>(index), options_.chunk_size);
    RingWriter answers(mine.ring);
    const Chunks chunks(workload_.task_count(), options_.chunk_size);
    const auto call = [this] { ring_bell(); };
    for (;;) {
      bool has_answered = false;
      for (Taken job; take(mine, job);) {
        // Taking was a full barrier: if the parent fell asleep before it could see the last answer, this sees that.
        if (has_answered) {
          fence_after_exchange();
          tell_parent(answers, false);
        }
        const std::uint64_t number =
            job.number - (job.is_again ? control_.again_base : control_.base).load(std::memory_order_relaxed);
        const TaskRange range = job.is_again ? control_.again[job.number % kMostAgain] : chunks[number];
        const std::uint32_t kind = runner.run(range) | (job.is_again ? MessageHeader::kAgain : 0U);
        const MessageHeader header{static_cast<std::uint32_t>(number), static_cast<MessageHeader::Kind>(kind)};
        if ((kind & MessageHeader::kKindMask) != MessageHeader::done || !answers.write_short(header)) {
          answers.write(header, runner, call);
        }
        has_answered = true;
      }
      mine.intent.store(0, std::memory_order_release);
      const std::uint32_t epoch = control_.epoch.load(std::memory_order_acquire);
      const bool has_stopped = stopped();
      if (has_stopped) control_.stop_seen.store(1, std::memory_order_relaxed);
      if (const std::uint32_t asked = control_.usage_asked.load(std::memory_order_acquire);
          asked != mine.usage_given.load(std::memory_order_relaxed)) {
        mine.usage.fill();
        mine.usage_given.store(asked, std::memory_order_release);
        ring_bell();
      }
      mine.is_idle.store(1, std::memory_order_relaxed);
      std::atomic_thread_fence(std::memory_order_seq_cst);
      tell_parent(answers, true);
      if (has_stopped || !is_work()) wait_while(control_.epoch, epoch, kLookAgain);
      mine.is_idle.store(0, std::memory_order_relaxed);
    }
  }

  [[nodiscard]] bool is_work() const {
    return control_.again_cursor.load(std::memory_order_relaxed) <
               control_.again_limit.load(std::memory_order_acquire) ||
           control_.cursor.load(std::memory_order_relaxed) < control_.limit.load(std::memory_order_acquire);
  }

  bool take(Shared& mine, Taken& job) const {
    if (stopped()) return false;
    return take_from(mine, job, control_.again_cursor, control_.again_limit, true) ||
           take_from(mine, job, control_.cursor, control_.limit, false);
  }

  static bool take_from(Shared& mine, Taken& job, std::atomic<std::uint64_t>& cursor,
                        const std::atomic<std::uint64_t>& limit, bool is_again) {
    std::uint64_t next = cursor.load(std::memory_order_relaxed);
    while (next < limit.load(std::memory_order_acquire)) {
      job = {next, is_again};
      mine.intent.store(intent_of(job), std::memory_order_release);
      if (cursor.compare_exchange_weak(next, next + 1, std::memory_order_seq_cst)) return true;
    }
    return false;
  }

  /// Makes the exchange before it a full barrier for all that stands around it, which it is on x86 by itself.
  static void fence_after_exchange() noexcept {
#if !defined(__x86_64__)
    std::atomic_thread_fence(std::memory_order_seq_cst);
#endif
  }

  void tell_parent(RingWriter& answers, bool is_idle) const {
    const std::uint32_t sleep = control_.sleep.load(std::memory_order_relaxed);
    if (sleep == kAwake) return;
    if (sleep == kUntilManyAnswers && !is_idle && answers.unread() < kManyBytes) return;
    ring_bell();
  }

  void ring_bell() const {
    if (control_.sleep.exchange(kAwake, std::memory_order_relaxed) == kAwake) return;
    const std::uint64_t one = 1;
    while (::write(bell_.get(), &one, sizeof one) < 0 && errno == EINTR) {
    }
  }

  // --- Usage ---

  [[nodiscard]] bool has_given_usage(std::size_t index) const {
    return shared_[index].usage_given.load(std::memory_order_acquire) ==
           control_.usage_asked.load(std::memory_order_relaxed);
  }

  /// Between runs: lets all workers fill their records, and waits for them.
  void ask_usage() const {
    control_.usage_asked.fetch_add(1, std::memory_order_release);
    const Clock::time_point deadline = Clock::now() + kUsageDeadline;
    const auto is_missing = [this] {
      for (std::size_t i = 0; i < workers_.size(); ++i) {
        if (!workers_[i].process || has_given_usage(i)) continue;
        pollfd ended{workers_[i].process.pidfd(), POLLIN, 0};
        if (::poll(&ended, 1, 0) == 0) return true;
      }
      return false;
    };
    while (is_missing() && Clock::now() < deadline) {
      control_.sleep.store(kUntilAnyAnswer, std::memory_order_seq_cst);
      wake_workers();
      pollfd bell{bell_.get(), POLLIN, 0};
      if (::poll(&bell, 1, 1) > 0) silence_bell();
    }
    control_.sleep.store(kAwake, std::memory_order_relaxed);
  }

  const bool is_cold_;
  const bool may_spin_;  ///< a CPU is left for the parent that looks for answers
  SharedMapping control_memory_, shared_memory_;
  Control& control_;
  std::span<Shared> shared_;
  UniqueFd bell_;  // rung by workers
  std::vector<Worker> workers_;
  mutable std::vector<std::uint64_t> peaks_;
  std::vector<pollfd> polled_;
  std::vector<std::size_t> polled_workers_;
  const OnChunk* on_chunk_ = nullptr;

  // Of the run.
  std::uint64_t base_ = 0, again_base_ = 0;
  std::vector<std::uint64_t> resolved_;  // a bit for each chunk
  std::uint64_t resolved_chunks_ = 0, taken_chunks_ = 0;
  std::deque<Again> again_;
  std::size_t again_resolved_ = 0, again_taken_ = 0, again_oldest_ = 0;
  std::vector<Suspect> suspects_;
  std::uint64_t idle_deaths_ = 0;
};

}  // namespace

std::string refuse_fork_pool_shm(const StrategyOptions& options) {
  return refuse_processes(kName, options, {.pool = true});
}

std::unique_ptr<Executor> make_fork_pool_shm(const Workload& workload, const StrategyOptions& options) {
  return std::make_unique<SharedPool>(workload, options);
}

}  // namespace noisefloor
