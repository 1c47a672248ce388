// Parallelism inside parallelism: every thread of a team starts a team of its own, or works alone.
// SPDX-License-Identifier: MIT
#include <omp.h>

#include "benchmarks/pitfalls/table.hpp"
#include "kernels/spin.hpp"

namespace noisefloor {
namespace {

constexpr int kTasks = 64;
constexpr int kItems = 16;

// variant: nested outer_only
Answer run_with(int outer, int inner) {
  omp_set_max_active_levels(2);
  Answer sum = 0;
#pragma omp parallel for num_threads(outer) schedule(dynamic, 1) reduction(+ : sum)
  for (int task = 0; task < kTasks; ++task) {
    Answer own = 0;
    // As a library does that is called by the task and does not know that all CPUs are taken.
#pragma omp parallel for num_threads(inner) reduction(+ : own)
    for (int i = 0; i < kItems; ++i)
      own += spin(static_cast<std::uint64_t>(task) * kItems + static_cast<std::uint64_t>(i), 200);
    sum += own;
  }
  return sum;
}
// end

// variant: nested
Answer nested(Bench& bench) { return run_with(bench.workers, 4 * bench.workers); }
// end

// variant: outer_only
Answer outer_only(Bench& bench) { return run_with(bench.workers, 1); }
// end

constexpr Variant kVariants[] = {
    {.name = "nested",
     .role = Role::bad,
     .help = "all CPUs outside, and four threads per CPU inside every task",
     .run = nested},
    {.name = "outer_only", .role = Role::good, .help = "all CPUs outside, one thread inside", .run = outer_only},
};

}  // namespace

constexpr Pitfall kNestedParallelism{
    .name = "nested_parallelism",
    .title = "A pool of workers that each start a pool",
    .lesson =
        "The CPUs are taken already: inner teams only add threads that are made, scheduled, waited for and thrown "
        "away.",
    .least = 180,
    .most = 180,
    .source = "a pool of processes that each called a parallel library",
    .advice =
        "Be parallel at the outermost level only, and tell libraries inside to use one thread: OMP_NUM_THREADS=1, "
        "OMP_MAX_ACTIVE_LEVELS=1, or their own setting.",
    .variants = kVariants,
};

}  // namespace noisefloor
