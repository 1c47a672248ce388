// A serialised transform: threads that hold one lock while they compute, as Python's do.
// SPDX-License-Identifier: MIT
#include <atomic>
#include <mutex>

#include "benchmarks/pitfalls/support.hpp"
#include "benchmarks/pitfalls/table.hpp"
#include "kernels/spin.hpp"

namespace noisefloor {
namespace {

constexpr int kTasks = 64;

Answer transform(int task) { return spin(static_cast<std::uint64_t>(task), 100'000); }

// variant: one_lock
Answer one_lock(Bench& bench) {
  std::mutex interpreter;  // the GIL, or any lock around the work itself
  std::atomic<Answer> sum{0};
  std::atomic<int> next{0};
  in_threads(bench, bench.workers, [&](int) {
    for (int task = next++; task < kTasks; task = next++) {
      const std::lock_guard guard(interpreter);
      sum += transform(task);
    }
  });
  return sum;
}
// end

// variant: no_lock
Answer no_lock(Bench& bench) {
  std::atomic<Answer> sum{0};
  std::atomic<int> next{0};
  in_threads(bench, bench.workers, [&](int) {
    for (int task = next++; task < kTasks; task = next++) sum += transform(task);
  });
  return sum;
}
// end

// variant: one_thread
Answer one_thread(Bench&) {
  Answer sum = 0;
  for (int task = 0; task < kTasks; ++task) sum += transform(task);
  return sum;
}
// end

constexpr Variant kVariants[] = {
    {.name = "one_lock", .role = Role::bad, .help = "threads, and one lock around every transform", .run = one_lock},
    {.name = "no_lock", .role = Role::good, .help = "threads without a lock", .run = no_lock},
    {.name = "one_thread", .role = Role::reference, .help = "one thread", .run = one_thread},
};

}  // namespace

constexpr Pitfall kSerialisedTransform{
    .name = "serialised_transform",
    .title = "Threads that compute one at a time",
    .lesson =
        "A lock around the work makes one worker of many. Python's interpreter lock is one; a library's hidden lock is "
        "another.",
    .source = "the talk: threads do not scale for work that computes; by arithmetic, as many times as there are CPUs",
    .advice =
        "Take the work out of the lock: lock the hand-over only. In Python use processes, or libraries that release "
        "the "
        "lock while they compute.",
    .variants = kVariants,
    .refuse = needs_two_cpus,
};

}  // namespace noisefloor
