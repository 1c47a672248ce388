// Bandwidth: noise in three passes over memory (generate, scale, add), or in one that does all three.
// SPDX-License-Identifier: MIT
#include <cstdint>
#include <vector>

#include "benchmarks/pitfalls/support.hpp"
#include "benchmarks/pitfalls/table.hpp"

namespace noisefloor {
namespace {

constexpr std::uint32_t kSamples = 8U << 20;  // three arrays of 32 MiB: more than the caches hold
constexpr float kScale = 0x1p-34F;

struct Arrays {
  std::vector<float> x = std::vector<float>(kSamples, 0.25F), noise = x, y = x;
};
Arrays& arrays() {
  static Arrays all;
  return all;
}

/// White noise from the sample's number: cheap, so that memory is what decides.
float generate(std::uint32_t i) { return static_cast<float>(static_cast<std::int32_t>(i * 2654435761U ^ 0x9E3779B9U)); }

Answer digest(const std::vector<float>& y) {
  Answer sum = 0;
  for (std::uint32_t i = 0; i < kSamples; i += 4099) sum = sum * 31 + static_cast<Answer>(y[i] * 0x1p30F);
  return sum;
}

// variant: three_passes
Answer three_passes(Bench& bench) {
  float* const x = arrays().x.data();
  float* const noise = arrays().noise.data();
  float* const y = arrays().y.data();
#pragma omp parallel for num_threads(bench.workers)
  for (std::uint32_t i = 0; i < kSamples; ++i) noise[i] = generate(i);
#pragma omp parallel for num_threads(bench.workers)
  for (std::uint32_t i = 0; i < kSamples; ++i) noise[i] *= kScale;
#pragma omp parallel for num_threads(bench.workers)
  for (std::uint32_t i = 0; i < kSamples; ++i) y[i] = x[i] + noise[i];
  return digest(arrays().y);
}
// end

// variant: one_pass
Answer one_pass(Bench& bench) {
  float* const x = arrays().x.data();
  float* const y = arrays().y.data();
#pragma omp parallel for num_threads(bench.workers)
  for (std::uint32_t i = 0; i < kSamples; ++i) y[i] = x[i] + generate(i) * kScale;
  return digest(arrays().y);
}
// end

void make_arrays(Bench&) { arrays(); }

constexpr Variant kVariants[] = {
    {.name = "three_passes",
     .role = Role::bad,
     .help = "generate into an array, scale it, add it",
     .run = three_passes,
     .prepare = make_arrays},
    {.name = "one_pass",
     .role = Role::good,
     .help = "generate, scale and add each sample",
     .run = one_pass,
     .prepare = make_arrays},
};

}  // namespace

constexpr Pitfall kBandwidth{
    .name = "bandwidth",
    .title = "Passes over memory that the arithmetic does not need",
    .lesson =
        "Memory moves some GB/s whatever the number of cores: seven arrays' worth of traffic take longer than two, and "
        "more "
        "workers do not help.",
    .source = "3.5 by traffic: 7 arrays against 2, writes counted once",
    .advice =
        "Fuse the passes, or do all of them on one block that stays in the cache. NumPy: blocks, or out= and one "
        "expression.",
    .variants = kVariants,
};

}  // namespace noisefloor
