// Threads of which one at a time transforms.
// SPDX-License-Identifier: MIT
#include "harness/strategies/global_lock.hpp"

#include <mutex>

#include "harness/strategies/fair_lock.hpp"
#include "harness/strategies/std_thread.hpp"

namespace noisefloor {
namespace {

constexpr std::string_view kName = "global_lock";

/// The tasks of a workload, in stages under the lock.
class Locked final : public Workload {
 public:
  Locked(const Workload& workload, int workers) : workload_(workload), lock_(static_cast<std::size_t>(workers)) {}

  [[nodiscard]] std::uint32_t task_count() const override { return workload_.task_count(); }
  void run(TaskRange range, std::span<TaskResult> results, std::vector<std::byte>& returned) const override {
    const Stages& stages = *workload_.stages();
    thread_local std::vector<std::byte> room;  // kept, so that its pages fault once
    room.resize(stages.piece_bytes());
    each(range, results, returned, [&](std::uint32_t task, std::vector<std::byte>& to) {
      const std::unique_ptr<StagedTask> open = stages.open(task);
      Piece piece;
      while (const std::size_t bytes = open->extract(room, piece)) {
        const std::span<std::byte> data = std::span(room).first(bytes);
        {
          const std::lock_guard hold(lock_);
          open->transform(data, piece);
        }
        open->load(data, piece);
      }
      open->finish(to);
    });
  }
  [[nodiscard]] std::uint64_t digest(TaskRange range) const override { return workload_.digest(range); }

 private:
  const Workload& workload_;
  mutable FairLock lock_;
};

class GlobalLock final : public Executor {
 public:
  GlobalLock(const Workload& workload, const StrategyOptions& options)
      : locked_(workload, options.workers), pool_(make_thread_pool(kName, locked_, options)) {}

  void run(const OnChunk& on_chunk) override { pool_->run(on_chunk); }
  [[nodiscard]] std::uint64_t digest() const override { return pool_->digest(); }

 private:
  Locked locked_;
  std::unique_ptr<Executor> pool_;
};

}  // namespace

std::string refuse_global_lock(const StrategyOptions& options) {
  return refuse_but_dynamic(kName, options, {.bind = true});
}

std::unique_ptr<Executor> make_global_lock(const Workload& workload, const StrategyOptions& options) {
  return std::make_unique<GlobalLock>(workload, options);
}

}  // namespace noisefloor
