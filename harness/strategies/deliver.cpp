// Collected, ordered and unordered results from the completions that any executor reports.
// SPDX-License-Identifier: MIT
#include "harness/strategies/deliver.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <mutex>
#include <utility>
#include <vector>

#include "harness/base/names.hpp"
#include "harness/strategies/chunks.hpp"

namespace noisefloor {
namespace {

constexpr std::array kDeliveries = {
    DeliveryRow{"collected", "all results in task order, after the last task is done (map)", "", Delivery::collected},
    DeliveryRow{"ordered", "in task order, as early as that order allows (imap)", "", Delivery::ordered},
    DeliveryRow{"unordered", "as they come (imap_unordered)", "", Delivery::unordered},
};

// Marks a slot that holds no result: there are at most 2^32 - 1 tasks, so none has this number.
constexpr std::uint32_t kNoTask = std::numeric_limits<std::uint32_t>::max();

// The one place from which the consumer is called, by one thread at a time: callers see to that.
class Counter {
 public:
  explicit Counter(const Consumer& consume) : consume_(consume) {}

  void hand_over(std::span<const TaskResult> results, std::span<const std::byte> returned) {
    count_.results += results.size();
    for (const TaskResult& result : results) count_.failed += result.status != 0 ? 1 : 0;
    consume_(results, returned);
  }
  void held(std::uint64_t results) { count_.peak_held = std::max(count_.peak_held, results); }
  [[nodiscard]] const DeliveryCount& count() const { return count_; }

 private:
  const Consumer& consume_;
  DeliveryCount count_;
};

// An OnChunk must not throw, yet memory may run out while a result is held: the first exception is kept,
// what comes after it is dropped, and deliver() throws it once the executor is done.
template <class F>
OnChunk guarded(Failure& failure, F& f) {
  return [&failure, &f](std::span<const TaskResult> results, std::span<const std::byte> returned) {
    if (failure.happened()) return;
    try {
      f(results, returned);
    } catch (...) {
      failure.capture();
    }
  };
}

DeliveryCount deliver_unordered(Executor& executor, const Consumer& consume) {
  Counter counter(consume);
  std::mutex mutex;
  const auto receive = [&](std::span<const TaskResult> results, std::span<const std::byte> returned) {
    const std::lock_guard lock(mutex);
    counter.hand_over(results, returned);
  };
  Failure failure;
  executor.run(guarded(failure, receive));
  failure.rethrow();
  return counter.count();
}

// Every task has a slot of its own, so results need no lock; the lock is for the bytes of those chunks
// that return any.
DeliveryCount deliver_collected(Executor& executor, std::uint32_t task_count, const Consumer& consume) {
  struct Part {
    std::uint32_t first;
    std::vector<std::byte> bytes;
  };
  std::vector<TaskResult> slots(task_count, TaskResult{.task = kNoTask});
  std::mutex mutex;
  std::vector<Part> parts;
  const auto receive = [&](std::span<const TaskResult> results, std::span<const std::byte> returned) {
    for (const TaskResult& result : results) slots[result.task] = result;
    if (returned.empty()) return;
    Part part{results.front().task, {returned.begin(), returned.end()}};
    const std::lock_guard lock(mutex);
    parts.push_back(std::move(part));
  };
  Failure failure;
  executor.run(guarded(failure, receive));
  failure.rethrow();

  std::erase_if(slots, [](const TaskResult& slot) { return slot.task == kNoTask; });  // not run after a stop
  std::sort(parts.begin(), parts.end(), [](const Part& a, const Part& b) { return a.first < b.first; });
  std::size_t size = 0;
  for (const Part& part : parts) size += part.bytes.size();
  std::vector<std::byte> returned;
  returned.reserve(size);
  for (Part& part : parts) {
    returned.insert(returned.end(), part.bytes.begin(), part.bytes.end());
    std::vector<std::byte>().swap(part.bytes);
  }
  Counter counter(consume);
  counter.held(slots.size());
  if (!slots.empty()) counter.hand_over(slots, returned);
  return counter.count();
}

// Results that came before their turn, in a ring that begins at the next task to deliver and grows to
// the farthest result held, so its size is bounded where the executor's window is.
class ReorderBuffer {
 public:
  // `next` is what is delivered next; results[k].task >= next.
  void hold(std::uint32_t next, std::span<const TaskResult> results, std::span<const std::byte> returned) {
    const std::size_t needed = std::size_t{results.back().task} - next + 1;
    if (needed > slots_.size()) grow(needed);
    std::size_t offset = 0;
    for (const TaskResult& result : results) {
      Slot& slot = at(result.task);
      const std::span<const std::byte> bytes = returned.subspan(offset, result.bytes);
      slot.returned.assign(bytes.begin(), bytes.end());
      slot.result = result;
      offset += result.bytes;
      ++held_;
    }
  }

  // Hands task `task` over and forgets it; false if it is not held.
  bool release(std::uint32_t task, Counter& counter) {
    if (held_ == 0 || at(task).result.task != task) return false;
    Slot& slot = at(task);
    counter.hand_over({&slot.result, 1}, slot.returned);
    slot.result.task = kNoTask;
    if (slot.returned.capacity() != 0) std::vector<std::byte>().swap(slot.returned);
    --held_;
    return true;
  }

  [[nodiscard]] std::uint64_t held() const { return held_; }

 private:
  struct Slot {
    TaskResult result{.task = kNoTask};
    std::vector<std::byte> returned;
  };

  [[nodiscard]] Slot& at(std::uint32_t task) { return slots_[task & (slots_.size() - 1)]; }

  void grow(std::size_t needed) {
    std::size_t size = std::max<std::size_t>(16, slots_.size());
    while (size < needed) size *= 2;  // a power of two: at() takes the low bits
    std::vector<Slot> old(size);
    std::swap(old, slots_);
    for (Slot& slot : old) {
      if (slot.result.task != kNoTask) at(slot.result.task) = std::move(slot);
    }
  }

  std::vector<Slot> slots_;
  std::uint64_t held_ = 0;
};

// The consumer is called under the lock: who finishes early waits for it, or for its turn in the buffer.
DeliveryCount deliver_ordered(Executor& executor, std::uint32_t task_count, const Consumer& consume) {
  Counter counter(consume);
  ReorderBuffer buffer;
  std::uint32_t next = 0;
  std::mutex mutex;
  const auto receive = [&](std::span<const TaskResult> results, std::span<const std::byte> returned) {
    const std::lock_guard lock(mutex);
    if (results.front().task != next) {
      buffer.hold(next, results, returned);
      counter.held(buffer.held());
      return;
    }
    counter.hand_over(results, returned);
    next = results.back().task + 1;
    while (buffer.release(next, counter)) ++next;
  };
  Failure failure;
  executor.run(guarded(failure, receive));
  failure.rethrow();
  // After a stop, tasks before these were not run.
  for (; buffer.held() != 0 && next < task_count; ++next) buffer.release(next, counter);
  return counter.count();
}

}  // namespace

std::span<const DeliveryRow> deliveries() noexcept { return kDeliveries; }

Delivery select_delivery(std::string_view name) { return find_by_name(kDeliveries, name, "delivery").delivery; }

DeliveryCount deliver(Executor& executor, std::uint32_t task_count, Delivery delivery, const Consumer& consume) {
  switch (delivery) {
    case Delivery::collected:
      return deliver_collected(executor, task_count, consume);
    case Delivery::ordered:
      return deliver_ordered(executor, task_count, consume);
    case Delivery::unordered:
      break;
  }
  return deliver_unordered(executor, consume);
}

}  // namespace noisefloor
