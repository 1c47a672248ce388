// The pool that everyone writes first: a bounded queue of jobs behind a mutex and two condition variables.
// SPDX-License-Identifier: MIT
#include "harness/strategies/mutex_queue.hpp"

#include <fmt/format.h>

#include <functional>
#include <queue>
#include <system_error>
#include <thread>

#include "harness/base/error.hpp"
#include "harness/strategies/chunks.hpp"

namespace noisefloor {
namespace {

using Job = std::function<void(std::size_t worker)>;

class MutexQueue final : public InProcessExecutor {
 public:
  MutexQueue(const Workload& workload, const StrategyOptions& options) : InProcessExecutor(workload, options) {
    threads_.reserve(workers_.size());
    try {
      for (std::size_t worker = 0; worker < workers_.size(); ++worker) {
        threads_.emplace_back([this, worker] { work(worker); });
      }
    } catch (const std::system_error& error) {
      quit();
      throw Error(fmt::format("mutex_queue: thread {} of {} cannot be started ({}): give fewer workers",
                              threads_.size() + 1, workers_.size(), error.what()));
    } catch (...) {
      quit();
      throw;
    }
  }
  MutexQueue(const MutexQueue&) = delete;
  MutexQueue& operator=(const MutexQueue&) = delete;
  ~MutexQueue() override { quit(); }

  void run(const OnChunk& on_chunk) override {
    const std::uint64_t count = chunks().count();
    if (options_.window != 0) turns_.start(count, options_.window);
    on_chunk_ = &on_chunk;
    try {
      for (std::uint64_t chunk = 0; chunk < count; ++chunk) {
        // Jobs are queued and taken in order, so what is within the window here is so when it is taken.
        if (options_.window != 0) static_cast<void>(turns_.take([this] { return cancelled(); }));
        if (cancelled()) break;
        push([this, chunk](std::size_t worker) { work_on(worker, chunk); });
      }
    } catch (...) {
      failure_.capture();  // no memory for the queue
    }
    {
      std::unique_lock lock(mutex_);
      drained_.wait(lock, [this] { return unfinished_ == 0; });
    }
    failure_.rethrow();
  }

 private:
  void push(Job job) {
    std::unique_lock lock(mutex_);
    not_full_.wait(lock, [this] { return jobs_.size() < kQueuedJobsPerWorker * workers_.size(); });
    jobs_.push(std::move(job));
    ++unfinished_;
    lock.unlock();
    not_empty_.notify_one();
  }

  void work(std::size_t worker) {
    tie(worker);
    std::unique_lock lock(mutex_);
    for (;;) {
      not_empty_.wait(lock, [this] { return quit_ || !jobs_.empty(); });
      if (jobs_.empty()) return;
      const Job job = std::move(jobs_.front());
      jobs_.pop();
      lock.unlock();
      not_full_.notify_one();
      job(worker);
      lock.lock();
      if (--unfinished_ == 0) drained_.notify_one();
    }
  }

  void work_on(std::size_t worker, std::uint64_t chunk) noexcept {
    if (!cancelled()) run_chunk(worker, chunks()[chunk], *on_chunk_);
    if (options_.window != 0) turns_.finish(chunk);
  }

  // Also for a pool of which some threads could not be started.
  void quit() noexcept {
    {
      const std::lock_guard lock(mutex_);
      quit_ = true;
    }
    not_empty_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }

  alignas(kLineBytes) Turns turns_;
  const OnChunk* on_chunk_ = nullptr;  // set while the queue is empty; the queue's mutex publishes it
  std::mutex mutex_;                   // guards the next three
  std::queue<Job> jobs_;
  std::size_t unfinished_ = 0;  // queued or running
  bool quit_ = false;
  std::condition_variable not_empty_, not_full_, drained_;
  std::vector<std::thread> threads_;
};

}  // namespace

std::string refuse_mutex_queue(const StrategyOptions& options) {
  return refuse_but_dynamic("mutex_queue", options, {.bind = true});
}

std::unique_ptr<Executor> make_mutex_queue(const Workload& workload, const StrategyOptions& options) {
  return std::make_unique<MutexQueue>(workload, options);
}

}  // namespace noisefloor
