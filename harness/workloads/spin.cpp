// Tasks that compute for a chosen time and touch no memory.
// SPDX-License-Identifier: MIT
#include "harness/workloads/spin.hpp"

#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>

#include "harness/base/error.hpp"
#include "harness/base/shared_mapping.hpp"
#include "kernels/spin.hpp"

namespace noisefloor {
namespace {

// No task is expected to end here (one in 2^64 would), so it marks the tasks that did not run.
constexpr std::uint64_t kPoison = ~std::uint64_t{0};

// Neighbouring tasks start far apart (Fibonacci hashing).
constexpr std::uint64_t start_of(std::uint32_t task) noexcept {
  return (std::uint64_t{task} + 1) * 0x9E3779B97F4A7C15U;
}

// Results lie 8 bytes apart, so neighbouring tasks of different workers share cache lines: it is what
// collecting small results costs, equal for all strategies, and one store per task.
class Spin final : public Workload {
 public:
  Spin(std::uint32_t tasks, std::uint64_t steps)
      : steps_(steps), output_(std::size_t{tasks} * sizeof(std::uint64_t)), results_(output_.as<std::uint64_t>()) {
    poison();
  }

  [[nodiscard]] std::uint32_t task_count() const override { return static_cast<std::uint32_t>(results_.size()); }

  void run(TaskRange range, std::span<TaskResult> results, std::vector<std::byte>& returned) const override {
    each(range, results, returned,
         [this](std::uint32_t task, std::vector<std::byte>&) { results_[task] = spin(start_of(task), steps_); });
  }

  void prepare(std::uint32_t iterations) override {
    static_cast<void>(iterations);
    poison();
  }

  [[nodiscard]] std::uint64_t digest(TaskRange range) const override {
    std::uint64_t sum = 0;
    for (std::uint32_t task = range.first; task < range.last; ++task) {
      const std::uint64_t result = results_[task];
      if (result == kPoison) throw Error(fmt::format("spin: task {} left no result: it did not run", task));
      sum += XXH3_64bits_withSeed(&result, sizeof result, task);
    }
    return sum;
  }

 private:
  void poison() { std::fill(results_.begin(), results_.end(), kPoison); }

  std::uint64_t steps_;
  SharedMapping output_;
  std::span<std::uint64_t> results_;
};

}  // namespace

std::unique_ptr<Workload> make_spin(const WorkloadOptions& options) {
  if (options.task_size == 0) throw UsageError("spin: a task of 0 steps is no task: give a task_size of at least 1");
  constexpr std::uint64_t kMostTasks = kLargestSpinBytes / sizeof(std::uint64_t);
  if (options.tasks > kMostTasks) {
    throw UsageError(fmt::format("spin: the results of {} tasks are held in memory, at most {}; give fewer tasks",
                                 options.tasks, kMostTasks));
  }
  return std::make_unique<Spin>(options.tasks, options.task_size);
}

}  // namespace noisefloor
