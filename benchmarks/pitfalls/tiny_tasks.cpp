// Tiny tasks: x * 10 for 200,000 numbers, each handed out by itself.
// SPDX-License-Identifier: MIT
#include <omp.h>

#include <atomic>
#include <cstdint>
#include <numeric>
#include <thread>
#include <vector>

#include "benchmarks/pitfalls/table.hpp"

namespace noisefloor {
namespace {

constexpr std::uint32_t kItems = 200'000;

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
  auto& [x, y] = batch();
  std::atomic<std::uint32_t> next{0};
  const auto work = [&] {
    for (std::uint32_t i = next++; i < kItems; i = next++) y[i] = x[i] * 10;
  };
  std::vector<std::jthread> team;
  for (int worker = 0; worker < bench.workers; ++worker) team.emplace_back(work);
  team.clear();  // joins
  return taken(y);
}
// end

// variant: openmp
Answer openmp(Bench& bench) {
  auto& [x, y] = batch();
#pragma omp parallel for num_threads(bench.workers) schedule(dynamic, 1)
  for (std::uint32_t i = 0; i < kItems; ++i) y[i] = x[i] * 10;
  return taken(y);
}
// end

void make_batch(Bench&) { batch(); }

constexpr Variant kVariants[] = {
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
    .least = 10,
    .most = 80,
    .source = "the talk: a process pool 0.77 s, the loop below 0.01 s",
    .advice =
        "Give a worker enough at a time: thousands of items per task, or no workers at all. `noisefloor run "
        "granularity` shows from which duration on a task pays here.",
    .variants = kVariants,
};

}  // namespace noisefloor
