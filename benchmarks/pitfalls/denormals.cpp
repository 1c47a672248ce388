// Denormals: a filter whose tail dies away into numbers too small for the fast path of some CPUs.
// SPDX-License-Identifier: MIT
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#if defined(__SSE2__)
#include <immintrin.h>
#endif

#include "benchmarks/pitfalls/support.hpp"
#include "benchmarks/pitfalls/table.hpp"

namespace noisefloor {
namespace {

constexpr int kEchoes = 64;
constexpr int kFrames = 20'000;

// variant: denormal flushed
/// 64 echoes that have long been silent: each keeps 99.99% of itself per frame, from 1e-39 on. What is heard, in
/// 16 bits, is 0 either way.
Answer tail() {
  std::vector<float> echo(kEchoes);
  for (int i = 0; i < kEchoes; ++i) echo[static_cast<std::size_t>(i)] = 1e-39F * static_cast<float>(i + 1);
  float keeps = 0.9999F;
  keep(keeps);
  std::int64_t heard = 0;
  for (int frame = 0; frame < kFrames; ++frame) {
    float sum = 0;
    for (float& one : echo) sum += one *= keeps;
    heard += std::lrint(sum * 32768.0F);
  }
  return static_cast<Answer>(heard) + 1;
}
// end

// variant: denormal
Answer denormal(Bench&) { return tail(); }
// end

// variant: flushed
Answer flushed(Bench&) {
#if defined(__SSE2__)
  const unsigned mode = _mm_getcsr();
  _mm_setcsr(mode | 0x8040U);  // flush to zero, denormals are zero
  const Answer answer = tail();
  _mm_setcsr(mode);
  return answer;
#else
  return tail();
#endif
}
// end

std::string needs_sse(int) {
#if defined(__SSE2__)
  return {};
#else
  return "the switch that is shown is x86's (MXCSR); AArch64 has FPCR.FZ";
#endif
}

constexpr Variant kVariants[] = {
    {.name = "denormal", .role = Role::bad, .help = "as the CPU comes", .run = denormal},
    {.name = "flushed", .role = Role::good, .help = "denormals flushed to zero", .run = flushed},
};

}  // namespace

constexpr Pitfall kDenormals{
    .name = "denormals",
    .title = "Tails that die away into denormals",
    .lesson =
        "Below 1.2e-38 a float is denormal, and many CPUs compute with it in microcode: silence costs more than sound.",
    .least = 1,
    .most = 100,
    .source = "up to 100 times on older Intel CPUs; almost nothing on recent AMD ones",
    .advice =
        "Set flush-to-zero and denormals-are-zero in every audio thread (MXCSR on x86, FPCR.FZ on AArch64), or add a "
        "constant far below hearing.",
    .variants = kVariants,
    .refuse = needs_sse,
};

}  // namespace noisefloor
