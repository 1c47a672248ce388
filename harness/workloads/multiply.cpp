// Tasks so small that what is timed is how they are handed out: numbers multiplied by ten.
// SPDX-License-Identifier: MIT
#include "harness/workloads/multiply.hpp"

#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>

#include "harness/base/error.hpp"
#include "harness/base/shared_mapping.hpp"

namespace noisefloor {
namespace {

// Odd, so ten times no number: it marks the items that no task wrote.
constexpr std::uint64_t kPoison = ~std::uint64_t{0};

// Results of neighbouring tasks lie side by side, so different workers share cache lines at the borders of
// their chunks: what collecting small results costs, equal for all strategies.
class Multiply final : public Workload {
 public:
  Multiply(std::uint32_t tasks, std::size_t task_size)
      : tasks_(tasks),
        task_size_(task_size),
        in_memory_(tasks * task_size * sizeof(std::uint64_t)),
        out_memory_(in_memory_.size()),
        in_(in_memory_.as<std::uint64_t>()),
        out_(out_memory_.as<std::uint64_t>()) {
    for (std::size_t i = 0; i < in_.size(); ++i) in_[i] = i;
    poison();
  }

  [[nodiscard]] std::uint32_t task_count() const override { return tasks_; }

  /// The tasks of a chunk lie side by side, cannot fail and return nothing: one loop, since each(), which catches what
  /// a task throws, costs several times as much as a task.
  void run(TaskRange range, std::span<TaskResult> results, std::vector<std::byte>& /*returned*/) const override {
    std::uint32_t task = range.first;
    for (TaskResult& result : results.first(range.size())) result = TaskResult{.task = task++};
    const std::uint64_t* const in = in_.data();
    std::uint64_t* const out = out_.data();
    const std::size_t last = range.last * task_size_;
    for (std::size_t i = range.first * task_size_; i < last; ++i) out[i] = in[i] * 10;
  }

  void prepare(std::uint32_t iterations) override {
    static_cast<void>(iterations);
    poison();
  }

  [[nodiscard]] std::uint64_t digest(TaskRange range) const override {
    std::uint64_t sum = 0;
    for (std::uint32_t task = range.first; task < range.last; ++task) {
      const std::span<const std::uint64_t> items = out_.subspan(task * task_size_, task_size_);
      const auto unwritten = std::find(items.begin(), items.end(), kPoison);
      if (unwritten != items.end()) {
        throw Error(fmt::format("multiply: task {} did not write its item {} of {}", task, unwritten - items.begin(),
                                task_size_));
      }
      sum += XXH3_64bits_withSeed(items.data(), items.size_bytes(), task);
    }
    return sum;
  }

 private:
  void poison() { std::fill(out_.begin(), out_.end(), kPoison); }

  std::uint32_t tasks_;
  std::size_t task_size_;
  SharedMapping in_memory_, out_memory_;
  std::span<std::uint64_t> in_, out_;
};

}  // namespace

std::unique_ptr<Workload> make_multiply(const WorkloadOptions& options) {
  constexpr std::uint64_t kMostItems = kLargestMultiplyBytes / (2 * sizeof(std::uint64_t));
  if (options.task_size == 0) {
    throw UsageError("multiply: a task of 0 items is no task: give a task_size of at least 1");
  }
  if (options.tasks != 0 && options.task_size > kMostItems / options.tasks) {
    throw UsageError(
        fmt::format("multiply: {} tasks of {} items: input and output are held in memory, at most {} items together; "
                    "give fewer or smaller tasks",
                    options.tasks, options.task_size, kMostItems));
  }
  return std::make_unique<Multiply>(options.tasks, options.task_size);
}

}  // namespace noisefloor
