// An atomic addition per sample: the sum of a signal, shared by all threads, or private and added up once.
// SPDX-License-Identifier: MIT
#include <atomic>
#include <cstdint>
#include <vector>

#include "benchmarks/pitfalls/support.hpp"
#include "benchmarks/pitfalls/table.hpp"

namespace noisefloor {
namespace {

constexpr std::size_t kSamples = 1 << 20;

const std::vector<std::int16_t>& samples() {
  static const std::vector<std::int16_t> all = [] {
    std::vector<std::int16_t> made(kSamples);
    for (std::size_t i = 0; i < kSamples; ++i) made[i] = static_cast<std::int16_t>(i * 2654435761U >> 16);
    return made;
  }();
  return all;
}

// variant: shared
Answer shared(Bench& bench) {
  std::atomic<std::int64_t> sum{0};
  in_threads(bench, bench.workers, [&](int worker) {
    const auto [first, last] = part(kSamples, worker, bench.workers);
    for (std::size_t i = first; i < last; ++i) sum.fetch_add(samples()[i], std::memory_order_relaxed);
  });
  return static_cast<Answer>(sum.load());
}
// end

// variant: private_sums
Answer private_sums(Bench& bench) {
  std::atomic<std::int64_t> sum{0};
  in_threads(bench, bench.workers, [&](int worker) {
    const auto [first, last] = part(kSamples, worker, bench.workers);
    std::int64_t mine = 0;
    for (std::size_t i = first; i < last; ++i) mine += samples()[i];
    sum.fetch_add(mine, std::memory_order_relaxed);
  });
  return static_cast<Answer>(sum.load());
}
// end

void make_samples(Bench&) { samples(); }

constexpr Variant kVariants[] = {
    {.name = "shared",
     .role = Role::bad,
     .help = "one atomic addition per sample",
     .run = shared,
     .prepare = make_samples},
    {.name = "private_sums",
     .role = Role::good,
     .help = "one atomic addition per thread",
     .run = private_sums,
     .prepare = make_samples},
};

}  // namespace

constexpr Pitfall kAtomicPerSample{
    .name = "atomic_per_sample",
    .title = "An atomic operation where a register would do",
    .lesson =
        "A contended atomic addition waits for the cache line, 70 cycles and more; a private one costs less than one.",
    .source = "no ratio: 70 cycles and more per contended addition were measured, a vectorised sum takes less than one",
    .advice =
        "Let every worker reduce its own part in a local variable, and combine the parts once. OpenMP's reduction "
        "clause does that.",
    .variants = kVariants,
};

}  // namespace noisefloor
