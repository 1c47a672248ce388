// Interleaved channels: a gain per channel, one channel after the other with strides, or frame by frame.
// SPDX-License-Identifier: MIT
#include <cstddef>
#include <vector>

#include "benchmarks/pitfalls/support.hpp"
#include "benchmarks/pitfalls/table.hpp"

namespace noisefloor {
namespace {

constexpr std::size_t kChannels = 8;
constexpr std::size_t kFrames = 1 << 20;  // 32 MiB of floats

constexpr float kGain[kChannels] = {1, 0.5F, 0.25F, 2, 4, 0.125F, 8, 1};

struct Sound {
  std::vector<float> in = std::vector<float>(kChannels * kFrames, 1), out = in;
};
Sound& sound() {
  static Sound all;
  return all;
}

Answer digest(const std::vector<float>& samples) {
  Answer sum = 0;
  for (std::size_t i = 0; i < samples.size(); i += 4'099) sum = sum * 31 + static_cast<Answer>(samples[i] * 8);
  return sum;
}

// variant: by_channel
Answer by_channel(Bench&) {
  auto& [in, out] = sound();
  for (std::size_t channel = 0; channel < kChannels; ++channel) {  // the whole array passes by eight times
    for (std::size_t frame = 0; frame < kFrames; ++frame) {
      out[frame * kChannels + channel] = in[frame * kChannels + channel] * kGain[channel];
    }
  }
  return digest(out);
}
// end

// variant: by_frame
Answer by_frame(Bench&) {
  auto& [in, out] = sound();
  for (std::size_t frame = 0; frame < kFrames; ++frame) {
    for (std::size_t channel = 0; channel < kChannels; ++channel) {
      out[frame * kChannels + channel] = in[frame * kChannels + channel] * kGain[channel];
    }
  }
  return digest(out);
}
// end

void make_sound(Bench&) { sound(); }

constexpr Variant kVariants[] = {
    {.name = "by_channel",
     .role = Role::bad,
     .help = "every eighth sample, eight times",
     .run = by_channel,
     .prepare = make_sound},
    {.name = "by_frame", .role = Role::good, .help = "whole frames, once", .run = by_frame, .prepare = make_sound},
};

}  // namespace

constexpr Pitfall kInterleavedChannels{
    .name = "interleaved_channels",
    .title = "Reading every n-th sample",
    .lesson =
        "Memory comes in lines of 16 samples: who uses two of them fetches the rest for nothing, and comes back for "
        "it.",
    .least = 2.5,
    .most = 2.5,
    .source = "stereo files, gathered per channel; here eight channels, at most 8 by traffic",
    .advice =
        "Go through interleaved sound frame by frame; or make it planar once, in blocks, if much is done per channel.",
    .variants = kVariants,
};

}  // namespace noisefloor
