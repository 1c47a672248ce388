// A wrong read conversion: a file of float samples read as 16-bit integers comes out as silence.
// SPDX-License-Identifier: MIT
#include <sndfile.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "benchmarks/pitfalls/support.hpp"
#include "benchmarks/pitfalls/table.hpp"
#include "harness/base/error.hpp"

namespace noisefloor {
namespace {

constexpr sf_count_t kFrames = 44'100;

using File = std::unique_ptr<SNDFILE, decltype(&sf_close)>;

File open(const std::string& path, int mode, SF_INFO info = {}) {
  SNDFILE* file = sf_open(path.c_str(), mode, &info);
  if (file == nullptr) throw Error("cannot open " + path);
  return {file, &sf_close};
}

std::string path_in(const Bench& bench) { return bench.folder + "/sine.wav"; }

/// A second of a sine of half amplitude, in float samples from -1 to 1.
void write_sine(Bench& bench) {
  std::vector<float> samples(static_cast<std::size_t>(kFrames));
  for (std::size_t i = 0; i < samples.size(); ++i) samples[i] = 0.5F * std::sin(0.05F * static_cast<float>(i));
  const File file = open(path_in(bench), SFM_WRITE, {0, 44'100, 1, SF_FORMAT_WAV | SF_FORMAT_FLOAT, 0, 0});
  sf_writef_float(file.get(), samples.data(), kFrames);
}

/// The loudest sample, of 32767.
Answer loudest(const std::vector<std::int16_t>& samples) {
  int most = 0;
  for (const std::int16_t sample : samples) most = std::max(most, std::abs(int{sample}));
  return static_cast<Answer>(most);
}

// variant: as_short
Answer as_short(Bench& bench) {
  std::vector<std::int16_t> samples(static_cast<std::size_t>(kFrames));
  sf_readf_short(open(path_in(bench), SFM_READ).get(), samples.data(), kFrames);  // 0.5 becomes 0
  return loudest(samples);
}
// end

// variant: as_float
Answer as_float(Bench& bench) {
  std::vector<float> samples(static_cast<std::size_t>(kFrames));
  sf_readf_float(open(path_in(bench), SFM_READ).get(), samples.data(), kFrames);
  std::vector<std::int16_t> scaled;
  scaled.reserve(samples.size());
  for (const float sample : samples) scaled.push_back(static_cast<std::int16_t>(std::lrint(sample * 32767)));
  return loudest(scaled);
}
// end

constexpr Variant kVariants[] = {
    {.name = "as_short",
     .role = Role::bad,
     .help = "sf_readf_short on a float file",
     .run = as_short,
     .prepare = write_sine},
    {.name = "as_float",
     .role = Role::good,
     .help = "sf_readf_float, then scaled and rounded",
     .run = as_float,
     .prepare = write_sine},
};

}  // namespace

constexpr Pitfall kWrongReadConversion{
    .name = "wrong_read_conversion",
    .title = "Float files read as integers",
    .lesson =
        "libsndfile converts values, not loudness: a float of 0.5 read as an integer is 0. No error, only silence.",
    .harm = Harm::wrong,
    .source = "libsndfile's documentation of sf_readf_short; its scale option normalises the peak instead",
    .advice = "Read what is in the file: float subtypes as float, integer subtypes as integers; convert yourself.",
    .variants = kVariants,
    .uses_files = true,
};

}  // namespace noisefloor
