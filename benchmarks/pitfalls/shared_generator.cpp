// A shared generator: one engine behind a lock for all threads, or noise that is a function of its place.
// SPDX-License-Identifier: MIT
#include <atomic>
#include <cstdint>
#include <mutex>

#include "benchmarks/pitfalls/support.hpp"
#include "benchmarks/pitfalls/table.hpp"

namespace noisefloor {
namespace {

constexpr std::size_t kDraws = 200'000;

/// A number for each place: the finaliser of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014).
std::uint64_t number_at(std::uint64_t place) {
  std::uint64_t x = (place + 1) * 0x9E3779B97F4A7C15U;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9U;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBU;
  return x ^ (x >> 31);
}

// variant: locked
struct Engine {
  std::mutex lock;
  std::uint64_t place = 0;
  std::uint64_t operator()() {
    const std::lock_guard guard(lock);
    return number_at(place++);  // who gets which number depends on who comes first
  }
};

Answer locked(Bench& bench) {
  Engine engine;
  std::atomic<Answer> sum{0};
  in_threads(bench, bench.workers, [&](int worker) {
    const auto [first, last] = part(kDraws, worker, bench.workers);
    Answer mine = 0;
    for (std::size_t i = first; i < last; ++i) mine += engine();
    sum += mine;
  });
  return sum;
}
// end

// variant: keyed
Answer keyed(Bench& bench) {
  std::atomic<Answer> sum{0};
  in_threads(bench, bench.workers, [&](int worker) {
    const auto [first, last] = part(kDraws, worker, bench.workers);
    Answer mine = 0;
    for (std::size_t i = first; i < last; ++i) mine += number_at(i);  // the same for every number of workers
    sum += mine;
  });
  return sum;
}
// end

constexpr Variant kVariants[] = {
    {.name = "locked", .role = Role::bad, .help = "all threads draw from one engine behind a lock", .run = locked},
    {.name = "keyed", .role = Role::good, .help = "each draw is a function of its place", .run = keyed},
};

}  // namespace

constexpr Pitfall kSharedGenerator{
    .name = "shared_generator",
    .title = "One random engine for all threads",
    .lesson =
        "The lock costs more than the draw, and which sample gets which number depends on the schedule: no run can be "
        "repeated. (The sum of all draws is the same, which is what is compared here.)",
    .source = "an uncontended lock takes some 15 ns, a draw one; contention comes on top",
    .advice =
        "Key the noise by file and sample. Where that cannot be: one engine per task, seeded by the task's number, "
        "never "
        "per thread.",
    .variants = kVariants,
};

}  // namespace noisefloor
