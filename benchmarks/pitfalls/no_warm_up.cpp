// No warm-up: the first run pays for pages, caches and tables; the later ones, which matter, do not.
// SPDX-License-Identifier: MIT
#include <memory>

#include "benchmarks/pitfalls/support.hpp"
#include "benchmarks/pitfalls/table.hpp"

namespace noisefloor {
namespace {

constexpr std::size_t kSamples = std::size_t{16} << 20;

// variant: first_run third_run
Answer fill(Bench&) {
  static const std::unique_ptr<float[]> buffer(new float[kSamples]);  // 64 MiB that nobody has touched
  float* const samples = buffer.get();
  for (std::size_t i = 0; i < kSamples; ++i) samples[i] = 0.5F;
  keep(*samples);
  return static_cast<Answer>(samples[kSamples / 2] * 10);
}
// end

constexpr Variant kVariants[] = {
    {.name = "first_run",
     .role = Role::bad,
     .help = "the first run of the process is timed",
     .run = fill,
     .iterations = 1,
     .repetitions = 1,
     .warmups = 0},
    {.name = "third_run",
     .role = Role::good,
     .help = "two runs before the one that is timed",
     .run = fill,
     .iterations = 1,
     .repetitions = 1,
     .warmups = 2},
};

}  // namespace

constexpr Pitfall kNoWarmUp{
    .name = "no_warm_up",
    .title = "Timing the first run",
    .lesson =
        "The same code, the same data: the first run also pays for every page that it touches for the first time.",
    .least = 7,
    .most = 7,
    .source = "first touch of memory in a virtual machine",
    .advice =
        "Warm up and say so, or, if the program will run once only, time the first run and say that. Never mix the "
        "two.",
    .variants = kVariants,
};

}  // namespace noisefloor
