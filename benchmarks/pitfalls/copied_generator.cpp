// A copied generator: fork copies its state, so that every worker draws the same noise.
// SPDX-License-Identifier: MIT
#include <array>
#include <random>
#include <set>

#include "benchmarks/pitfalls/support.hpp"
#include "benchmarks/pitfalls/table.hpp"

namespace noisefloor {
namespace {

constexpr int kFiles = 8;
constexpr int kProcesses = 4;

// variant: copied keyed
/// Which noise a file got: some draws of it, folded.
Answer noise_of_a_file(std::mt19937& engine) {
  Answer folded = 0;
  for (int i = 0; i < 1'000; ++i) folded = folded * 31 + engine();
  return folded;
}

/// File i goes to process i % kProcesses. The answer: how many different noises the files have.
template <class NoiseOf>
Answer count_different(Bench& bench, NoiseOf&& noise_of) {
  std::set<Answer> different;
  for (int process = 0; process < kProcesses; ++process) {
    Pipe pipe;
    Process child(bench, [&] {
      for (int file = process; file < kFiles; file += kProcesses) send(bench, pipe.write.get(), noise_of(file));
    });
    for (int file = process; file < kFiles; file += kProcesses) {
      Answer noise = 0;
      receive(bench, pipe.read.get(), noise);
      different.insert(noise);
    }
  }
  return different.size();
}
// end

// variant: copied
Answer copied(Bench& bench) {
  std::mt19937 engine(1);  // seeded in the parent, "for reproducibility"
  return count_different(bench, [&](int /*file*/) { return noise_of_a_file(engine); });
}
// end

// variant: keyed
Answer keyed(Bench& bench) {
  return count_different(bench, [](int file) {
    std::seed_seq seed{1, file};
    std::mt19937 engine(seed);
    return noise_of_a_file(engine);
  });
}
// end

constexpr Variant kVariants[] = {
    {.name = "copied",
     .role = Role::bad,
     .help = "workers inherit the parent's engine: 8 files get 2 noises",
     .run = copied},
    {.name = "keyed",
     .role = Role::good,
     .help = "an engine per file, seeded by the file: 8 files, 8 noises",
     .run = keyed},
};

}  // namespace

constexpr Pitfall kCopiedGenerator{
    .name = "copied_generator",
    .title = "Workers that inherit the same random state",
    .lesson =
        "fork copies the generator with all else: every process goes through the same numbers, and files come out with "
        "identical noise. No error tells.",
    .harm = Harm::wrong,
    .source = "NumPy's global state under multiprocessing's fork: the files come out in groups with equal noise",
    .advice = "Seed per file or sample, from data that travel with the task, never from what a worker happens to have.",
    .variants = kVariants,
};

}  // namespace noisefloor
