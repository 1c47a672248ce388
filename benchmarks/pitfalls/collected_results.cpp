// Collected results: all of them are held until the last is there, or each is used and dropped as it comes.
// SPDX-License-Identifier: MIT
#include <algorithm>
#include <memory>

#include "benchmarks/pitfalls/support.hpp"
#include "benchmarks/pitfalls/table.hpp"
#include "harness/strategies/deliver.hpp"
#include "harness/strategies/strategy.hpp"
#include "harness/workloads/table.hpp"

namespace noisefloor {
namespace {

constexpr std::uint32_t kTasks = 1'024;
constexpr std::uint64_t kResultBytes = 64UL << 10;

// variant: collected streaming
/// 1024 tasks that return 64 KiB each.
Answer run_with(Bench& bench, Delivery delivery) {
  static const auto tasks = select_workload("payload").make({.tasks = kTasks, .task_size = kResultBytes});
  static const auto pool = make_executor(select_strategy("std_thread"), *tasks, {.workers = bench.workers});
  Answer sum = 0;
  const DeliveryCount count = deliver(*pool, kTasks, delivery, [&](auto results, auto bytes) {
    bench.first_result();
    for (const TaskResult& result : results) {
      for (std::size_t i = 0; i < result.bytes; i += 4'093) sum += static_cast<Answer>(bytes[i]);
      bytes = bytes.subspan(result.bytes);
    }
  });
  bench.count.held = std::max(bench.count.held, count.peak_held);
  return sum;
}
// end

// variant: collected
Answer collected(Bench& bench) { return run_with(bench, Delivery::collected); }  // Pool.map
// end

// variant: streaming
Answer streaming(Bench& bench) { return run_with(bench, Delivery::unordered); }  // Pool.imap_unordered
// end

constexpr Variant kVariants[] = {
    {.name = "collected", .role = Role::bad, .help = "a list of all results at the end", .run = collected},
    {.name = "streaming", .role = Role::good, .help = "each result as it comes", .run = streaming},
};

}  // namespace

constexpr Pitfall kCollectedResults{
    .name = "collected_results",
    .title = "A list of all results, though each is used once",
    .lesson =
        "map() holds every result until the last task is done: time to the first result is the time of the batch, and "
        "memory is the sum of all.",
    .harm = Harm::memory,
    .measure = "peak_rss_bytes",
    .source = "the talk says that map() uses more memory; here 64 MiB of results, beside what the program itself needs",
    .advice = "Take results as they come (imap, imap_unordered), or let tasks write their results and return a name.",
    .variants = kVariants,
};

}  // namespace noisefloor
