// What is done: N independent tasks, and nothing about how they are run.
// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <system_error>
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

/// The most bytes that a piece of a task holds.
inline constexpr std::size_t kLargestPieceBytes = std::size_t{256} << 10;

/// What transform() needs to know of a piece beside its data, and what it found there: written and read by the workload
/// alone. Crosses process borders as bytes, so it holds values, never addresses.
class Piece {
 public:
  template <class T>
  [[nodiscard]] T get() const noexcept {
    check<T>();
    T state;
    std::memcpy(&state, bytes_.data(), sizeof state);
    return state;
  }
  template <class T>
  void set(const T& state) noexcept {
    check<T>();
    std::memcpy(bytes_.data(), &state, sizeof state);
  }

 private:
  static constexpr std::size_t kStateBytes = 384;

  template <class T>
  static constexpr void check() noexcept {
    static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= kStateBytes);
  }

  alignas(8) std::array<std::byte, kStateBytes> bytes_{};
};
static_assert(std::is_trivially_copyable_v<Piece>);

/// What a stage of a task waits for, told so that one thread can wait for many.
struct Wait {
  enum class For : std::uint8_t { nothing, time, read, write };
  For what = For::nothing;
  int fd = -1;
  std::uint64_t offset = 0;        ///< in the file
  std::span<std::byte> data = {};  ///< read or written as it is: all of it
  std::uint64_t until_ns = 0;      ///< time: of CLOCK_MONOTONIC
};

/// A task that was opened, to be taken through its stages piece by piece: extract, transform, load, then the next piece
/// (what transform found in one piece goes into the next); finish when extract finds nothing more. Each may throw what
/// makes the task fail. Destroyed without finish(), it is abandoned: nothing of it remains, its temporary file is gone.
/// For one thread at a time; gone before its workload, and before the next prepare(), begin() or clean().
class StagedTask {
 public:
  StagedTask() = default;
  StagedTask(const StagedTask&) = delete;
  StagedTask& operator=(const StagedTask&) = delete;
  virtual ~StagedTask() = default;

  /// Reads the next piece into the beginning of `room`, which has Stages::piece_bytes() bytes, and says in `piece` what
  /// transform must know of it. Returns how many bytes there are; 0: none are left.
  [[nodiscard]] virtual std::size_t extract(std::span<std::byte> room, Piece& piece) = 0;
  /// Stages::transform() of this task in this process.
  virtual void transform(std::span<std::byte> data, Piece& piece) = 0;
  /// Writes what extract() read and transform() changed. What passed since the former ended counts as time of
  /// transform, wherever that ran.
  virtual void load(std::span<const std::byte> data, const Piece& piece) = 0;

  /// extract() and load() for who has many tasks: they may tell in `wait` what they would wait for, and leave it
  /// undone. Who calls them then does it, calls end_wait(), and goes on as after extract() and load(). These tell of
  /// nothing.
  [[nodiscard]] virtual std::size_t begin_extract(std::span<std::byte> room, Piece& piece, Wait& wait) {
    wait = {};
    return extract(room, piece);
  }
  virtual void begin_load(std::span<std::byte> data, const Piece& piece, Wait& wait) {
    wait = {};
    load(data, piece);
  }
  /// What was waited for is done, if `error` (an errno value) is 0; else throws.
  virtual void end_wait(int error) {
    if (error != 0) throw std::system_error(error, std::generic_category());
  }

  /// Completes the task: its output is there, and what it returns is appended. Once only.
  virtual void finish(std::vector<std::byte>& returned) = 0;
};

/// The stages of the tasks of one workload, for strategies that run them apart. The output is that of Workload::run().
class Stages {
 public:
  Stages() = default;
  Stages(const Stages&) = delete;
  Stages& operator=(const Stages&) = delete;
  virtual ~Stages() = default;

  /// Size of the largest piece; at most kLargestPieceBytes.
  [[nodiscard]] virtual std::size_t piece_bytes() const noexcept = 0;
  /// Thread-safe. Throws what makes the task fail.
  [[nodiscard]] virtual std::unique_ptr<StagedTask> open(std::uint32_t task) const = 0;
  /// Changes the data of one piece of `task` in place. Thread-safe, and the same in a process that was forked after the
  /// workload was made: it knows the task by its number, and all else from `piece`.
  virtual void transform(std::uint32_t task, std::span<std::byte> data, Piece& piece) const = 0;
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

  /// digest() of a part means nothing: parts cannot be added up.
  [[nodiscard]] virtual bool digests_all_only() const noexcept { return false; }

  /// Most memory that a process had which a task started, since the last prepare(); 0: tasks start none.
  [[nodiscard]] virtual std::uint64_t peak_child_bytes() const noexcept { return 0; }

  /// No two threads of a process may run tasks at once.
  [[nodiscard]] virtual bool one_thread() const noexcept { return false; }

  /// The stages of the tasks, for as long as this object; null where a task has none that could be run apart.
  [[nodiscard]] virtual const Stages* stages() const { return nullptr; }
};

/// Runs f(task, returned) and records the outcome. An exception of f becomes a failed result with its message. The one
/// place where tasks are caught.
template <class F>
void attempt(std::uint32_t task, TaskResult& result, std::vector<std::byte>& returned, F&& f) {
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

/// attempt() for every task of `range`: one that fails does not keep the others from running.
template <class F>
void each(TaskRange range, std::span<TaskResult> results, std::vector<std::byte>& returned, F&& f) {
  for (std::uint32_t task = range.first; task < range.last; ++task) {
    attempt(task, results[task - range.first], returned, f);
  }
}

}  // namespace noisefloor
