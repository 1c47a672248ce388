// False sharing: each thread counts in a counter of its own, and all counters lie in one cache line.
// SPDX-License-Identifier: MIT
#include <atomic>
#include <cstdint>
#include <vector>

#include "benchmarks/pitfalls/support.hpp"
#include "benchmarks/pitfalls/table.hpp"

namespace noisefloor {
namespace {

constexpr int kSteps = 1'000'000;

// variant: neighbours padded
/// Relaxed atomics compile to plain loads and stores; they only keep each store in its place.
template <class Counter>
Answer count(Bench& bench) {
  std::vector<Counter> counters(static_cast<std::size_t>(bench.workers));
  in_threads(bench, bench.workers, [&](int worker) {
    std::atomic<std::uint64_t>& mine = counters[static_cast<std::size_t>(worker)].value;
    for (int i = 0; i < kSteps; ++i) {
      mine.store(mine.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    }
  });
  Answer sum = 0;
  for (const Counter& counter : counters) sum += counter.value;
  return sum;
}
// end

// variant: neighbours
struct Neighbour {
  std::atomic<std::uint64_t> value{0};  // eight of them share a cache line of 64 bytes
};
// end

// variant: padded
struct alignas(128) Padded {  // two lines: the one beside is fetched along
  std::atomic<std::uint64_t> value{0};
};
// end

constexpr Variant kVariants[] = {
    {.name = "neighbours", .role = Role::bad, .help = "counters side by side", .run = count<Neighbour>},
    {.name = "padded", .role = Role::good, .help = "each counter on cache lines of its own", .run = count<Padded>},
};

}  // namespace

constexpr Pitfall kFalseSharing{
    .name = "false_sharing",
    .title = "Threads that write into the same cache line",
    .lesson =
        "Nothing is shared in the program, but the cache moves lines of 64 bytes: each store takes the line away from "
        "the other threads.",
    .least = 1.6,
    .most = 31,
    .source = "reports on counters of two to many threads",
    .advice =
        "Keep what different threads write at least 128 bytes apart (alignas), or count in a local variable and store "
        "it once at the end. Where no harm is seen, the two CPUs may be two threads of one core: they share its cache.",
    .variants = kVariants,
    .refuse = needs_two_cpus,
};

}  // namespace noisefloor
