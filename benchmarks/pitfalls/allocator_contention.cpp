// Allocating in the inner loop: a buffer per block of samples in every thread, or one per worker.
// SPDX-License-Identifier: MIT
#include <atomic>
#include <cstddef>
#include <vector>

#include "benchmarks/pitfalls/support.hpp"
#include "benchmarks/pitfalls/table.hpp"

namespace noisefloor {
namespace {

constexpr int kBlocks = 4'000;
constexpr std::size_t kSamples = 4'096;

Answer process(std::vector<float>& block, int number) {
  block.resize(kSamples);
  for (std::size_t i = 0; i < kSamples; ++i) block[i] = static_cast<float>(static_cast<int>(i) ^ number);
  return static_cast<Answer>(block[static_cast<std::size_t>(number) % kSamples]);
}

// variant: per_block
Answer per_block(Bench& bench) {
  std::atomic<Answer> sum{0};
  in_threads(bench, bench.workers, [&](int worker) {
    const auto [first, last] = part(kBlocks, worker, bench.workers);
    for (std::size_t i = first; i < last; ++i) {
      std::vector<float> block;
      sum += process(block, static_cast<int>(i));
    }
  });
  bench.count.allocations += kBlocks;
  return sum;
}
// end

// variant: per_worker
Answer per_worker(Bench& bench) {
  std::atomic<Answer> sum{0};
  in_threads(bench, bench.workers, [&](int worker) {
    const auto [first, last] = part(kBlocks, worker, bench.workers);
    std::vector<float> block;
    for (std::size_t i = first; i < last; ++i) sum += process(block, static_cast<int>(i));
  });
  bench.count.allocations += static_cast<std::uint64_t>(bench.workers);
  return sum;
}
// end

constexpr Variant kVariants[] = {
    {.name = "per_block", .role = Role::bad, .help = "a vector for every block of 4096 samples", .run = per_block},
    {.name = "per_worker", .role = Role::good, .help = "one vector per worker", .run = per_worker},
};

}  // namespace

constexpr Pitfall kAllocatorContention{
    .name = "allocator_contention",
    .title = "Allocating for every block",
    .lesson =
        "An allocation takes a lock or an arena, may go to the kernel, and its memory is cleared before it is written: "
        "for short blocks that is most of the work.",
    .source =
        "depends on the allocator; glibc gives each thread an arena of its own, so that little is left of the "
        "contention",
    .advice = "Keep one buffer per worker and use it again; resize() keeps the capacity.",
    .variants = kVariants,
};

}  // namespace noisefloor
