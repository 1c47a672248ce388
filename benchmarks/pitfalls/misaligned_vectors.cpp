// Misaligned vectors: the same loop over arrays that begin at a cache line, or one sample behind.
// SPDX-License-Identifier: MIT
#include <cstddef>
#include <cstdint>

#include "benchmarks/pitfalls/support.hpp"
#include "benchmarks/pitfalls/table.hpp"

namespace noisefloor {
namespace {

constexpr std::size_t kSamples = 2'048;  // 8 KiB each: in the first-level cache
constexpr int kPasses = 4'000;

alignas(64) float in[kSamples + 16];
alignas(64) float out[kSamples + 16];

// variant: one_behind aligned
Answer accumulate(const float* x, float* y) {
  for (std::size_t i = 0; i < kSamples; ++i) y[i] = 0;
  for (int pass = 0; pass < kPasses; ++pass) {
    for (std::size_t i = 0; i < kSamples; ++i) y[i] += 0.5F * x[i];
    keep(*y);
  }
  return static_cast<Answer>(y[0] + y[kSamples - 1]);
}
// end

// variant: one_behind
Answer one_behind(Bench&) { return accumulate(in + 1, out + 1); }  // vectors cross the borders of lines
// end

// variant: aligned
Answer aligned(Bench&) { return accumulate(in, out); }
// end

void fill(Bench&) {
  for (float& sample : in) sample = 1;
}

constexpr Variant kVariants[] = {
    {.name = "one_behind",
     .role = Role::bad,
     .help = "arrays that begin 4 bytes behind a cache line",
     .run = one_behind,
     .prepare = fill},
    {.name = "aligned",
     .role = Role::good,
     .help = "arrays that begin at a cache line",
     .run = aligned,
     .prepare = fill},
};

}  // namespace

constexpr Pitfall kMisalignedVectors{
    .name = "misaligned_vectors",
    .title = "Vectors across cache lines",
    .lesson =
        "An access that crosses the border of a cache line is two. With vectors of 64 bytes every one does, with 16 "
        "bytes "
        "every fourth.",
    .source = "at most 2 by counting accesses; with this build's vectors of 16 bytes, 1.25",
    .advice =
        "Align buffers to 64 bytes (aligned_alloc, alignas), and let every worker's part begin at a multiple of it.",
    .variants = kVariants,
};

}  // namespace noisefloor
