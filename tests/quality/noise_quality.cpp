// Draws long stretches of noise and prints counts and sums as JSON; scripts/studies/quality judges them.
// SPDX-License-Identifier: MIT
//
// noise_quality TEST KERNEL LOG2_SAMPLES THREADS SEED [SIGMA]: TEST is float32, int16, lags, streams or blocks.
// noise_quality words [BYTES]: the raw 32-bit words of the definition on standard output, for batteries.
// noise_quality vectors: the test vectors of docs/NOISE.md.
#include <bit>
#include <charconv>
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <limits>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

#include "tallies.hpp"

namespace noisefloor::quality {
namespace {

constexpr std::string_view kStreamName = "quality";
constexpr std::uint64_t kStream = stream_of(kStreamName.data(), kStreamName.size());

const Kernel& kernel_of(std::string_view name) {
  for (const Kernel& kernel : kernels()) {
    if (kernel.name != name && name != "auto") continue;
    if (kernel.unavailable.empty()) return kernel;
    if (name != "auto") throw std::runtime_error(std::string(name) + ": " + std::string(kernel.unavailable));
  }
  throw std::runtime_error("no kernel is called " + std::string(name));
}

template <class T>
T number(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) {
    throw std::runtime_error("not a number: " + std::string(text));
  }
  return value;
}

void print_cells(const std::vector<std::uint64_t>& cells) {
  std::printf("\"cells\": [");
  for (std::size_t i = 0; i < cells.size(); ++i) std::printf("%s%" PRIu64, i == 0 ? "" : ",", cells[i]);
  std::printf("]");
}

void print_products(const char* name, const std::vector<Products>& products) {
  std::printf("\"%s\": [", name);
  for (std::size_t i = 0; i < products.size(); ++i) {
    std::printf("%s[%.17g,%.17g,%" PRIu64 "]", i == 0 ? "" : ",", products[i].values, products[i].squares,
                products[i].pairs);
  }
  std::printf("]");
}

void float32(const KernelCode& code, const Stretch& stretch, unsigned threads) {
  const FloatTally tally = in_threads(FloatTally{.code = code}, stretch, threads);
  std::printf("{\"samples\": %" PRIu64 ", \"per_unit\": %d, \"powers\": [%.17g,%.17g,%.17g,%.17g], ", tally.samples,
              FloatTally::kPerUnit, tally.powers[0], tally.powers[1], tally.powers[2], tally.powers[3]);
  print_cells(tally.cells);
  std::printf("}\n");
}

void int16(const KernelCode& code, const Stretch& stretch, unsigned threads, float sigma) {
  const ShortTally tally = in_threads(ShortTally{.code = code, .sigma = sigma}, stretch, threads);
  std::printf("{\"samples\": %" PRIu64 ", \"sigma\": %.9g, \"saturated\": %" PRIu64 ", ", tally.samples,
              static_cast<double>(sigma), tally.saturated);
  print_cells(tally.cells);
  std::printf("}\n");
}

void lags(const KernelCode& code, const Stretch& stretch, unsigned threads) {
  std::vector<std::size_t> lags;
  for (std::size_t lag = 1; lag <= 64; ++lag) lags.push_back(lag);
  // Around the same place of the next block.
  for (std::size_t lag = kBlockSamples - kGroupSamples; lag <= kBlockSamples + kGroupSamples; ++lag)
    lags.push_back(lag);
  const LagTally tally = in_threads(LagTally{.code = code, .lags = lags}, stretch, threads);
  std::printf("{\"lags\": [");
  for (std::size_t i = 0; i < lags.size(); ++i) std::printf("%s%zu", i == 0 ? "" : ",", lags[i]);
  std::printf("], ");
  print_products("all", tally.all);
  std::printf(", ");
  print_products("borders", tally.borders);
  std::printf("}\n");
}

void streams(const KernelCode& code, const Stretch& stretch, unsigned threads) {
  const auto [seed, stream] = stretch.key;
  const auto named = [seed = seed](std::string_view name, std::uint64_t copy) {
    return NoiseKey{seed, stream_of(name.data(), name.size(), copy)};
  };
  const std::pair<const char*, NoiseKey> others[] = {
      {"the next seed", {seed + 1, stream}},
      {"a seed that differs in the highest bit", {seed ^ (std::uint64_t{1} << 63), stream}},
      {"the next stream", {seed, stream + 1}},
      {"a stream that differs in the highest bit", {seed, stream ^ (std::uint64_t{1} << 63)}},
      {"seed and stream exchanged", {stream, seed}},
      {"the next copy of the same file", named(kStreamName, 1)},
      {"a file of another name", named("qualitz", 0)},
  };
  std::printf("{\"names\": [");
  std::vector<Products> products;
  for (const auto& [name, key] : others) {
    std::printf("%s\"%s\"", products.empty() ? "" : ",", name);
    products.push_back(in_threads(StreamTally{.code = code, .other_key = key}, stretch, threads).products);
  }
  std::printf("], ");
  print_products("all", products);
  std::printf("}\n");
}

void blocks(const KernelCode& code, const Stretch& stretch, unsigned threads) {
  BlockTally tally = in_threads(BlockTally{.code = code}, stretch, threads);
  std::printf("{\"blocks\": %zu, \"repeated\": %" PRIu64 "}\n", tally.hashes.size(), tally.repeated());
}

/// All words in the order of their use: of every group x of all lanes, then y of all lanes.
void words(std::uint64_t bytes) {
  struct Unit;
  using N = Noise<Unit>;
  std::vector<std::uint32_t> buffer(kBlockSamples);
  for (std::uint64_t block = 0, done = 0; done < bytes; ++block, done += kBlockSamples * sizeof(std::uint32_t)) {
    for (std::uint32_t l = 0; l < kLanes; ++l) {
      N::Lane lane = N::seed({1, kStream}, block, l);
      for (std::uint32_t draw = 0; draw < kBlockSamples / kLanes; ++draw) buffer[draw * kLanes + l] = lane.next();
    }
    if (std::fwrite(buffer.data(), sizeof buffer[0], buffer.size(), stdout) != buffer.size()) return;  // reader is done
  }
}

/// One row: the first eight samples of noise added to silence.
template <class T>
void vector_row(const char* format, NoiseKey key, std::uint64_t first, float sigma, int step) {
  T out[8] = {};
  const KernelCode& code = kernel_of("scalar").add_noise;
  if constexpr (std::is_same_v<T, std::int16_t>) code.i16(out, out, 8, sigma, step, key, first);
  if constexpr (std::is_same_v<T, std::int32_t>) code.i32(out, out, 8, sigma, step, key, first);
  if constexpr (std::is_same_v<T, float>) code.f32(out, out, 8, sigma, key, first);
  if constexpr (std::is_same_v<T, double>) code.f64(out, out, 8, sigma, key, first);
  std::printf("| %016" PRIx64 " | %016" PRIx64 " | %" PRIu64 " | %s | %.9g | %d |", key.seed, key.stream, first, format,
              static_cast<double>(sigma), step);
  for (const T sample : out) {
    if constexpr (std::is_same_v<T, float>) {
      std::printf(" %08" PRIx32, std::bit_cast<std::uint32_t>(sample));
    } else if constexpr (std::is_same_v<T, double>) {
      std::printf(" %016" PRIx64, std::bit_cast<std::uint64_t>(sample));
    } else {
      std::printf(" %" PRId32, static_cast<std::int32_t>(sample));
    }
  }
  std::printf(" |\n");
}

void vectors() {
  constexpr std::string_view kPath = "speech/a.wav";
  const NoiseKey keys[] = {{0, 0}, {1, stream_of(kPath.data(), kPath.size())}, {~std::uint64_t{0}, ~std::uint64_t{0}}};
  const std::uint64_t firsts[] = {0, 4090, (std::uint64_t{1} << 44) - 4};
  std::printf("| seed | stream | first sample | format | σ | step | eight samples |\n");
  std::printf("| --- | --- | --- | --- | --- | --- | --- |\n");
  for (std::size_t k = 0; k < 3; ++k) {
    vector_row<float>("float32", keys[k], firsts[k], 1.0F, 1);
    vector_row<double>("float64", keys[k], firsts[k], 0.003F, 1);
    vector_row<std::int16_t>("int16", keys[k], firsts[k], 98.304F, 1);
    vector_row<std::int16_t>("int16", keys[k], firsts[k], 30000.0F, 256);
    vector_row<std::int32_t>("int32", keys[k], firsts[k], 1.0e9F, 256);
  }
}

int run(std::span<char*> arguments) {
  const std::string_view test = arguments.size() > 1 ? arguments[1] : "";
  if (test == "words") {
    words(arguments.size() > 2 ? number<std::uint64_t>(arguments[2]) : std::numeric_limits<std::uint64_t>::max());
    return 0;
  }
  if (test == "vectors") {
    vectors();
    return 0;
  }
  if (arguments.size() < 6) {
    throw std::runtime_error("usage: noise_quality TEST KERNEL LOG2_SAMPLES THREADS SEED [SIGMA]");
  }
  const KernelCode& code = kernel_of(arguments[2]).add_noise;
  const auto log2_samples = number<unsigned>(arguments[3]);
  const auto threads = number<unsigned>(arguments[4]);
  if (log2_samples < 16 || log2_samples > 40 || threads < 1 || threads > 1024) {
    throw std::runtime_error("LOG2_SAMPLES must lie in 16 … 40, THREADS in 1 … 1024");
  }
  const Stretch stretch{
      {number<std::uint64_t>(arguments[5]), kStream}, 0, (std::uint64_t{1} << log2_samples) / kBlockSamples};
  if (test == "float32") {
    float32(code, stretch, threads);
  } else if (test == "int16") {
    int16(code, stretch, threads, arguments.size() > 6 ? number<float>(arguments[6]) : 98.304F);
  } else if (test == "lags") {
    lags(code, stretch, threads);
  } else if (test == "streams") {
    streams(code, stretch, threads);
  } else if (test == "blocks") {
    blocks(code, stretch, threads);
  } else {
    throw std::runtime_error("no test is called " + std::string(test));
  }
  return 0;
}

}  // namespace
}  // namespace noisefloor::quality

int main(int argc, char** argv) {
  try {
    return noisefloor::quality::run({argv, static_cast<std::size_t>(argc)});
  } catch (const std::exception& error) {
    std::fprintf(stderr, "noise_quality: %s\n", error.what());
    return 2;
  }
}
