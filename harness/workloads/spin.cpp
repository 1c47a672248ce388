// Tasks that compute for a chosen time and touch no memory.
// SPDX-License-Identifier: MIT
#include "harness/workloads/spin.hpp"

#include <fmt/format.h>

#include "harness/base/error.hpp"
#include "harness/workloads/result_slots.hpp"
#include "kernels/spin.hpp"

namespace noisefloor {
namespace {

// Neighbouring tasks start far apart (Fibonacci hashing).
constexpr std::uint64_t start_of(std::uint32_t task) noexcept {
  return (std::uint64_t{task} + 1) * 0x9E3779B97F4A7C15U;
}

class Spin final : public Workload {
 public:
  Spin(std::uint32_t tasks, std::uint64_t steps) : steps_(steps), results_(tasks) {}

  [[nodiscard]] std::uint32_t task_count() const override { return results_.size(); }

  void run(TaskRange range, std::span<TaskResult> results, std::vector<std::byte>& returned) const override {
    each(range, results, returned,
         [this](std::uint32_t task, std::vector<std::byte>&) { results_[task] = spin(start_of(task), steps_); });
  }

  void prepare(std::uint32_t /*iterations*/) override { results_.poison(); }

  [[nodiscard]] std::uint64_t digest(TaskRange range) const override { return results_.digest(range, "spin"); }

 private:
  std::uint64_t steps_;
  ResultSlots results_;
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
