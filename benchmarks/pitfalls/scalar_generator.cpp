// Scalar generator state: one Mersenne Twister and normal_distribution, or the vector kernel with 16 lanes.
// SPDX-License-Identifier: MIT
#include <cmath>
#include <random>
#include <vector>

#include "benchmarks/pitfalls/support.hpp"
#include "benchmarks/pitfalls/table.hpp"
#include "harness/workloads/table.hpp"

namespace noisefloor {
namespace {

constexpr std::size_t kSamples = 1 << 18;
constexpr float kSigma = 0.1F;

std::vector<float>& buffer() {
  static std::vector<float> samples(kSamples);
  return samples;
}

// variant: twister lanes
/// The two draw different noise, equally good: right is a mean of 0 and a deviation of sigma, both within 1% of it.
Answer judge(const std::vector<float>& noise) {
  double sum = 0;
  double squares = 0;
  for (const float x : noise) {
    sum += x;
    squares += static_cast<double>(x) * x;
  }
  const double mean = sum / kSamples;
  const double deviation = std::sqrt(squares / kSamples - mean * mean);
  return std::abs(mean) < 0.01 * kSigma && std::abs(deviation - kSigma) < 0.01 * kSigma ? 1 : 0;
}
// end

// variant: twister
Answer twister(Bench&) {
  std::mt19937 engine(1);
  std::normal_distribution<float> normal(0.0F, kSigma);
  for (float& sample : buffer()) sample = normal(engine);  // each draw waits for the state of the one before
  return judge(buffer());
}
// end

// variant: lanes
Answer lanes(Bench&) {
  static const std::vector<float> silence(kSamples);
  const Kernel& kernel = select_kernel("auto");  // 16 generators side by side, and Box-Muller on all of them
  kernel.add_noise.f32(silence.data(), buffer().data(), kSamples, kSigma, {.seed = 1, .stream = 1}, 0);
  return judge(buffer());
}
// end

void make_buffer(Bench&) { buffer(); }

constexpr Variant kVariants[] = {
    {.name = "twister",
     .role = Role::bad,
     .help = "std::mt19937 and std::normal_distribution",
     .run = twister,
     .prepare = make_buffer},
    {.name = "lanes", .role = Role::good, .help = "this program's widest kernel", .run = lanes, .prepare = make_buffer},
};

}  // namespace

constexpr Pitfall kScalarGenerator{
    .name = "scalar_generator",
    .title = "A generator that can only go step by step",
    .lesson = "One state means one dependent chain, which no vector unit and no second worker can share.",
    .least = 55,
    .most = 60,
    .source = "the kernels avx512 and naive of this program; judging the noise is timed in both here",
    .advice =
        "Generators in lanes, or counter-based ones: noise as a function of (seed, stream, sample). docs/NOISE.md "
        "has both.",
    .variants = kVariants,
};

}  // namespace noisefloor
