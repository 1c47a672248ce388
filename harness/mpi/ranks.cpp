// Ranks: chunks from a counter that they share, results sent to rank 0 and handed on there.
// SPDX-License-Identifier: MIT
#include "harness/mpi/ranks.hpp"

#include <fmt/format.h>
#include <mpi.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "harness/base/error.hpp"
#include "harness/base/limits.hpp"
#include "harness/base/names.hpp"
#include "harness/base/usage.hpp"
#include "harness/measure/launch.hpp"
#include "harness/mpi/counter.hpp"
#include "harness/mpi/waits.hpp"
#include "harness/strategies/chunks.hpp"

namespace noisefloor {
namespace {

using Clock = Idle::Clock;

/// What rank 0 tells the others. Every command is carried out by all ranks, rank 0 included, and is a collective call.
enum class Command : std::uint32_t {
  make,         ///< the workload and all that a run needs; a message with the cell follows
  prepare,      ///< value: iterations
  run,          ///< value: iteration
  digest,       ///< value: iteration
  usage,        ///< of the other ranks
  reset_peaks,  ///< of the other ranks
  stages,       ///< their times, summed
  clean,
  end,      ///< of the executor and the workload
  dismiss,  ///< follow() returns
};

struct Order {
  Command command = Command::dismiss;
  std::uint32_t value = 0;
};

/// What `make` is about; the text of the cell follows.
struct Making {
  std::uint64_t seed = 0;
  std::uint64_t text_bytes = 0;
  CounterKind counter = CounterKind::served;
};

/// Results travel in messages of whole chunks: a chunk's head, its results, what they returned; then the next.
struct ChunkHead {
  std::uint64_t chunk = 0;
  std::uint32_t results = 0;
  std::uint32_t returned_bytes = 0;
};
static_assert(std::is_trivially_copyable_v<Order> && std::is_trivially_copyable_v<Making> &&
              std::is_trivially_copyable_v<ChunkHead>);

constexpr int kResults = 1;  // tags of messages to rank 0
constexpr int kLast = 2;     // the same, and no more of this run
constexpr std::size_t kMostOnTheWay = 8;
// Where ranks share memory, Open MPI lets up to 4 KiB with its own head go without asking the receiver first.
constexpr std::size_t kFullMessage = (std::size_t{4} << 10) - 256;
// Results of chunks that take less than this are sent together, so that a result waits no longer than this, and the
// chunk that runs: some ten times what a message costs.
constexpr auto kLongestDelay = std::chrono::microseconds(20);

void broadcast(void* bytes, std::size_t size) {
  MPI_Request request = MPI_REQUEST_NULL;
  MPI_Ibcast(bytes, static_cast<int>(size), MPI_BYTE, 0, MPI_COMM_WORLD, &request);
  complete(request);
}

int rank_of_this() {
  int rank = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  return rank;
}

int rank_count() {
  int count = 1;
  MPI_Comm_size(MPI_COMM_WORLD, &count);
  return count;
}

/// One `T` of every rank, at rank 0; elsewhere nothing.
template <class T>
std::vector<T> gather(const T& mine) {
  static_assert(std::is_trivially_copyable_v<T>);
  std::vector<T> all(rank_of_this() == 0 ? static_cast<std::size_t>(rank_count()) : 0);
  MPI_Request request = MPI_REQUEST_NULL;
  MPI_Igather(&mine, sizeof mine, MPI_BYTE, all.data(), sizeof mine, MPI_BYTE, 0, MPI_COMM_WORLD, &request);
  complete(request);
  return all;
}

/// The outcome of a command that may fail: what one rank has to say, and why it has nothing.
template <class T>
struct Outcome {
  T value{};
  std::array<char, 512> error{};  ///< zero-terminated; empty: it has

  template <class F>
  static Outcome of(F&& f) {
    Outcome outcome;
    try {
      outcome.value = f();
    } catch (const std::exception& error) {
      const std::string_view text = error.what();
      text.copy(outcome.error.data(), outcome.error.size() - 1);
      if (text.empty()) outcome.error[0] = '?';
    }
    return outcome;
  }
};

/// Rank 0: throws the first error of any rank.
template <class T>
void check(const std::vector<Outcome<T>>& all) {
  for (std::size_t rank = 0; rank < all.size(); ++rank) {
    if (all[rank].error.front() != '\0') throw Error(fmt::format("rank {}: {}", rank, all[rank].error.data()));
  }
}

/// Sends a rank's results to rank 0, several messages at a time. A large message goes only as far as both ends are
/// inside MPI: who waits for anything that depends on it calls progress() meanwhile.
class Sender {
 public:
  Sender() { requests_.fill(MPI_REQUEST_NULL); }
  Sender(const Sender&) = delete;
  Sender& operator=(const Sender&) = delete;
  ~Sender() = default;

  void add(std::uint64_t chunk, std::span<const TaskResult> results, std::span<const std::byte> returned) {
    const std::size_t size = sizeof(ChunkHead) + results.size_bytes() + returned.size();
    if (!open().empty() && open().size() + size > kFullMessage) send(kResults);
    const ChunkHead head{.chunk = chunk,
                         .results = static_cast<std::uint32_t>(results.size()),
                         .returned_bytes = static_cast<std::uint32_t>(returned.size())};
    const auto now = Clock::now();
    if (open().empty()) since_ = now;
    append(&head, sizeof head);
    append(results.data(), results.size_bytes());
    append(returned.data(), returned.size());
    if (now - began_ >= kLongestDelay || now - since_ >= kLongestDelay) {
      send(kResults);
      progress();
    }
    began_ = now;
  }

  void start() { began_ = Clock::now(); }

  /// Everything, and that there is no more; returns when it is gone.
  void finish() {
    send(kLast);
    for (MPI_Request& request : requests_) complete(request);
  }

  /// What waits to be sent goes now, and what is on the way goes on.
  void flush() {
    if (!open().empty()) send(kResults);
    progress();
  }

 private:
  void progress() {
    int all = 0;
    MPI_Testall(static_cast<int>(requests_.size()), requests_.data(), &all, MPI_STATUSES_IGNORE);
  }

  std::vector<std::byte>& open() { return messages_[slot_]; }

  void append(const void* bytes, std::size_t size) {
    if (size == 0) return;
    const auto* first = static_cast<const std::byte*>(bytes);
    open().insert(open().end(), first, first + size);
  }

  void send(int tag) {
    if (open().size() > static_cast<std::size_t>(std::numeric_limits<int>::max())) {
      throw Error(fmt::format("a chunk returned {} bytes, more than MPI sends at once: give a smaller chunk_size",
                              open().size()));
    }
    MPI_Isend(open().data(), static_cast<int>(open().size()), MPI_BYTE, 0, tag, MPI_COMM_WORLD, &requests_[slot_]);
    slot_ = (slot_ + 1) % kMostOnTheWay;
    complete(requests_[slot_]);
    open().clear();
  }

  std::array<std::vector<std::byte>, kMostOnTheWay> messages_;
  std::array<MPI_Request, kMostOnTheWay> requests_{};
  std::size_t slot_ = 0;
  Clock::time_point since_, began_;  // the oldest result that waits; the chunk that runs
};

/// Rank 0: takes messages without waiting for any of them, as many at a time as arrive: their senders may be in a
/// chunk.
class Receiver {
 public:
  /// Takes what there is now, and calls handle(message, tag) for each that is whole. What it throws is passed on, and
  /// that message is not handled again.
  template <class Handle>
  void poll(Handle&& handle) {
    for (;;) {
      int arrived = 0;
      MPI_Message message = MPI_MESSAGE_NULL;
      MPI_Status status;
      MPI_Improbe(MPI_ANY_SOURCE, MPI_ANY_TAG, MPI_COMM_WORLD, &arrived, &message, &status);
      if (arrived == 0) break;
      int size = 0;
      MPI_Get_count(&status, MPI_BYTE, &size);
      Arrival arrival;
      if (!spare_.empty()) {
        arrival.bytes = std::move(spare_.back());
        spare_.pop_back();
      }
      arrival.bytes.resize(static_cast<std::size_t>(size));
      arrival.tag = status.MPI_TAG;
      MPI_Imrecv(arrival.bytes.data(), size, MPI_BYTE, &message, &arrival.request);
      if (is_whole(arrival)) {
        give(std::move(arrival), handle);
      } else {
        arriving_.push_back(std::move(arrival));  // its bytes stay where they are
      }
    }
    for (std::size_t i = 0; i < arriving_.size();) {
      if (!is_whole(arriving_[i])) {
        ++i;
        continue;
      }
      Arrival arrival = std::move(arriving_[i]);
      arriving_.erase(arriving_.begin() + static_cast<std::ptrdiff_t>(i));
      give(std::move(arrival), handle);
    }
  }

  /// Whether messages are there that are not whole.
  [[nodiscard]] bool expects() const noexcept { return !arriving_.empty(); }

 private:
  struct Arrival {
    std::vector<std::byte> bytes;
    MPI_Request request = MPI_REQUEST_NULL;
    int tag = 0;
  };

  static bool is_whole(Arrival& arrival) {
    int done = 0;
    MPI_Test(&arrival.request, &done, MPI_STATUS_IGNORE);
    return done != 0;
  }

  template <class Handle>
  void give(Arrival arrival, Handle& handle) {
    handle(std::span<const std::byte>(arrival.bytes), arrival.tag);
    spare_.push_back(std::move(arrival.bytes));
  }

  std::vector<Arrival> arriving_;              // in the order in which they began
  std::vector<std::vector<std::byte>> spare_;  // for the next
};

/// What one rank runs, and remembers of it.
class RankWork {
 public:
  RankWork(Workload& workload, const StrategyOptions& options, CounterKind counter)
      : workload_(workload),
        chunks_(workload.task_count(), options.chunk_size),
        window_(options.window),
        counter_(make_counter(counter, chunks_.count(), options.window)) {
    worker_.reserve(static_cast<std::uint16_t>(rank_), options.chunk_size, workload.task_count());
  }

  void prepare(std::uint32_t iterations) {
    ran_.assign(workload_.digestible_iterations(iterations), {});
    const auto outcomes = gather(Outcome<char>::of([&] {
      workload_.prepare(iterations);
      return char{};
    }));
    check(outcomes);
    MPI_Request request = MPI_REQUEST_NULL;
    MPI_Ibarrier(MPI_COMM_WORLD, &request);
    complete(request);
  }

  /// Rank 0, before it tells the others to run: they have taken all that they will.
  void reset() { counter_->reset(); }

  /// Any rank but 0.
  void run(std::uint32_t iteration) {
    workload_.begin(iteration);
    std::vector<TaskRange>& ran = start(iteration);
    sender_.start();
    while (const auto chunk = counter_->take([&] { sender_.flush(); })) {
      ran.push_back(chunks_[*chunk]);
      worker_.run(workload_, chunks_[*chunk],
                  [&](auto results, auto returned) { sender_.add(*chunk, results, returned); });
    }
    sender_.finish();
  }

  /// Rank 0, whose workload has begun the iteration.
  void run(std::uint32_t iteration, const OnChunk& on_chunk) {
    std::vector<TaskRange>& ran = start(iteration);
    oldest_ = 0;
    finished_.assign(window_ == 0 ? 0 : static_cast<std::size_t>(chunks_.count()), false);
    int others = rank_count() - 1;
    auto drained = Clock::now();
    while (const auto chunk = counter_->take([&] { others -= drain(on_chunk); })) {
      ran.push_back(chunks_[*chunk]);
      worker_.run(workload_, chunks_[*chunk], on_chunk);
      finish(*chunk);
      if (const auto now = Clock::now(); now - drained >= kLongestDelay) {
        others -= drain(on_chunk);
        drained = now;
      }
    }
    for (Idle idle; others > 0 || receiver_.expects();) {
      const std::uint64_t before = messages_;
      others -= drain(on_chunk);
      messages_ == before ? idle.wait() : idle.restart();
    }
  }

  [[nodiscard]] Outcome<std::uint64_t> digest(std::uint32_t iteration) const {
    return Outcome<std::uint64_t>::of([&] {
      workload_.begin(iteration);
      std::uint64_t sum = 0;
      for (const TaskRange range : ran_[slot(iteration)]) sum += workload_.digest(range);
      return sum;
    });
  }

  [[nodiscard]] const Workload& workload() const noexcept { return workload_; }

 private:
  [[nodiscard]] std::size_t slot(std::uint32_t iteration) const { return ran_.size() > 1 ? iteration : 0; }

  std::vector<TaskRange>& start(std::uint32_t iteration) {
    std::vector<TaskRange>& ran = ran_.at(slot(iteration));
    ran.clear();
    return ran;
  }

  /// Rank 0: a chunk was handed on.
  void finish(std::uint64_t chunk) {
    if (window_ == 0) return;
    finished_[static_cast<std::size_t>(chunk)] = true;
    if (chunk != oldest_) return;
    while (oldest_ < finished_.size() && finished_[static_cast<std::size_t>(oldest_)]) ++oldest_;
    counter_->advance(oldest_);
  }

  /// Rank 0: hands on what has arrived, and returns how many ranks said that there is no more.
  int drain(const OnChunk& on_chunk) {
    int last = 0;
    receiver_.poll([&](std::span<const std::byte> message, int tag) {
      ++messages_;
      hand_on(message, on_chunk);
      if (tag == kLast) ++last;
    });
    return last;
  }

  void hand_on(std::span<const std::byte> rest, const OnChunk& on_chunk) {
    while (!rest.empty()) {
      ChunkHead head;
      std::memcpy(&head, rest.data(), sizeof head);
      rest = rest.subspan(sizeof head);
      received_.resize(head.results);
      const std::size_t bytes = head.results * sizeof(TaskResult);
      if (bytes != 0) std::memcpy(received_.data(), rest.data(), bytes);
      on_chunk(received_, rest.subspan(bytes, head.returned_bytes));
      rest = rest.subspan(bytes + head.returned_bytes);
      finish(head.chunk);
    }
  }

  Workload& workload_;
  const Chunks chunks_;
  const std::uint32_t window_;
  const int rank_ = rank_of_this();
  const std::unique_ptr<ChunkCounter> counter_;
  Worker worker_;
  Sender sender_;
  std::vector<std::vector<TaskRange>> ran_{1};  // by iteration that can be digested, or of the last one
  // Rank 0.
  std::uint64_t oldest_ = 0, messages_ = 0;
  std::vector<bool> finished_;
  Receiver receiver_;
  std::vector<TaskResult> received_;
};

struct RankUsage {
  Usage usage;
  std::uint64_t peak_rss_bytes = 0;
  bool peak_known = false;
  CpuTimes cpus;  ///< told by one rank of each machine
};

/// The CPUs that the ranks of this machine may use, if this rank is the first of them and is to tell what they do; who
/// measures looks after its own.
std::vector<int> cpus_to_tell(MPI_Comm here) {
  constexpr std::size_t kMostCpus = 8192;
  std::array<unsigned char, kMostCpus> used{};
  for (const int cpu : given_cpus()) {
    if (static_cast<std::size_t>(cpu) < kMostCpus) used[static_cast<std::size_t>(cpu)] = 1;
  }
  MPI_Allreduce(MPI_IN_PLACE, used.data(), static_cast<int>(kMostCpus), MPI_BYTE, MPI_BOR, here);
  int rank_here = 0;
  MPI_Comm_rank(here, &rank_here);
  std::vector<int> cpus;
  if (rank_here != 0) return cpus;
  if (rank_of_this() == 0) {
    for (const int cpu : given_cpus()) used.at(static_cast<std::size_t>(cpu)) = 0;
  }
  for (std::size_t cpu = 0; cpu < kMostCpus; ++cpu) {
    if (used[cpu] != 0) cpus.push_back(static_cast<int>(cpu));
  }
  return cpus;
}

}  // namespace

struct Ranks::Job {
  class SharedWorkload;
  class RankExecutor;

  int rank = 0, size = 1;
  bool one_machine = true;
  bool commanding = false;  // rank 0: a command is under way
  std::unique_ptr<Workload> followed;
  std::unique_ptr<RankWork> work;
  std::uint32_t iteration = 0;  // rank 0: the one that began last
  bool peak_is_its_own = false;
  std::vector<int> told_cpus;  // what they do is this rank's to tell

  [[nodiscard]] RankUsage usage_of_this() const {
    const auto peak = peak_is_its_own ? peak_rss_bytes() : std::nullopt;
    return {process_usage(), peak.value_or(0), peak.has_value(), cpu_times(told_cpus)};
  }

  /// Rank 0: tells all ranks, and does its own part.
  template <class F>
  auto command(Command what, std::uint32_t value, F&& mine) {
    commanding = true;
    Order order{what, value};
    broadcast(&order, sizeof order);
    struct Done {
      bool& commanding;
      int exceptions = std::uncaught_exceptions();
      ~Done() {
        if (std::uncaught_exceptions() == exceptions) commanding = false;
      }
    } done{commanding};
    return mine();
  }

  void make_work(const Cell& cell, Workload& workload, CounterKind counter) {
    work = std::make_unique<RankWork>(
        workload, strategy_options(cell, find_by_name(strategies(), cell.strategy, "strategy")), counter);
  }

  StageTimes stages(const Workload& workload) const {
    const StageTimes mine = workload.stage_times().value_or(StageTimes{});
    StageTimes sum;
    for (const StageTimes& part : gather(mine)) {
      sum.extract_ns += part.extract_ns;
      sum.transform_ns += part.transform_ns;
      sum.load_ns += part.load_ns;
    }
    return sum;
  }

  void obey(const Order& order);
};

/// Rank 0's workload: what it is told, all are told.
class Ranks::Job::SharedWorkload : public Workload {
 public:
  SharedWorkload(Job& job, std::unique_ptr<Workload> mine) : job_(job), mine_(std::move(mine)) {}
  ~SharedWorkload() override {
    if (!job_.commanding) job_.command(Command::end, 0, [&] { job_.work.reset(); });
  }

  [[nodiscard]] std::uint32_t task_count() const override { return mine_->task_count(); }
  void run(TaskRange range, std::span<TaskResult> results, std::vector<std::byte>& returned) const override {
    mine_->run(range, results, returned);
  }
  void prepare(std::uint32_t iterations) override {
    job_.command(Command::prepare, iterations, [&] { job_.work->prepare(iterations); });
  }
  /// The other ranks are told with the order to run.
  void begin(std::uint32_t number) override {
    job_.iteration = number;
    mine_->begin(number);
  }
  void clean() override {
    job_.command(Command::clean, 0, [&] { mine_->clean(); });
  }
  [[nodiscard]] std::uint32_t digestible_iterations(std::uint32_t iterations) const override {
    return mine_->digestible_iterations(iterations);
  }
  [[nodiscard]] std::uint64_t digest(TaskRange range) const override { return mine_->digest(range); }
  [[nodiscard]] std::optional<StageTimes> stage_times() const override {
    if (!mine_->stage_times()) return std::nullopt;
    return job_.command(Command::stages, 0, [&] { return job_.stages(*mine_); });
  }
  [[nodiscard]] Volume volume() const override { return mine_->volume(); }

 private:
  Job& job_;
  std::unique_ptr<Workload> mine_;
};

class Ranks::Job::RankExecutor : public Executor {
 public:
  explicit RankExecutor(Job& job) : job_(job) {}

  void run(const OnChunk& on_chunk) override {
    job_.work->reset();
    job_.command(Command::run, job_.iteration, [&] { job_.work->run(job_.iteration, on_chunk); });
  }

  [[nodiscard]] std::uint64_t digest() const override {
    const auto parts =
        job_.command(Command::digest, job_.iteration, [&] { return gather(job_.work->digest(job_.iteration)); });
    check(parts);
    std::uint64_t sum = 0;
    for (const auto& part : parts) sum += part.value;
    return sum;
  }

  [[nodiscard]] WorkerUsage worker_usage() const override {
    const auto used = job_.command(Command::usage, 0, [&] { return gather(RankUsage{}); });
    WorkerUsage sum;
    for (std::size_t rank = 1; rank < used.size(); ++rank) {  // who measures counts itself
      sum.usage += used[rank].usage;
      if (!used[rank].peak_known) sum.peak_rss_bytes.reset();
      if (sum.peak_rss_bytes) *sum.peak_rss_bytes += used[rank].peak_rss_bytes;
      sum.other_cpus += used[rank].cpus;
    }
    sum.other_cpus += cpu_times(job_.told_cpus);
    return sum;
  }

  void reset_worker_peaks() override {
    job_.command(Command::reset_peaks, 0, [] {});
  }

 private:
  Job& job_;
};

void Ranks::Job::obey(const Order& order) {
  switch (order.command) {
    case Command::make: {
      Making making;
      broadcast(&making, sizeof making);
      std::string text(static_cast<std::size_t>(making.text_bytes), '\0');
      broadcast(text.data(), text.size());
      const Cell cell = parse_cell(text);
      followed = make_workload(cell, making.seed);
      make_work(cell, *followed, making.counter);
      break;
    }
    case Command::prepare:
      work->prepare(order.value);
      break;
    case Command::run:
      work->run(order.value);
      break;
    case Command::digest:
      gather(work->digest(order.value));
      break;
    case Command::usage:
      gather(usage_of_this());
      break;
    case Command::reset_peaks:
      peak_is_its_own = reset_peak_rss();
      break;
    case Command::stages:
      stages(*followed);
      break;
    case Command::clean:
      followed->clean();
      break;
    case Command::end:
      work.reset();
      followed.reset();
      break;
    case Command::dismiss:
      break;
  }
}

Ranks::Ranks(int* argc, char*** argv) {
  int provided = MPI_THREAD_SINGLE;  // ServedCounter looks at it
  MPI_Init_thread(argc, argv, MPI_THREAD_MULTIPLE, &provided);
  job_ = std::make_unique<Job>();
  job_->rank = rank_of_this();
  job_->size = rank_count();
  MPI_Comm here = MPI_COMM_NULL;
  MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &here);
  int ranks_here = 1;
  MPI_Comm_size(here, &ranks_here);
  job_->one_machine = ranks_here == job_->size;
  job_->told_cpus = cpus_to_tell(here);
  MPI_Comm_free(&here);
  if (ranks_here > available_workers()) Idle::longest_look = {};
}

Ranks::~Ranks() {
  job_.reset();
  MPI_Finalize();
}

int Ranks::rank() const noexcept { return job_->rank; }
int Ranks::size() const { return job_->size; }

std::unique_ptr<Workload> Ranks::share(const Cell& cell, std::uint64_t seed, std::unique_ptr<Workload> mine) {
  std::string text = format_cell(cell);
  const char* const named = std::getenv("NOISEFLOOR_MPI_COUNTER");
  const CounterKind counter =
      counter_kind(named == nullptr ? "" : named, job_->one_machine ? CounterKind::shared : CounterKind::served);
  job_->command(Command::make, 0, [&] {
    Making making{seed, text.size(), counter};
    broadcast(&making, sizeof making);
    broadcast(text.data(), text.size());
    job_->make_work(cell, *mine, counter);
  });
  return std::make_unique<Job::SharedWorkload>(*job_, std::move(mine));
}

std::unique_ptr<Executor> Ranks::make(const Workload& workload, const StrategyOptions& options) {
  static_cast<void>(workload);  // share() made what runs it
  if (options.workers != job_->size) {
    throw UsageError(fmt::format("the cell asks for {} workers, and {} ranks were started: give as many ranks (-n {})",
                                 options.workers, job_->size, options.workers));
  }
  return std::make_unique<Job::RankExecutor>(*job_);
}

void Ranks::dismiss(int status) {
  if (job_->commanding) abort(status);
  job_->command(Command::dismiss, 0, [] {});
}

void Ranks::follow() {
  for (;;) {
    Order order;
    broadcast(&order, sizeof order);
    if (order.command == Command::dismiss) return;
    job_->obey(order);
  }
}

void Ranks::abort(int status) {
  MPI_Abort(MPI_COMM_WORLD, status);
  std::abort();
}

}  // namespace noisefloor
