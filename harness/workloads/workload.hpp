// What is done: N independent tasks, and nothing about how they are run.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>
#include <vector>

namespace noisefloor {

/// Consecutive tasks [first, last).
struct TaskRange {
  std::uint32_t first = 0;
  std::uint32_t last = 0;

  [[nodiscard]] std::uint32_t size() const noexcept { return last - first; }
  friend bool operator==(const TaskRange&, const TaskRange&) = default;
};

/// What became of one task. Crosses process borders as bytes.
struct TaskResult {
  std::uint32_t task = 0;
  std::uint32_t bytes = 0;   ///< this task's share of `returned`
  std::uint16_t worker = 0;  ///< 0 … workers-1: who ran it
  std::uint16_t status = 0;  ///< 0 done; else failed, and `returned` holds the message
};
static_assert(std::is_trivially_copyable_v<TaskResult>);

inline constexpr std::uint16_t kTaskFailed = 1;

/// Time that the tasks of one repetition spent in each stage, summed over workers, in ns.
struct StageTimes {
  std::uint64_t extract_ns = 0;
  std::uint64_t transform_ns = 0;
  std::uint64_t load_ns = 0;
};

/// Amounts that one iteration moves; empty where they mean nothing.
struct Volume {
  std::optional<std::uint64_t> samples, bytes_read, bytes_written;
};

/// N independent tasks. run() and digest() are thread-safe for disjoint ranges; the rest is called by
/// the thread that owns the workload, while no task runs.
class Workload {
 public:
  Workload() = default;
  Workload(const Workload&) = delete;
  Workload& operator=(const Workload&) = delete;
  virtual ~Workload() = default;

  [[nodiscard]] virtual std::uint32_t task_count() const = 0;

  /// Runs the tasks of `range`. results[k] is filled for task range.first + k (`worker` is left to the
  /// executor); what a task returns, data or error message, is appended to `returned` in task order.
  /// A task that throws becomes a failed result (see each()); run() itself throws only std::bad_alloc.
  virtual void run(TaskRange range, std::span<TaskResult> results, std::vector<std::byte>& returned) const = 0;

  /// Before the clock: makes room for `iterations` iterations and makes old output unrecognisable, so
  /// that a digest can only come from tasks that ran.
  virtual void prepare(std::uint32_t iterations) { static_cast<void>(iterations); }

  /// Inside the clock: selects the output of iteration `iteration` (< iterations). Cheap; seen by forked
  /// workers too.
  virtual void begin(std::uint32_t iteration) { static_cast<void>(iteration); }

  /// After the clock: what prepare() and the tasks left behind is removed.
  virtual void clean() {}

  /// How many of the last repetition's iterations left output that can still be digested: all of them
  /// where each writes files of its own, 1 where they overwrite a buffer.
  [[nodiscard]] virtual std::uint32_t digestible_iterations(std::uint32_t iterations) const {
    static_cast<void>(iterations);
    return 1;
  }

  /// Digest of the output of the tasks of `range`, in the iteration selected by begin(): a sum of
  /// hashes seeded by task number, so that parts can be added up. Throws Error where output is missing.
  [[nodiscard]] virtual std::uint64_t digest(TaskRange range) const = 0;

  /// Stage times since the last prepare(); none for workloads without stages.
  [[nodiscard]] virtual std::optional<StageTimes> stage_times() const { return std::nullopt; }

  /// What one iteration reads, writes and computes.
  [[nodiscard]] virtual Volume volume() const { return {}; }
};

/// Runs f(task, returned) for every task of `range` and records the outcome. An exception of f becomes
/// a failed result with its message; the other tasks go on. The one place where tasks are caught.
template <class F>
void each(TaskRange range, std::span<TaskResult> results, std::vector<std::byte>& returned, F&& f) {
  for (std::uint32_t task = range.first; task < range.last; ++task) {
    TaskResult& result = results[task - range.first];
    result = TaskResult{.task = task};
    const std::size_t before = returned.size();
    const auto fail = [&](std::string_view message) {
      returned.resize(before);
      const auto* bytes = reinterpret_cast<const std::byte*>(message.data());
      returned.insert(returned.end(), bytes, bytes + message.size());
      result.status = kTaskFailed;
    };
    try {
      f(task, returned);
    } catch (const std::exception& error) {
      fail(error.what());
    } catch (...) {
      fail("unknown exception");
    }
    result.bytes = static_cast<std::uint32_t>(returned.size() - before);
  }
}

}  // namespace noisefloor
