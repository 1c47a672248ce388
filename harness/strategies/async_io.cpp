// One thread with many tasks in flight, through io_uring.
// SPDX-License-Identifier: MIT
#include "harness/strategies/async_io.hpp"

#include <fmt/format.h>
#include <liburing.h>

#include <algorithm>
#include <cerrno>
#include <deque>

#include "harness/base/error.hpp"
#include "harness/strategies/chunks.hpp"

namespace noisefloor {
namespace {

constexpr std::string_view kName = "async_io";
constexpr std::size_t kBytesInFlight = std::size_t{2} << 20;
constexpr std::size_t kLeastInFlight = 2, kMostInFlight = 256;

class Ring {
 public:
  explicit Ring(unsigned entries) {
    if (const int error = ::io_uring_queue_init(entries, &ring_, 0); error != 0) {
      throw system_error(fmt::format("{}: io_uring cannot be set up for {} tasks in flight", kName, entries), -error);
    }
  }
  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;
  ~Ring() { ::io_uring_queue_exit(&ring_); }

  [[nodiscard]] io_uring* get() noexcept { return &ring_; }

 private:
  io_uring ring_{};
};

/// Tasks that were taken together, until all are done.
struct OpenChunk {
  explicit OpenChunk(TaskRange range)
      : next(range.first), last(range.last), left(range.size()), results(left), returned(left) {}

  std::uint32_t next, last;  // tasks that were not begun
  std::uint32_t left;        // tasks that are not done
  std::vector<TaskResult> results;
  std::vector<std::vector<std::byte>> returned;  // by each
};

/// A place for a task in flight.
struct Flight {
  enum class Step : std::uint8_t { open, extract, transform };

  OpenChunk* chunk = nullptr;
  std::uint32_t task = 0, index = 0;  // number, and place in its chunk
  Step next = Step::open;
  std::unique_ptr<StagedTask> staged;
  std::vector<std::byte> room;
  std::size_t bytes = 0;  // of the piece
  Piece piece;
  Wait wait;
  __kernel_timespec until{};  // read by the kernel when the operation is submitted
};

class AsyncIo final : public InProcessExecutor {
 public:
  AsyncIo(const Workload& workload, const StrategyOptions& options)
      : InProcessExecutor(workload, options),
        tied_(binding_, 0),
        stages_(*workload.stages()),
        flights_(std::clamp(kBytesInFlight / std::max<std::size_t>(stages_.piece_bytes(), 1), kLeastInFlight,
                            kMostInFlight)),
        ring_(static_cast<unsigned>(flights_.size())) {
    for (Flight& flight : flights_) flight.room.resize(stages_.piece_bytes());
  }

  void run(const OnChunk& on_chunk) override {
    on_chunk_ = &on_chunk;
    next_chunk_ = 0;
    free_.clear();
    for (Flight& flight : flights_) free_.push_back(&flight);
    for (;;) {
      begin_tasks();
      if (free_.size() == flights_.size()) break;  // nothing is in flight, so nothing is left
      const int submitted = ::io_uring_submit_and_wait(ring_.get(), 1);
      if (submitted < 0 && submitted != -EINTR && submitted != -EAGAIN && submitted != -EBUSY) {
        throw system_error(fmt::format("{}: io_uring takes no more operations", kName), -submitted);
      }
      io_uring_cqe* done = nullptr;
      while (::io_uring_peek_cqe(ring_.get(), &done) == 0) {
        Flight& flight = flights_[::io_uring_cqe_get_data64(done)];
        const int result = done->res;
        ::io_uring_cqe_seen(ring_.get(), done);
        resume(flight, result);
      }
    }
    failure_.rethrow();
  }

 private:
  /// Begins tasks in order while there is a place for them.
  void begin_tasks() {
    while (!free_.empty()) {
      if ((chunks_.empty() || chunks_.back().next == chunks_.back().last) && !open_chunk()) return;
      OpenChunk& chunk = chunks_.back();
      Flight& flight = *free_.back();
      free_.pop_back();
      flight.chunk = &chunk;
      flight.task = chunk.next++;
      flight.index = static_cast<std::uint32_t>(chunk.results.size()) - (chunk.last - flight.task);
      flight.next = Flight::Step::open;
      go_on(flight, 0);
    }
  }

  /// Takes the next chunk; false where there is none, or none may be taken now.
  bool open_chunk() noexcept {
    const Chunks all = chunks();
    if (next_chunk_ == all.count() || cancelled()) return false;
    if (options_.window != 0 && chunks_.size() > options_.window) return false;
    try {
      chunks_.emplace_back(all[next_chunk_]);
    } catch (...) {
      failure_.capture();
      return false;
    }
    ++next_chunk_;
    return true;
  }

  /// The operation that `flight` waits for has ended with `result`, as io_uring tells it.
  void resume(Flight& flight, int result) {
    Wait& wait = flight.wait;
    if (result == -EINTR || result == -EAGAIN) return submit(flight);
    if (wait.what == Wait::For::time) return go_on(flight, result == -ETIME ? 0 : -result);
    if (result < 0) return go_on(flight, -result);
    if (result == 0) return go_on(flight, wait.what == Wait::For::read ? ENODATA : EIO);
    wait.data = wait.data.subspan(static_cast<std::size_t>(result));
    wait.offset += static_cast<std::uint64_t>(result);
    if (!wait.data.empty()) return submit(flight);
    go_on(flight, 0);
  }

  /// Takes the task on until it waits again, or is done. `error`: of what it waited for.
  void go_on(Flight& flight, int error) {
    std::vector<std::byte>& returned = flight.chunk->returned[flight.index];
    bool waits = false;
    attempt(flight.task, flight.chunk->results[flight.index], returned, [&](auto, auto& to) {
      if (flight.next != Flight::Step::open && flight.wait.what != Wait::For::nothing) flight.staged->end_wait(error);
      waits = advance(flight, to);
    });
    if (waits) return submit(flight);
    flight.staged.reset();
    free_.push_back(&flight);
    if (--flight.chunk->left == 0) hand_over(*flight.chunk);
  }

  /// True when the task waits; false when it is done.
  bool advance(Flight& flight, std::vector<std::byte>& returned) {
    for (;;) {
      flight.wait = {};
      switch (flight.next) {
        case Flight::Step::open:
          flight.staged = stages_.open(flight.task);
          flight.next = Flight::Step::extract;
          break;
        case Flight::Step::extract:
          flight.bytes = flight.staged->begin_extract(flight.room, flight.piece, flight.wait);
          if (flight.bytes == 0) {
            flight.staged->finish(returned);
            return false;
          }
          flight.next = Flight::Step::transform;
          break;
        case Flight::Step::transform: {
          const std::span<std::byte> data = std::span(flight.room).first(flight.bytes);
          flight.staged->transform(data, flight.piece);
          flight.staged->begin_load(data, flight.piece, flight.wait);
          flight.next = Flight::Step::extract;
          break;
        }
      }
      if (flight.wait.what != Wait::For::nothing) return true;
    }
  }

  void submit(Flight& flight) {
    io_uring_sqe* const entry = ::io_uring_get_sqe(ring_.get());  // there is one for each place
    const Wait& wait = flight.wait;
    const auto bytes = static_cast<unsigned>(wait.data.size());
    constexpr std::uint64_t kNsPerSecond = 1'000'000'000;
    switch (wait.what) {
      case Wait::For::time:
        flight.until.tv_sec = static_cast<long long>(wait.until_ns / kNsPerSecond);
        flight.until.tv_nsec = static_cast<long long>(wait.until_ns % kNsPerSecond);
        ::io_uring_prep_timeout(entry, &flight.until, 0, IORING_TIMEOUT_ABS);
        break;
      case Wait::For::read:
        ::io_uring_prep_read(entry, wait.fd, wait.data.data(), bytes, wait.offset);
        break;
      case Wait::For::write:
        ::io_uring_prep_write(entry, wait.fd, wait.data.data(), bytes, wait.offset);
        break;
      case Wait::For::nothing:
        ::io_uring_prep_nop(entry);
        break;
    }
    ::io_uring_sqe_set_data64(entry, static_cast<std::uint64_t>(&flight - flights_.data()));
  }

  void hand_over(OpenChunk& chunk) noexcept {
    try {
      std::vector<std::byte>& returned = chunk.returned.front();
      for (std::size_t i = 1; i < chunk.returned.size(); ++i) {
        returned.insert(returned.end(), chunk.returned[i].begin(), chunk.returned[i].end());
      }
      (*on_chunk_)(chunk.results, returned);
    } catch (...) {
      failure_.capture();
    }
    while (!chunks_.empty() && chunks_.front().left == 0) chunks_.pop_front();
  }

  const Tied tied_;
  const Stages& stages_;
  std::vector<Flight> flights_;
  std::vector<Flight*> free_;
  std::deque<OpenChunk> chunks_;  // in order, from the oldest that is not done
  std::uint64_t next_chunk_ = 0;
  const OnChunk* on_chunk_ = nullptr;
  Ring ring_;  // gone before what its operations write to
};

}  // namespace

std::string_view no_io_uring() noexcept {
  io_uring ring{};
  const int error = ::io_uring_queue_init(2, &ring, 0);
  if (error == 0) ::io_uring_queue_exit(&ring);
  switch (-error) {
    case 0:
      return {};
    case ENOSYS:
      return "this kernel has no io_uring";
    case EPERM:
    case EACCES:
      return "io_uring is forbidden here: by kernel.io_uring_disabled, or by a sandbox";
    default:
      return "io_uring cannot be set up here";
  }
}

std::string refuse_async_io(const StrategyOptions& options) {
  if (std::string reason = refuse_but_dynamic(kName, options, {.bind = true}); !reason.empty()) return reason;
  if (options.workers != 1) {
    return fmt::format("{} is one worker, not {}: give workers 1, or another strategy", kName, options.workers);
  }
  return {};
}

std::unique_ptr<Executor> make_async_io(const Workload& workload, const StrategyOptions& options) {
  return std::make_unique<AsyncIo>(workload, options);
}

}  // namespace noisefloor
