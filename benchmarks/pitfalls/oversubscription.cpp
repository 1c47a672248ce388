// More threads than CPUs: many short parallel regions, with eight threads per CPU or with one.
// SPDX-License-Identifier: MIT
#include <omp.h>

#include "benchmarks/pitfalls/table.hpp"
#include "kernels/spin.hpp"

namespace noisefloor {
namespace {

constexpr int kRegions = 20;
constexpr int kItems = 96;

// variant: eight_per_cpu one_per_cpu one_thread
Answer run_with(int threads) {
  Answer sum = 0;
  for (int region = 0; region < kRegions; ++region) {
#pragma omp parallel for num_threads(threads) schedule(static) reduction(+ : sum)
    for (int i = 0; i < kItems; ++i) sum += spin(static_cast<std::uint64_t>(i), 500);
  }
  return sum;
}
// end

// variant: eight_per_cpu
Answer eight_per_cpu(Bench& bench) { return run_with(8 * bench.workers); }
// end

// variant: one_per_cpu
Answer one_per_cpu(Bench& bench) { return run_with(bench.workers); }
// end

// variant: one_thread
Answer one_thread(Bench&) { return run_with(1); }
// end

constexpr Variant kVariants[] = {
    {.name = "eight_per_cpu", .role = Role::bad, .help = "eight OpenMP threads per CPU", .run = eight_per_cpu},
    {.name = "one_per_cpu", .role = Role::good, .help = "one OpenMP thread per CPU", .run = one_per_cpu},
    {.name = "one_thread", .role = Role::reference, .help = "one thread", .run = one_thread},
};

}  // namespace

constexpr Pitfall kOversubscription{
    .name = "oversubscription",
    .title = "More threads than CPUs",
    .lesson =
        "At the end of every parallel region all threads must have run: with more threads than CPUs that takes several "
        "turns of the scheduler, and waiting threads may spin meanwhile. A container with a CPU quota hits it by "
        "default, "
        "since libraries count the host's CPUs.",
    .least = 45,
    .most = 90,
    .source = "programs that used the host's CPU count under a cgroup quota",
    .advice =
        "Use as many threads as CPUs are yours (affinity and cgroup quota, which `noisefloor doctor` shows), and set "
        "OMP_NUM_THREADS in containers.",
    .variants = kVariants,
};

}  // namespace noisefloor
