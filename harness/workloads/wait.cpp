// Tasks that are blocked and need no CPU, as if they waited for a disk or a peer.
// SPDX-License-Identifier: MIT
#include "harness/workloads/wait.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <ctime>

#include "harness/base/error.hpp"
#include "harness/workloads/result_slots.hpp"

namespace noisefloor {
namespace {

constexpr std::uint64_t kNsPerSecond = 1'000'000'000;

// Until a point in time, not for a duration: a signal must not prolong it.
std::uint64_t ns_from_now(std::uint64_t duration) {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * kNsPerSecond + static_cast<std::uint64_t>(now.tv_nsec) + duration;
}

void sleep_ns(std::uint64_t duration) {
  const std::uint64_t ns = ns_from_now(duration);
  const timespec until{.tv_sec = static_cast<std::time_t>(ns / kNsPerSecond),
                       .tv_nsec = static_cast<long>(ns % kNsPerSecond)};
  int error = EINTR;
  while (error == EINTR) error = ::clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, nullptr);
  if (error != 0) throw system_error("wait: the task cannot sleep", error);
}

// In stages: the wait is for data to extract, as if from a peer: a task's one piece, its number plus one. transform
// leaves it, load stores it.
class WaitWorkload final : public Workload, private Stages {
 public:
  WaitWorkload(std::uint32_t tasks, std::uint64_t duration_ns) : duration_ns_(duration_ns), results_(tasks) {}

  [[nodiscard]] std::uint32_t task_count() const override { return results_.size(); }

  void run(TaskRange range, std::span<TaskResult> results, std::vector<std::byte>& returned) const override {
    each(range, results, returned, [this](std::uint32_t task, std::vector<std::byte>&) {
      sleep_ns(duration_ns_);
      results_[task] = answer(task);
    });
  }

  void prepare(std::uint32_t /*iterations*/) override { results_.poison(); }

  [[nodiscard]] std::uint64_t digest(TaskRange range) const override { return results_.digest(range, "wait"); }

  [[nodiscard]] const Stages* stages() const override { return this; }

 private:
  class OpenTask final : public StagedTask {
   public:
    OpenTask(const WaitWorkload& workload, std::uint32_t task) : workload_(workload), task_(task) {}

    [[nodiscard]] std::size_t extract(std::span<std::byte> room, Piece& /*piece*/) override {
      if (is_extracted_) return 0;
      sleep_ns(workload_.duration_ns_);
      return answer_into(room);
    }
    [[nodiscard]] std::size_t begin_extract(std::span<std::byte> room, Piece& /*piece*/, Wait& wait) override {
      if (is_extracted_) return 0;
      wait = {.what = Wait::For::time, .until_ns = ns_from_now(workload_.duration_ns_)};
      return answer_into(room);
    }
    void transform(std::span<std::byte> /*data*/, Piece& /*piece*/) override {}
    void load(std::span<const std::byte> data, const Piece& /*piece*/) override {
      std::memcpy(&workload_.results_[task_], data.data(), sizeof(std::uint64_t));
    }
    void finish(std::vector<std::byte>& /*returned*/) override {}

   private:
    std::size_t answer_into(std::span<std::byte> room) {
      is_extracted_ = true;
      const std::uint64_t number = answer(task_);
      std::memcpy(room.data(), &number, sizeof number);
      return sizeof number;
    }

    const WaitWorkload& workload_;
    std::uint32_t task_;
    bool is_extracted_ = false;
  };

  static std::uint64_t answer(std::uint32_t task) noexcept { return std::uint64_t{task} + 1; }

  [[nodiscard]] std::size_t piece_bytes() const noexcept override { return sizeof(std::uint64_t); }
  [[nodiscard]] std::unique_ptr<StagedTask> open(std::uint32_t task) const override {
    return std::make_unique<OpenTask>(*this, task);
  }
  void transform(std::uint32_t /*task*/, std::span<std::byte> /*data*/, Piece& /*piece*/) const override {}

  std::uint64_t duration_ns_;
  ResultSlots results_;
};

}  // namespace

std::unique_ptr<Workload> make_wait(const WorkloadOptions& options) {
  if (options.task_size == 0 || options.task_size > kLongestWaitNs) {
    throw UsageError(
        fmt::format("wait: a task of {} ns: give a task_size of 1 to {}, an hour", options.task_size, kLongestWaitNs));
  }
  return std::make_unique<WaitWorkload>(options.tasks, options.task_size);
}

}  // namespace noisefloor
