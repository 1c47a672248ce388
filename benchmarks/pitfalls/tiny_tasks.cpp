// Tiny tasks: x * 10 for 100,000 numbers, each handed out by itself.
// SPDX-License-Identifier: MIT
#include <omp.h>

#include <atomic>
#include <cstdint>
#include <cstring>
#include <memory>
#include <numeric>
#include <thread>
#include <vector>

#include "benchmarks/pitfalls/table.hpp"
#include "harness/strategies/deliver.hpp"
#include "harness/strategies/strategy.hpp"

namespace noisefloor {
namespace {

constexpr std::uint32_t kItems = 100'000;

/// The numbers, and room for ten times them.
struct Batch {
  Batch() : x(kItems), y(kItems) { std::iota(x.begin(), x.end(), 1U); }
  std::vector<std::uint32_t> x, y;
};

Batch& batch() {
  static Batch all;
  return all;
}

/// A digest that tells where a number stands, and wipes the result: the next iteration has to do its work.
Answer taken(std::vector<std::uint32_t>& y) {
  Answer sum = 0;
  for (std::uint32_t i = 0; i < kItems; ++i) sum += Answer{y[i]} * (2 * i + 1);
  y.assign(kItems, 0);
  return sum;
}

// variant: loop
Answer loop(Bench&) {
  auto& [x, y] = batch();
  for (std::uint32_t i = 0; i < kItems; ++i) y[i] = x[i] * 10;
  return taken(y);
}
// end

// variant: threads
Answer threads(Bench& bench) {
  Batch& numbers = batch();
  std::atomic<std::uint32_t> next{0};
  const auto work = [&] {
    for (std::uint32_t i = next++; i < kItems; i = next++) numbers.y[i] = numbers.x[i] * 10;
  };
  std::vector<std::jthread> team;
  team.reserve(static_cast<std::size_t>(bench.workers));
  for (int worker = 0; worker < bench.workers; ++worker) team.emplace_back(work);
  team.clear();  // joins
  return taken(numbers.y);
}
// end

// variant: openmp
Answer openmp(Bench& bench) {
  Batch& numbers = batch();
#pragma omp parallel for num_threads(bench.workers) schedule(dynamic, 1)
  for (std::uint32_t i = 0; i < kItems; ++i) numbers.y[i] = numbers.x[i] * 10;
  return taken(numbers.y);
}
// end

// variant: pool_cold pool_warm
/// Each number is a task that a worker process is sent, and returns.
class TimesTen final : public Workload {
 public:
  [[nodiscard]] std::uint32_t task_count() const override { return kItems; }
  void run(TaskRange range, std::span<TaskResult> results, std::vector<std::byte>& returned) const override {
    each(range, results, returned, [](std::uint32_t task, std::vector<std::byte>& bytes) {
      const std::uint32_t product = batch().x[task] * 10;
      const auto parts = std::as_bytes(std::span(&product, 1));
      bytes.insert(bytes.end(), parts.begin(), parts.end());
    });
  }
  [[nodiscard]] std::uint64_t digest(TaskRange) const override { return 0; }
};

Answer map_over(Executor& pool) {
  auto& y = batch().y;
  deliver(pool, kItems, Delivery::unordered,
          [&](std::span<const TaskResult> results, std::span<const std::byte> bytes) {
            for (const TaskResult& result : results) {
              std::memcpy(&y[result.task], bytes.data(), sizeof y[0]);
              bytes = bytes.subspan(sizeof y[0]);
            }
          });
  return taken(y);
}
// end

// variant: pool_cold
Answer pool_cold(Bench& bench) {
  const TimesTen tasks;
  const auto pool = make_executor(select_strategy("fork_pool"), tasks, {.workers = bench.workers, .pool = Pool::cold});
  return map_over(*pool);  // forks the workers, and ends them
}
// end

// variant: pool_warm
Answer pool_warm(Bench& bench) {
  static const TimesTen tasks;
  static const auto pool =
      make_executor(select_strategy("fork_pool"), tasks, {.workers = bench.workers, .pool = Pool::warm});
  return map_over(*pool);
}
// end

void make_batch(Bench&) { batch(); }

constexpr Variant kVariants[] = {
    {.name = "pool_cold",
     .role = Role::bad,
     .help = "a pool of processes, one number at a time; forked in the clock",
     .run = pool_cold,
     .prepare = make_batch},
    {.name = "pool_warm",
     .role = Role::bad,
     .help = "the same, forked before",
     .run = pool_warm,
     .prepare = make_batch},
    {.name = "threads",
     .role = Role::bad,
     .help = "threads that take one number at a time",
     .run = threads,
     .prepare = make_batch},
    {.name = "openmp", .role = Role::bad, .help = "OpenMP, one number at a time", .run = openmp, .prepare = make_batch},
    {.name = "loop", .role = Role::good, .help = "a plain loop", .run = loop, .prepare = make_batch},
};

}  // namespace

constexpr Pitfall kTinyTasks{
    .name = "tiny_tasks",
    .title = "Tasks smaller than the cost of handing them out",
    .lesson =
        "Handing a task out costs from some ns (a loop counter that threads share) to some 10 µs (a message to a "
        "process): a task that takes 1 ns can only lose.",
    .harm = Harm::slow,
    .measure = "wall_ns",
    .least = 77,
    .most = 77,
    .source = "the talk: a pool of processes 0.77 s, the loop below 0.01 s: 77 at least",
    .advice =
        "Give a worker enough at a time: thousands of items per task, or no workers at all. `noisefloor run "
        "granularity` shows from which duration on a task pays here.",
    .variants = kVariants,
};

}  // namespace noisefloor
