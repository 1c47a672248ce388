// A thread per task: 400 tasks of a few µs, each in a new thread, or all in a few threads.
// SPDX-License-Identifier: MIT
#include <algorithm>
#include <atomic>

#include "benchmarks/pitfalls/support.hpp"
#include "benchmarks/pitfalls/table.hpp"
#include "kernels/spin.hpp"

namespace noisefloor {
namespace {

constexpr int kTasks = 400;
constexpr std::uint64_t kSteps = 2'000;  // about 2 µs

// variant: thread_each
Answer thread_each(Bench& bench) {
  std::atomic<Answer> sum{0};
  for (int first = 0; first < kTasks; first += bench.workers) {
    in_threads(bench, std::min(bench.workers, kTasks - first), [&, number = static_cast<std::uint64_t>(first)](int i) {
      sum += spin(number + static_cast<std::uint64_t>(i), kSteps);
    });
  }
  return sum;
}
// end

// variant: team
Answer team(Bench& bench) {
  std::atomic<Answer> sum{0};
  std::atomic<int> next{0};
  in_threads(bench, bench.workers, [&](int) {
    for (int i = next++; i < kTasks; i = next++) sum += spin(static_cast<std::uint64_t>(i), kSteps);
  });
  return sum;
}
// end

constexpr Variant kVariants[] = {
    {.name = "thread_each", .role = Role::bad, .help = "a new thread for every task", .run = thread_each},
    {.name = "team",
     .role = Role::good,
     .help = "as many threads as CPUs, which take tasks until none is left",
     .run = team},
};

}  // namespace

constexpr Pitfall kThreadPerTask{
    .name = "thread_per_task",
    .title = "A new thread for every task",
    .lesson = "Making and joining a thread takes about 20 µs: as long as ten of these tasks.",
    .least = 6.9,
    .most = 6.9,
    .source = "a thread per task against a pool; making one took 20 µs",
    .advice = "Make the threads once and let them take tasks: a pool, OpenMP, oneTBB.",
    .variants = kVariants,
};

}  // namespace noisefloor
