// Forking after OpenMP was used: the child inherits the runtime's books, but not its threads.
// SPDX-License-Identifier: MIT
#include <omp.h>

#include "benchmarks/pitfalls/support.hpp"
#include "benchmarks/pitfalls/table.hpp"
#include "kernels/spin.hpp"

namespace noisefloor {
namespace {

constexpr int kThreads = 2;  // whatever the CPUs: the team is what is lost

// variant: fork_after fork_first
Answer parallel_sum() {
  Answer sum = 0;
#pragma omp parallel for num_threads(kThreads) reduction(+ : sum)
  for (int i = 0; i < 100; ++i) sum += spin(static_cast<std::uint64_t>(i), 100);
  return sum;
}
// end

// variant: fork_after
Answer fork_after(Bench& bench) {
  Pipe pipe;
  const Answer here = parallel_sum();  // starts the runtime's threads: they stay in this process
  Process child(bench, [&] { send(bench, pipe.write.get(), parallel_sum()); });  // waits for threads that it has not
  Answer there = 0;
  receive(bench, pipe.read.get(), there);
  return here + 3 * there;
}
// end

// variant: fork_first
Answer fork_first(Bench& bench) {
  Pipe pipe;
  Process child(bench, [&] { send(bench, pipe.write.get(), parallel_sum()); });  // starts threads of its own
  const Answer here = parallel_sum();
  Answer there = 0;
  receive(bench, pipe.read.get(), there);
  return here + 3 * there;
}
// end

constexpr Variant kVariants[] = {
    {.name = "fork_after",
     .role = Role::bad,
     .help = "a parallel region, a fork, a parallel region in the child",
     .run = fork_after,
     .hangs = true},
    {.name = "fork_first",
     .role = Role::good,
     .help = "the fork first, then a parallel region in both",
     .run = fork_first,
     .iterations = 1},
};

}  // namespace

constexpr Pitfall kForkAfterOpenmp{
    .name = "fork_after_openmp",
    .title = "Forking after a parallel region",
    .lesson =
        "fork copies one thread. The OpenMP runtime in the child believes that its team is still there, and waits for "
        "it "
        "for ever.",
    .harm = Harm::hang,
    .source = "GCC bug 58378, a child process that hangs after fork; LLVM's libomp starts over in the child",
    .advice =
        "Fork all processes before the first parallel region (and before any library that uses OpenMP), or start them "
        "with exec (Python: the start methods spawn and forkserver).",
    .variants = kVariants,
};

}  // namespace noisefloor
