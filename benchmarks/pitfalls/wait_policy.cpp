// OMP_WAIT_POLICY: what OpenMP's threads do between parallel regions, seen from a program with many short ones.
// SPDX-License-Identifier: MIT
#include <omp.h>

#include "benchmarks/pitfalls/support.hpp"
#include "benchmarks/pitfalls/table.hpp"
#include "kernels/spin.hpp"

namespace noisefloor {
namespace {

// variant: passive active
Answer short_regions(Bench& bench) {
  Answer sum = 0;
  for (int region = 0; region < 200; ++region) {
#pragma omp parallel for num_threads(bench.workers) schedule(static) reduction(+ : sum)
    for (int i = 0; i < bench.workers; ++i) sum += spin(static_cast<std::uint64_t>(i), 2'000);
    sum += spin(sum, 2'000);  // the part between two regions that is not parallel
  }
  return sum;
}
// end

constexpr Variant kVariants[] = {
    {.name = "passive",
     .role = Role::bad,
     .help = "threads go to sleep at the end of a region",
     .run = short_regions,
     .environment = "OMP_WAIT_POLICY=passive"},
    {.name = "active",
     .role = Role::good,
     .help = "threads spin until the next region",
     .run = short_regions,
     .environment = "OMP_WAIT_POLICY=active"},
};

}  // namespace

constexpr Pitfall kWaitPolicy{
    .name = "wait_policy",
    .title = "The runtime's way of waiting does not suit the program",
    .lesson =
        "Waking a sleeping thread takes 4 to 40 µs, more than a short region; a spinning one answers at once, but "
        "burns its "
        "CPU, which others may need.",
    .least = 1.3,
    .most = 1.3,
    .source = "libgomp against libomp by their defaults; 6400% CPU of a program that only waits was reported, too",
    .advice =
        "Fewer and longer regions first. Then: OMP_WAIT_POLICY=active where the CPUs are yours alone, passive where "
        "they are shared (containers, processes beside each other).",
    .variants = kVariants,
    .refuse = needs_two_cpus,
};

}  // namespace noisefloor
