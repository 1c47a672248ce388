// The two counters: a window on rank 0's memory, and a thread of rank 0 that answers.
// SPDX-License-Identifier: MIT
#include "harness/mpi/counter.hpp"

#include <fmt/format.h>
#include <mpi.h>

#include <chrono>
#include <condition_variable>
#include <deque>
#include <limits>
#include <mutex>
#include <thread>

#include "harness/base/error.hpp"
#include "harness/mpi/waits.hpp"

namespace noisefloor {
namespace {

int rank_of_this() {
  int rank = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  return rank;
}

/// Two counters in rank 0's memory that all ranks add to, without its help.
class SharedCounter : public ChunkCounter {
 public:
  SharedCounter(std::uint64_t chunks, std::uint32_t window) : chunks_(chunks), window_(window) {
    MPI_Win_allocate(rank_of_this() == 0 ? kCounters * MPI_Aint{sizeof(std::uint64_t)} : 0, sizeof(std::uint64_t),
                     MPI_INFO_NULL, MPI_COMM_WORLD, static_cast<void*>(&memory_), &shared_);
    MPI_Win_lock_all(MPI_MODE_NOCHECK, shared_);
  }
  SharedCounter(const SharedCounter&) = delete;
  SharedCounter& operator=(const SharedCounter&) = delete;
  ~SharedCounter() override {
    MPI_Win_unlock_all(shared_);
    MPI_Win_free(&shared_);
  }

  void reset() override {
    apply(kNext, 0, MPI_REPLACE);
    advance(0);
  }

  std::optional<std::uint64_t> take(const std::function<void()>& meanwhile) override {
    const std::uint64_t chunk = apply(kNext, 1, MPI_SUM);
    if (chunk >= chunks_) return std::nullopt;
    if (window_ != 0) {
      for (Idle idle; chunk > apply(kOldest, 0, MPI_NO_OP) + window_; idle.wait()) meanwhile();
    }
    return chunk;
  }

  void advance(std::uint64_t oldest) override { apply(kOldest, oldest, MPI_REPLACE); }

 private:
  static constexpr MPI_Aint kNext = 0;    // chunk to be taken
  static constexpr MPI_Aint kOldest = 1;  // chunk that is unfinished, as far as rank 0 knows
  static constexpr MPI_Aint kCounters = 2;

  std::uint64_t apply(MPI_Aint counter, std::uint64_t value, MPI_Op operation) const {
    std::uint64_t before = 0;
    MPI_Fetch_and_op(&value, &before, MPI_UINT64_T, 0, counter, operation, shared_);
    MPI_Win_flush(0, shared_);
    return before;
  }

  const std::uint64_t chunks_;
  const std::uint32_t window_;
  std::uint64_t* memory_ = nullptr;
  MPI_Win shared_ = MPI_WIN_NULL;
};

/// A thread of rank 0 takes the others' questions and answers each with a chunk as soon as there is one for it,
/// whatever rank 0's tasks do meanwhile. It works from reset() until every other rank knows that there is no more, and
/// sleeps otherwise. Rank 0 itself does not ask.
class ServedCounter : public ChunkCounter {
 public:
  ServedCounter(std::uint64_t chunks, std::uint32_t window) : chunks_(chunks), window_(window), next_(chunks) {
    int provided = MPI_THREAD_SINGLE;
    MPI_Query_thread(&provided);
    if (provided < MPI_THREAD_MULTIPLE) {
      throw Error(
          "this MPI lets one thread of a process call it, and ranks on several machines need two "
          "(MPI_THREAD_MULTIPLE): "
          "use an MPI that was built with threads, as Debian's is");
    }
    MPI_Request made = MPI_REQUEST_NULL;
    MPI_Comm_idup(MPI_COMM_WORLD, &talk_, &made);
    complete(made);
    if (rank_of_this() != 0) return;
    int ranks = 1;
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    others_ = ranks - 1;
    if (others_ > 0) server_ = std::thread([this] { serve(); });
  }
  ServedCounter(const ServedCounter&) = delete;
  ServedCounter& operator=(const ServedCounter&) = delete;
  ~ServedCounter() override {
    if (server_.joinable()) {
      {
        const std::lock_guard lock(mutex_);
        ending_ = true;
      }
      begun_.notify_one();
      server_.join();
    }
    MPI_Comm_free(&talk_);
  }

  void reset() override {
    {
      const std::lock_guard lock(mutex_);
      next_ = oldest_ = 0;
      asking_ = others_;
    }
    begun_.notify_one();
  }

  std::optional<std::uint64_t> take(const std::function<void()>& meanwhile) override {
    std::uint64_t chunk = kNone;
    if (rank_of_this() == 0) {
      for (Idle idle;; idle.wait()) {
        {
          const std::lock_guard lock(mutex_);
          if (may_take()) {
            chunk = take_next();
            break;
          }
        }
        meanwhile();
      }
    } else {
      MPI_Request answer = MPI_REQUEST_NULL;
      MPI_Irecv(&chunk, 1, MPI_UINT64_T, 0, kAnswer, talk_, &answer);
      MPI_Send(nullptr, 0, MPI_BYTE, 0, kQuestion, talk_);  // so short that it waits for nobody
      complete(answer, meanwhile);
    }
    if (chunk == kNone) return std::nullopt;
    return chunk;
  }

  void advance(std::uint64_t oldest) override {
    const std::lock_guard lock(mutex_);
    oldest_ = oldest;
  }

 private:
  static constexpr std::uint64_t kNone = std::numeric_limits<std::uint64_t>::max();
  static constexpr int kQuestion = 1, kAnswer = 2;  // tags
  // Longer than a question and its answer are on the way; then the CPU is rank 0's, whose tasks run on it.
  static constexpr std::chrono::microseconds kServerLook{100};

  [[nodiscard]] bool may_take() const { return next_ >= chunks_ || window_ == 0 || next_ <= oldest_ + window_; }
  std::uint64_t take_next() { return next_ < chunks_ ? next_++ : kNone; }

  /// Takes a question, if there is one, and returns whose.
  [[nodiscard]] std::optional<int> question() const {
    int there = 0;
    MPI_Status status;
    for (int i = 0; i < kCallsToLook && there == 0; ++i) MPI_Iprobe(MPI_ANY_SOURCE, kQuestion, talk_, &there, &status);
    if (there == 0) return std::nullopt;
    MPI_Recv(nullptr, 0, MPI_BYTE, status.MPI_SOURCE, kQuestion, talk_, MPI_STATUS_IGNORE);
    return status.MPI_SOURCE;
  }

  void serve() {
    std::deque<int> askers;  // ranks that wait for an answer, the first to ask first
    for (;;) {
      {
        std::unique_lock lock(mutex_);
        begun_.wait(lock, [&] { return asking_ > 0 || ending_; });
        if (asking_ == 0) return;
      }
      for (Idle idle(kServerLook);;) {
        bool anything = false;
        while (const auto asker = question()) {
          askers.push_back(*asker);
          anything = true;
        }
        while (!askers.empty()) {
          std::uint64_t chunk = kNone;
          {
            const std::lock_guard lock(mutex_);
            if (!may_take()) break;
            chunk = take_next();
            if (chunk == kNone) --asking_;
          }
          MPI_Send(&chunk, 1, MPI_UINT64_T, askers.front(), kAnswer, talk_);
          askers.pop_front();
          anything = true;
        }
        {
          const std::lock_guard lock(mutex_);
          if (asking_ == 0) break;
        }
        anything ? idle.restart() : idle.wait();
      }
    }
  }

  const std::uint64_t chunks_;
  const std::uint32_t window_;
  MPI_Comm talk_ = MPI_COMM_NULL;
  // Rank 0. The mutex guards what follows it.
  int others_ = 0;
  std::thread server_;
  std::mutex mutex_;
  std::condition_variable begun_;
  std::uint64_t next_, oldest_ = 0;
  int asking_ = 0;  // other ranks that have not been told that there is no more
  bool ending_ = false;
};

}  // namespace

CounterKind counter_kind(std::string_view name, CounterKind otherwise) {
  if (name.empty()) return otherwise;
  if (name == "shared") return CounterKind::shared;
  if (name == "served") return CounterKind::served;
  throw UsageError(fmt::format("NOISEFLOOR_MPI_COUNTER={}: give shared or served, or leave it unset", name));
}

std::unique_ptr<ChunkCounter> make_counter(CounterKind kind, std::uint64_t chunks, std::uint32_t window) {
  if (kind == CounterKind::shared) return std::make_unique<SharedCounter>(chunks, window);
  return std::make_unique<ServedCounter>(chunks, window);
}

}  // namespace noisefloor
