// Tasks that are blocked and need no CPU, as if they waited for a disk or a peer.
// SPDX-License-Identifier: MIT
#include "harness/workloads/wait.hpp"

#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>
#include <cerrno>
#include <ctime>

#include "harness/base/error.hpp"
#include "harness/base/shared_mapping.hpp"

namespace noisefloor {
namespace {

constexpr std::uint64_t kNsPerSecond = 1'000'000'000;

// Marks the tasks that did not run: no task's number plus one reaches it.
constexpr std::uint64_t kPoison = ~std::uint64_t{0};

// Until a point in time, not for a duration: a signal must not prolong it.
void sleep_ns(std::uint64_t duration) {
  timespec until{};
  ::clock_gettime(CLOCK_MONOTONIC, &until);
  const std::uint64_t ns = static_cast<std::uint64_t>(until.tv_nsec) + duration;
  until.tv_sec += static_cast<std::time_t>(ns / kNsPerSecond);
  until.tv_nsec = static_cast<long>(ns % kNsPerSecond);
  int error = EINTR;
  while (error == EINTR) error = ::clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, nullptr);
  if (error != 0) throw system_error("wait: the task cannot sleep", error);
}

class Wait final : public Workload {
 public:
  Wait(std::uint32_t tasks, std::uint64_t duration_ns)
      : duration_ns_(duration_ns),
        output_(std::size_t{tasks} * sizeof(std::uint64_t)),
        results_(output_.as<std::uint64_t>()) {
    poison();
  }

  [[nodiscard]] std::uint32_t task_count() const override { return static_cast<std::uint32_t>(results_.size()); }

  void run(TaskRange range, std::span<TaskResult> results, std::vector<std::byte>& returned) const override {
    each(range, results, returned, [this](std::uint32_t task, std::vector<std::byte>&) {
      sleep_ns(duration_ns_);
      results_[task] = std::uint64_t{task} + 1;
    });
  }

  void prepare(std::uint32_t iterations) override {
    static_cast<void>(iterations);
    poison();
  }

  [[nodiscard]] std::uint64_t digest(TaskRange range) const override {
    std::uint64_t sum = 0;
    for (std::uint32_t task = range.first; task < range.last; ++task) {
      const std::uint64_t result = results_[task];
      if (result == kPoison) throw Error(fmt::format("wait: task {} left no result: it did not run", task));
      sum += XXH3_64bits_withSeed(&result, sizeof result, task);
    }
    return sum;
  }

 private:
  void poison() { std::fill(results_.begin(), results_.end(), kPoison); }

  std::uint64_t duration_ns_;
  SharedMapping output_;
  std::span<std::uint64_t> results_;
};

}  // namespace

std::unique_ptr<Workload> make_wait(const WorkloadOptions& options) {
  if (options.task_size == 0 || options.task_size > kLongestWaitNs) {
    throw UsageError(
        fmt::format("wait: a task of {} ns: give a task_size of 1 to {}, an hour", options.task_size, kLongestWaitNs));
  }
  return std::make_unique<Wait>(options.tasks, options.task_size);
}

}  // namespace noisefloor
