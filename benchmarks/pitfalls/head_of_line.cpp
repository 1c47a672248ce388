// Head-of-line blocking: the first of 100 tasks is slow; in order, all others wait behind it.
// SPDX-License-Identifier: MIT
#include <memory>

#include "benchmarks/pitfalls/support.hpp"
#include "benchmarks/pitfalls/table.hpp"
#include "harness/strategies/deliver.hpp"
#include "harness/strategies/strategy.hpp"
#include "kernels/spin.hpp"

namespace noisefloor {
namespace {

// variant: in_order as_they_come all_at_once
/// Task 0 takes 200 times as long as each of the others. A task returns its number.
class SlowFirst final : public Workload {
 public:
  [[nodiscard]] std::uint32_t task_count() const override { return 100; }
  void run(TaskRange range, std::span<TaskResult> results, std::vector<std::byte>& returned) const override {
    each(range, results, returned, [](std::uint32_t task, std::vector<std::byte>& bytes) {
      bytes.push_back(static_cast<std::byte>(spin(task, task == 0 ? 4'000'000 : 20'000) ^ task));
    });
  }
  [[nodiscard]] std::uint64_t digest(TaskRange) const override { return 0; }
};

Answer run_with(Bench& bench, Delivery delivery) {
  static const SlowFirst tasks;
  static const auto pool = make_executor(select_strategy("std_thread"), tasks, {.workers = bench.workers});
  Answer sum = 0;
  deliver(*pool, tasks.task_count(), delivery,
          [&](std::span<const TaskResult> results, std::span<const std::byte> bytes) {
            bench.first_result();  // what the user sees first, or the next stage starts with
            for (std::size_t i = 0; i < results.size(); ++i) sum += results[i].task * static_cast<Answer>(bytes[i]);
          });
  return sum;
}
// end

// variant: in_order
Answer in_order(Bench& bench) { return run_with(bench, Delivery::ordered); }  // imap
// end

// variant: as_they_come
Answer as_they_come(Bench& bench) { return run_with(bench, Delivery::unordered); }  // imap_unordered
// end

// variant: all_at_once
Answer all_at_once(Bench& bench) { return run_with(bench, Delivery::collected); }  // map
// end

constexpr Variant kVariants[] = {
    {.name = "in_order", .role = Role::bad, .help = "results in task order, as early as that allows", .run = in_order},
    {.name = "as_they_come", .role = Role::good, .help = "results as soon as they are there", .run = as_they_come},
    {.name = "all_at_once", .role = Role::reference, .help = "all results together, at the end", .run = all_at_once},
};

}  // namespace

constexpr Pitfall kHeadOfLine{
    .name = "head_of_line",
    .title = "Ordered results behind one slow task",
    .lesson = "In order, nothing is delivered before the first task is done, however many others are.",
    .measure = "first_result_ns",
    .source = "by construction: the first task is 200 times as long as the others",
    .advice =
        "Take results as they come (imap_unordered) and carry the task's number along; sort at the end if the order "
        "matters at all.",
    .variants = kVariants,
    .refuse = needs_two_cpus,
};

}  // namespace noisefloor
