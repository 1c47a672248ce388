// Load imbalance: files of growing length, dealt out in equal counts beforehand, or taken longest first.
// SPDX-License-Identifier: MIT
#include <omp.h>

#include "benchmarks/pitfalls/support.hpp"
#include "benchmarks/pitfalls/table.hpp"
#include "kernels/spin.hpp"

namespace noisefloor {
namespace {

constexpr int kFiles = 48;

// variant: dealt_out longest_first shortest_first
/// Sorted by name they are sorted by length, as recordings of a growing project are: lengths 1 to 48.
Answer process(int file) {
  return spin(static_cast<std::uint64_t>(file), 10'000U * static_cast<std::uint64_t>(file + 1));
}
// end

// variant: dealt_out
Answer dealt_out(Bench& bench) {
  Answer sum = 0;
#pragma omp parallel for num_threads(bench.workers) schedule(static) reduction(+ : sum)
  for (int file = 0; file < kFiles; ++file) sum += process(file);
  return sum;
}
// end

// variant: longest_first
Answer longest_first(Bench& bench) {
  Answer sum = 0;
#pragma omp parallel for num_threads(bench.workers) schedule(dynamic, 1) reduction(+ : sum)
  for (int file = kFiles - 1; file >= 0; --file) sum += process(file);
  return sum;
}
// end

// variant: shortest_first
Answer shortest_first(Bench& bench) {
  Answer sum = 0;
#pragma omp parallel for num_threads(bench.workers) schedule(dynamic, 1) reduction(+ : sum)
  for (int file = 0; file < kFiles; ++file) sum += process(file);
  return sum;
}
// end

constexpr Variant kVariants[] = {
    {.name = "dealt_out",
     .role = Role::bad,
     .help = "equal numbers of files in order: the last worker has the long ones",
     .run = dealt_out},
    {.name = "longest_first",
     .role = Role::good,
     .help = "each worker takes the next file, the longest first",
     .run = longest_first},
    {.name = "shortest_first",
     .role = Role::reference,
     .help = "each worker takes the next file, the shortest first",
     .run = shortest_first},
};

}  // namespace

constexpr Pitfall kLoadImbalance{
    .name = "load_imbalance",
    .title = "Equal numbers of unequal tasks",
    .lesson =
        "The slowest worker is the batch's time: of sorted files in equal halves, the second half has three quarters "
        "of "
        "the work.",
    .least = 1.5,
    .most = 2.5,
    .source = "1.5 by arithmetic with two workers; a batch that should have taken 12 s took 30",
    .advice =
        "Let workers take tasks as they become free (schedule(dynamic), a pool with chunk size 1 for large tasks), and "
        "start "
        "with the longest.",
    .variants = kVariants,
    .refuse = needs_two_cpus,
};

}  // namespace noisefloor
