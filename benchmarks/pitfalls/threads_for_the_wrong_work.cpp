// Threads for the wrong work: eight threads per CPU help tasks that wait, and do nothing for tasks that compute.
// SPDX-License-Identifier: MIT
#include <memory>

#include "benchmarks/pitfalls/support.hpp"
#include "benchmarks/pitfalls/table.hpp"
#include "harness/strategies/deliver.hpp"
#include "harness/strategies/strategy.hpp"
#include "harness/workloads/table.hpp"

namespace noisefloor {
namespace {

constexpr std::uint32_t kTasks = 64;
constexpr std::uint64_t kWaitNs = 500'000;     // the workload `wait`: blocked, as if for a disk or a peer
constexpr std::uint64_t kSpinSteps = 400'000;  // the workload `spin`: about as long, but computing

// variant: waiting_few waiting_many computing_few computing_many
/// 64 tasks of the workload on a pool of threads. The answer: how many results came, without failures.
Answer run_with(const char* name, std::uint64_t task_size, int threads) {
  static const auto tasks = select_workload(name).make({.tasks = kTasks, .task_size = task_size});
  static const auto pool = make_executor(select_strategy("std_thread"), *tasks, {.workers = threads});
  const DeliveryCount count = deliver(*pool, kTasks, Delivery::unordered, [](auto, auto) {});
  return count.results - count.failed;
}
// end

// variant: waiting_few
Answer waiting_few(Bench& bench) { return run_with("wait", kWaitNs, bench.workers); }
// end

// variant: waiting_many
Answer waiting_many(Bench& bench) { return run_with("wait", kWaitNs, 8 * bench.workers); }
// end

// variant: computing_few
Answer computing_few(Bench& bench) { return run_with("spin", kSpinSteps, bench.workers); }
// end

// variant: computing_many
Answer computing_many(Bench& bench) { return run_with("spin", kSpinSteps, 8 * bench.workers); }
// end

constexpr Variant kVariants[] = {
    {.name = "waiting_few", .role = Role::bad, .help = "tasks that wait, one thread per CPU", .run = waiting_few},
    {.name = "waiting_many", .role = Role::good, .help = "tasks that wait, eight threads per CPU", .run = waiting_many},
    {.name = "computing_few",
     .role = Role::reference,
     .help = "tasks that compute, one thread per CPU",
     .run = computing_few},
    {.name = "computing_many",
     .role = Role::reference,
     .help = "tasks that compute, eight threads per CPU",
     .run = computing_many},
};

}  // namespace

constexpr Pitfall kThreadsForTheWrongWork{
    .name = "threads_for_the_wrong_work",
    .title = "As many threads as CPUs, for tasks that wait",
    .lesson =
        "A task that waits needs no CPU: eight times the threads finish eight times as many. A task that computes "
        "needs one: "
        "more threads than CPUs gain nothing.",
    .source = "the talk's advice on asyncio and threads; 8 by arithmetic",
    .advice =
        "Many threads (or asynchronous I/O) for what waits; as many workers as CPUs for what computes. Look at the CPU "
        "utilisation to see which it is.",
    .variants = kVariants,
};

}  // namespace noisefloor
