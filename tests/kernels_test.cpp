// The kernels keep their promises: the definition of the noise, bit for bit, from any sample on.
// SPDX-License-Identifier: MIT
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cctype>
#include <fstream>
#include <iomanip>
#include <set>
#include <sstream>

#include "kernel_cases.hpp"

namespace noisefloor::test {
namespace {

struct Unit;
using N = Noise<Unit>;

using Words = std::array<std::uint32_t, 3>;

/// The first three words of Philox4x32-10, as a lane of a block is seeded.
Words philox(std::uint64_t seed, std::uint64_t stream, std::uint64_t block, std::uint32_t lane) {
  const N::Lane start = N::seed({seed, stream}, block, lane);
  return {start.a, start.b, start.c};
}

// The known answers that Random123 publishes (examples/kat_vectors), key and counter mapped as the definition says.
TEST(Definition, PhiloxGivesThePublishedAnswers) {
  EXPECT_EQ(philox(0, 0, 0, 0), (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c}));
  EXPECT_EQ(philox(~0ULL, ~0ULL, 0x0fffffffffffffffULL, 15), (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6}));
  EXPECT_EQ(philox(0x299f31d0a4093822ULL, 0x0370734413198a2eULL, 0x085a308d243f6a88ULL, 3),
            (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420}));
}

TEST(Definition, ALaneStartsWithCounterOneAndDrawsSfc32) {
  N::Lane lane{1, 2, 3, 4};
  EXPECT_EQ(lane.next(), 1U + 2U + 4U);
  EXPECT_EQ(lane.a, 2U ^ (2U >> 9));
  EXPECT_EQ(lane.b, 3U + (3U << 3));
  EXPECT_EQ(lane.c, ((3U << 21) | (3U >> 11)) + 7U);
  EXPECT_EQ(lane.counter, 5U);
  EXPECT_EQ(N::seed({1, 2}, 3, 4).counter, 1U);
}

TEST(Definition, NoNormalIsBeyondTheLargest) {
  for (const std::uint32_t x : {0U, 1U, 2U, 3U, 0x7fffffffU, 0x80000000U, 0x80000001U, 0xfffffffeU, 0xffffffffU}) {
    for (const std::uint32_t y : {0U, 1U, 0x3fffffffU, 0x40000000U, 0x7fffffffU, 0x80000000U, 0xffffffffU}) {
      const N::Pair pair = N::box_muller(x, y);
      EXPECT_LE(std::fabs(pair.radius * pair.cosine), kLargestNormal) << x << ' ' << y;
      EXPECT_LE(std::fabs(pair.radius * pair.sine), kLargestNormal) << x << ' ' << y;
    }
  }
  // The smallest magnitudes of x reach it nearly, so the bound is no looser than it must be.
  EXPECT_GT(std::fabs(N::box_muller(0U, 0U).radius), kLargestNormal - 0.01F);
}

TEST(Definition, BoxMullerIsTheLogarithmSineAndCosineThatItStandsFor) {
  constexpr double kPi = 3.14159265358979323846;
  std::mt19937 engine(5);
  for (int i = 0; i < 1'000'000; ++i) {
    // A shift, so that small magnitudes are met as often as large ones.
    const auto x = static_cast<std::uint32_t>(engine()) >> (i % 31);
    const auto y = static_cast<std::uint32_t>(engine());
    const N::Pair pair = N::box_muller(x, y);
    const double u = std::fabs(static_cast<double>(static_cast<std::int32_t>(x | 1U))) * 0x1p-31;
    const double turn = static_cast<double>(static_cast<std::int32_t>(y)) * 0x1p-32 * kPi;
    const double radius = std::sqrt(-2.0 * std::log(u));
    ASSERT_NEAR(std::fabs(static_cast<double>(pair.radius)), radius, 2e-5 * radius + 4e-4 * (u > 0.999)) << x;
    ASSERT_NEAR(static_cast<double>(pair.cosine), std::cos(turn), 8e-6) << y;
    ASSERT_NEAR(static_cast<double>(pair.sine), std::sin(turn), 2e-6) << y;
    ASSERT_EQ(std::signbit(pair.radius), (x & 0x80000000U) != 0);
  }
}

TEST(Definition, StreamsAreNamedByPathAndCopy) {
  // FNV-1a of no byte, and then of eight zero bytes.
  std::uint64_t hash = 0xcbf29ce484222325ULL;
  for (int i = 0; i < 8; ++i) hash *= 0x100000001b3ULL;
  EXPECT_EQ(stream_of("", 0), hash);
  std::set<std::uint64_t> streams;
  for (const std::string_view path : {"a.wav", "b.wav", "a/b.wav", "ab.wav", "\xff\xfe.wav"}) {
    for (const std::uint64_t copy : {0U, 1U, 2U, 256U}) streams.insert(stream_of(path.data(), path.size(), copy));
  }
  EXPECT_EQ(streams.size(), 20U);
}

// ---- The scalar kernel is the definition ----------------------------------------------------------

TEST(Scalar, AddsTheDefinitionToFloats) {
  const Call call{.sigma = 0.37F, .key = {11, 22}, .first = 3 * kBlockSamples + 100};
  constexpr std::size_t kCount = 3 * kBlockSamples + 17;
  const auto singles = signal<float>(kCount, 1);
  const auto doubles = signal<double>(kCount, 2);
  std::vector<float> single_out(kCount);
  std::vector<double> double_out(kCount);
  add_noise(code_of("scalar"), singles.data(), single_out.data(), kCount, call);
  add_noise(code_of("scalar"), doubles.data(), double_out.data(), kCount, call);
  Recomputed noise(call.key);
  for (std::size_t k = 0; k < kCount; ++k) {
    const auto [radius, direction] = noise.at(call.first + k);
    const float z = (radius * call.sigma) * direction;
    ASSERT_EQ(single_out[k], singles[k] + z) << k;
    ASSERT_EQ(double_out[k], doubles[k] + static_cast<double>(z)) << k;
  }
}

template <class T>
class Integers : public ::testing::Test {};
using IntegerTypes = ::testing::Types<std::int16_t, std::int32_t>;
TYPED_TEST_SUITE(Integers, IntegerTypes);

TYPED_TEST(Integers, SaturateExactlyWhereTheSumOverflowsInEveryKernel) {
  using T = TypeParam;
  constexpr std::int64_t kLow = std::numeric_limits<T>::min();
  constexpr std::int64_t kHigh = std::numeric_limits<T>::max();
  std::vector<NamedCode> codes = exact_kernels();
  codes.push_back({"scalar", code_of("scalar")});
  std::uint64_t seen = 0;
  for (const float sigma : {0.4F, 90.0F, 4900.0F, 30000.0F, 1.0e9F}) {
    if (sizeof(T) == 2 && sigma > 30000.0F) continue;
    for (const int step : {1, 256}) {
      // Within a group, to its end, from its start, over borders of groups and blocks.
      for (const auto& [first, count] : std::initializer_list<std::pair<std::uint64_t, std::size_t>>{
               {5, 20}, {40, 24}, {64, 13}, {31, 2}, {4090, 9000}, {0, 8192}}) {
        const Call call{.sigma = sigma, .step = step, .key = {7, 8}, .first = first};
        const auto samples = signal<T>(count, 3);
        Recomputed noise(call.key);
        std::vector<T> expected(count);
        std::size_t expected_saturated = 0;
        for (std::size_t k = 0; k < count; ++k) {
          const std::int64_t sum = samples[k] + noise.template whole<T>(first + k, sigma, step);
          expected_saturated += static_cast<std::size_t>(sum < kLow || sum > kHigh);
          expected[k] = static_cast<T>(sum < kLow ? kLow : sum > kHigh ? kHigh : sum);
        }
        seen += expected_saturated;
        for (const auto& [name, code] : codes) {
          std::vector<T> out(count);
          EXPECT_EQ(add_noise(code, samples.data(), out.data(), count, call), expected_saturated)
              << name << ", sigma " << sigma << ", step " << step << ", from " << first;
          EXPECT_TRUE(same_bytes(expected, out))
              << name << ", sigma " << sigma << ", step " << step << ", from " << first;
        }
      }
    }
  }
  EXPECT_GT(seen, 10'000U);
}

TYPED_TEST(Integers, NaiveSaturatesAndCounts) {
  using T = TypeParam;
  std::vector<T> loud(1000, std::numeric_limits<T>::max());
  const Call call{.sigma = 1000.0F};
  const std::size_t saturated = add_noise(code_of("naive"), loud.data(), loud.data(), loud.size(), call);
  EXPECT_THAT(saturated, ::testing::AllOf(::testing::Gt(400U), ::testing::Lt(600U)));
  std::size_t at_the_end = 0;
  for (const T sample : loud) at_the_end += static_cast<std::size_t>(sample == std::numeric_limits<T>::max());
  EXPECT_GE(at_the_end, saturated);
}

// ---- All kernels are scalar, to the last bit ------------------------------------------------------

// 2.5 million samples of each format.
TEST(Identity, OfInt16) { EXPECT_GE(expect_identity<std::int16_t>(101, 330, 10'000), 2'400'000U); }
TEST(Identity, OfInt32) { EXPECT_GE(expect_identity<std::int32_t>(102, 340, 10'000), 2'500'000U); }
TEST(Identity, OfFloat32) { EXPECT_GE(expect_identity<float>(103, 340, 10'000), 2'500'000U); }
TEST(Identity, OfFloat64) { EXPECT_GE(expect_identity<double>(104, 340, 10'000), 2'500'000U); }

template <class T>
class Formats : public ::testing::Test {};
using FormatTypes = ::testing::Types<std::int16_t, std::int32_t, float, double>;
TYPED_TEST_SUITE(Formats, FormatTypes);

TYPED_TEST(Formats, StartAtEverySampleOfABlock) {
  using T = TypeParam;
  constexpr std::size_t kCount = std::size_t{2} * kBlockSamples;
  std::vector<NamedCode> codes = exact_kernels();
  std::erase_if(codes, [](const NamedCode& code) { return code.name == "scalar_libm"; });  // the same loops as scalar
  codes.push_back({"scalar", code_of("scalar")});
  const auto samples = signal<T>(kCount, 4);
  Call call{.sigma = std::is_integral_v<T> ? 300.0F : 0.1F, .key = {3, 4}};
  std::vector<T> whole(kCount);
  add_noise(code_of("scalar"), samples.data(), whole.data(), kCount, call);
  for (const auto& [name, code] : codes) {
    for (std::size_t start = 0; start < kBlockSamples; ++start) {
      // Lengths of 1 … 97, a different one at every start within a group.
      const std::size_t count = 1 + (start * 37) % 97;
      std::vector<T> piece(count + 1, T{77});
      call.first = start;
      add_noise(code, samples.data() + start, piece.data(), count, call);
      ASSERT_EQ(piece.back(), T{77}) << name << " wrote behind the end, from " << start;
      piece.pop_back();
      ASSERT_TRUE(same_bytes(std::vector<T>(whole.data() + start, whole.data() + start + count), piece))
          << name << ", from " << start;
    }
  }
}

TYPED_TEST(Formats, PiecesAreTheWhole) {
  using T = TypeParam;
  constexpr std::size_t kCount = 5 * kBlockSamples + 123;
  const auto samples = signal<T>(kCount, 5);
  Call call{.sigma = std::is_integral_v<T> ? 2000.0F : 2.0F, .key = {5, 6}, .first = 777};
  std::vector<NamedCode> codes = exact_kernels();
  codes.push_back({"scalar", code_of("scalar")});
  for (const NamedCode& naive : naive_kernels()) codes.push_back(naive);
  for (const auto& [name, code] : codes) {
    std::vector<T> whole(kCount);
    call.first = 777;
    const std::size_t saturated = add_noise(code, samples.data(), whole.data(), kCount, call);
    std::vector<T> pieces(kCount);
    std::size_t pieces_saturated = 0;
    std::mt19937 engine(9);
    for (std::size_t done = 0; done < kCount;) {
      const std::size_t count = std::min<std::size_t>(kCount - done, engine() % 700);
      call.first = 777 + done;
      pieces_saturated += add_noise(code, samples.data() + done, pieces.data() + done, count, call);
      done += count;
    }
    EXPECT_TRUE(same_bytes(whole, pieces)) << name;
    EXPECT_EQ(pieces_saturated, saturated) << name;
  }
}

TYPED_TEST(Formats, BlocksBeyondTheThirtySecondBitAreBlocksToo) {
  using T = TypeParam;
  const auto samples = signal<T>(100, 6);
  // A border where the block number passes 2^32, and one where its upper word changes only.
  for (const std::uint64_t border : {std::uint64_t{1} << 44, std::uint64_t{5} << 44}) {
    Call call{.sigma = 50.0F, .key = {1, 1}, .first = border - 50};
    std::vector<T> expected(100);
    add_noise(code_of("scalar"), samples.data(), expected.data(), 100, call);
    for (const auto& [name, code] : exact_kernels()) {
      std::vector<T> out(100);
      add_noise(code, samples.data(), out.data(), 100, call);
      EXPECT_TRUE(same_bytes(expected, out)) << name << " at " << border;
    }
    call.first = 0;
    std::vector<T> at_zero(50);
    add_noise(code_of("scalar"), samples.data() + 50, at_zero.data(), 50, call);
    EXPECT_NE(at_zero, std::vector<T>(expected.begin() + 50, expected.end())) << "noise repeats at " << border;
  }
}

std::vector<NamedCode> all_kernels() {
  std::vector<NamedCode> codes = exact_kernels();
  codes.push_back({"scalar", code_of("scalar")});
  for (const NamedCode& naive : naive_kernels()) codes.push_back(naive);
  return codes;
}

TYPED_TEST(Formats, SigmaOfZeroLeavesTheBytesAlone) {
  using T = TypeParam;
  auto samples = signal<T>(1000, 7);
  if constexpr (!std::is_integral_v<T>) {
    samples[0] = -T{0};
    samples[1] = std::numeric_limits<T>::infinity();
    samples[2] = std::numeric_limits<T>::denorm_min();
    // A signalling NaN with a payload, which any arithmetic would make quiet.
    samples[3] = std::numeric_limits<T>::signaling_NaN();
    auto* bytes = reinterpret_cast<unsigned char*>(&samples[3]);
    bytes[0] = 0x5a;
  }
  for (const auto& [name, code] : all_kernels()) {
    std::vector<T> out(samples.size() + 1, T{9});
    EXPECT_EQ(add_noise(code, samples.data(), out.data(), samples.size(), {.sigma = 0.0F, .first = 5}), 0U) << name;
    EXPECT_EQ(std::memcmp(samples.data(), out.data(), samples.size() * sizeof(T)), 0) << name;
    EXPECT_EQ(out.back(), T{9}) << name;
  }
}

TYPED_TEST(Formats, NoSampleIsNoWork) {
  using T = TypeParam;
  const T in{42};
  for (const auto& [name, code] : all_kernels()) {
    for (const float sigma : {0.0F, 10.0F}) {
      for (const std::uint64_t first : {0U, 1U, 4095U}) {
        T out{7};
        EXPECT_EQ(add_noise(code, &in, &out, 0, {.sigma = sigma, .first = first}), 0U) << name;
        EXPECT_EQ(out, T{7}) << name;
      }
    }
  }
}

TYPED_TEST(Formats, KeysAndStreamsGiveDifferentNoise) {
  using T = TypeParam;
  constexpr std::size_t kCount = 64;
  const std::vector<T> silence(kCount);
  std::set<std::vector<T>> seen;
  std::size_t keys = 0;
  for (const std::uint64_t seed : {0ULL, 1ULL, 1ULL << 32, ~0ULL}) {
    for (const std::uint64_t stream : {0ULL, 1ULL, 1ULL << 32, ~0ULL}) {
      for (const std::uint64_t first : {std::uint64_t{0}, std::uint64_t{kBlockSamples}}) {
        std::vector<T> out(kCount);
        add_noise(code_of("scalar"), silence.data(), out.data(), kCount,
                  {.sigma = 1000.0F, .key = {seed, stream}, .first = first});
        seen.insert(out);
        ++keys;
      }
    }
  }
  EXPECT_EQ(seen.size(), keys);
}

TYPED_TEST(Integers, NoiseIsAMultipleOfTheStep) {
  using T = TypeParam;
  for (const auto& [name, code] : all_kernels()) {
    for (const float sigma : {300.0F, 2000.0F, 7000.0F}) {
      const std::vector<T> silence(1000);
      std::vector<T> out(1000);
      add_noise(code, silence.data(), out.data(), out.size(), {.sigma = sigma, .step = 256});
      for (const T sample : out) {
        // Saturation is the one way off the grid.
        if (sample == std::numeric_limits<T>::max()) continue;
        ASSERT_EQ(sample % 256, 0) << name << ", sigma " << sigma;
      }
      EXPECT_THAT(out, ::testing::Contains(::testing::Ne(T{0}))) << name;
    }
  }
}

// ---- The table ------------------------------------------------------------------------------------

TEST(Table, ListsEveryKernelWidestFirstWithAReasonWhereItCannotRun) {
  std::vector<std::string_view> names;
  for (const Kernel& kernel : kernels()) {
    names.push_back(kernel.name);
    EXPECT_FALSE(kernel.help.empty()) << kernel.name;
    const bool runs = kernel.unavailable.empty();
    EXPECT_EQ(kernel.add_noise.i16 != nullptr, runs) << kernel.name;
    EXPECT_EQ(kernel.add_noise.i32 != nullptr, runs) << kernel.name;
    EXPECT_EQ(kernel.add_noise.f32 != nullptr, runs) << kernel.name;
    EXPECT_EQ(kernel.add_noise.f64 != nullptr, runs) << kernel.name;
  }
  EXPECT_THAT(names, ::testing::ElementsAre("avx512", "avx2", "neon64", "sse2", "omp_simd_avx512", "omp_simd_avx2",
                                            "omp_simd_neon64", "omp_simd_sse2", "scalar", "naive_native", "naive"));
}

#if defined(__x86_64__)
TEST(Table, SaysWhatTheCpuLacks) {
  const auto reason = [](std::string_view name) {
    for (const Kernel& kernel : kernels()) {
      if (kernel.name == name) return kernel.unavailable;
    }
    return std::string_view("no such kernel");
  };
  EXPECT_EQ(reason("neon64"), "needs an AArch64 CPU");
  EXPECT_EQ(reason("avx2").empty(), __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"));
  EXPECT_EQ(reason("omp_simd_neon64"), "needs an AArch64 CPU");
  EXPECT_EQ(reason("sse2"), "");
  EXPECT_EQ(reason("omp_simd_sse2"), "");
  EXPECT_EQ(reason("omp_simd_avx2"), reason("avx2"));
  EXPECT_EQ(reason("omp_simd_avx512"), reason("avx512"));
  EXPECT_EQ(reason("naive_native"), reason("avx2"));
  EXPECT_EQ(reason("avx512").empty(), __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512cd") &&
                                          __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw"));
}

// With kernel_objects_test, which looks into the objects, this is the proof that the code behind a name
// is the code of that instruction set.
TEST(Table, EveryRowRunsTheCodeOfItsOwnUnit) {
  const std::pair<std::string_view, const KernelCode*> units[] = {
      {"avx512", &kAvx512Code},
      {"avx2", &kAvx2Code},
      {"sse2", &kSse2Code},
      {"omp_simd_avx512", &kOmpSimdAvx512Code},
      {"omp_simd_avx2", &kOmpSimdAvx2Code},
      {"omp_simd_sse2", &kOmpSimdSse2Code},
      {"naive_native", code_of("avx512").i16 != nullptr ? &kNaiveAvx512Code : &kNaiveAvx2Code},
      {"scalar", __builtin_cpu_supports("fma") ? &kScalarCode : &kScalarLibmCode},
      {"naive", &kNaiveCode}};
  std::set<const void*> functions;
  std::size_t count = 0;
  for (const auto& [name, unit] : units) {
    const KernelCode code = code_of(name);
    if (code.i16 == nullptr) continue;
    EXPECT_TRUE(code.i16 == unit->i16 && code.i32 == unit->i32 && code.f32 == unit->f32 && code.f64 == unit->f64)
        << name;
    for (const void* function : {reinterpret_cast<const void*>(code.i16), reinterpret_cast<const void*>(code.i32),
                                 reinterpret_cast<const void*>(code.f32), reinterpret_cast<const void*>(code.f64)}) {
      functions.insert(function);
      ++count;
    }
  }
  EXPECT_EQ(functions.size(), count) << "two kernels share code";
}
#endif

// ---- The documented test vectors -----------------------------------------------------------------

/// A row of the table in docs/NOISE.md.
struct Vector {
  NoiseKey key;
  std::uint64_t first;
  std::string format;
  float sigma;
  int step;
  std::vector<std::string> samples;
};

std::vector<Vector> documented_vectors() {
  std::ifstream document(NOISEFLOOR_SOURCE "/docs/NOISE.md");
  std::vector<Vector> vectors;
  bool inside = false;
  for (std::string line; std::getline(document, line);) {
    if (line == "<!-- vectors:begin -->") inside = true;
    if (line == "<!-- vectors:end -->") break;
    if (!inside || line.size() < 3 || std::isxdigit(static_cast<unsigned char>(line[2])) == 0) continue;
    std::erase(line, '|');
    std::istringstream words(line);
    Vector row;
    words >> std::hex >> row.key.seed >> row.key.stream >> std::dec >> row.first >> row.format >> row.sigma >> row.step;
    for (std::string sample; words >> sample;) row.samples.push_back(sample);
    vectors.push_back(row);
  }
  return vectors;
}

template <class T>
std::string text_of(T sample) {
  std::ostringstream text;
  if constexpr (std::is_same_v<T, float>) {
    text << std::hex << std::setw(8) << std::setfill('0') << __builtin_bit_cast(std::uint32_t, sample);
  } else if constexpr (std::is_same_v<T, double>) {
    text << std::hex << std::setw(16) << std::setfill('0') << __builtin_bit_cast(std::uint64_t, sample);
  } else {
    text << sample;
  }
  return text.str();
}

template <class T>
std::vector<std::string> texts(const KernelCode& code, const Vector& row) {
  std::vector<T> samples(row.samples.size());
  add_noise(code, samples.data(), samples.data(), samples.size(),
            {.sigma = row.sigma, .step = row.step, .key = row.key, .first = row.first});
  std::vector<std::string> texts;
  texts.reserve(samples.size());
  for (const T sample : samples) texts.push_back(text_of(sample));
  return texts;
}

TEST(Vectors, EveryKernelGivesTheDocumentedOnes) {
  const std::vector<Vector> vectors = documented_vectors();
  ASSERT_GE(vectors.size(), 15U);
  std::vector<NamedCode> codes = exact_kernels();
  codes.push_back({"scalar", code_of("scalar")});
  for (const Vector& row : vectors) {
    ASSERT_EQ(row.samples.size(), 8U);
    for (const auto& [name, code] : codes) {
      const auto actual = row.format == "int16"     ? texts<std::int16_t>(code, row)
                          : row.format == "int32"   ? texts<std::int32_t>(code, row)
                          : row.format == "float32" ? texts<float>(code, row)
                                                    : texts<double>(code, row);
      EXPECT_EQ(actual, row.samples) << name << ", " << row.format << ", sigma " << row.sigma << ", from " << row.first;
    }
  }
}

// ---- What the noise is like, on fixed seeds -------------------------------------------------------

TEST(Naive, IsNormalToo) {
  constexpr std::size_t kCount = 1'000'000;
  std::vector<float> out(kCount);
  const std::vector<float> silence(kCount);
  add_noise(code_of("naive"), silence.data(), out.data(), kCount, {.sigma = 2.0F});
  double sum = 0, squares = 0;
  for (const float z : out) {
    sum += z;
    squares += static_cast<double>(z) * z;
  }
  EXPECT_NEAR(sum / kCount, 0.0, 5 * 2.0 / 1000);
  EXPECT_NEAR(squares / kCount, 4.0, 5 * 4.0 * 1.42 / 1000);
}

TEST(Naive, GivesTheSameBytesWhateverItIsCompiledFor) {
  const auto same = [](auto sample) {
    using T = decltype(sample);
    const std::vector<T> samples = signal<T>(10'000, 7);
    std::vector<T> expected(samples.size()), actual(samples.size());
    const float sigma = std::is_integral_v<T> ? 700.0F : 0.1F;
    const std::size_t saturated =
        add_noise(code_of("naive"), samples.data(), expected.data(), samples.size(), {.sigma = sigma});
    for (const auto& [name, code] : naive_kernels()) {
      EXPECT_EQ(add_noise(code, samples.data(), actual.data(), samples.size(), {.sigma = sigma}), saturated) << name;
      EXPECT_TRUE(same_bytes(expected, actual)) << name;
    }
  };
  same(std::int16_t{});
  same(std::int32_t{});
  same(float{});
  same(double{});
}

// ---- Fused multiply-add where there is no instruction ----------------------------------------------

TEST(FmaInDouble, IsTheCLibrarysFmaAlsoWhereTheSumIsBesideTheMiddleOfTwoFloats) {
  std::mt19937 engine(11);
  const auto word = [&] { return static_cast<float>(static_cast<std::int32_t>(engine())); };
  int rounded_twice = 0;
  const auto expect_fma = [&](float x, float y, float z) {
    const float expected = std::fma(x, y, z);
    const double sum = static_cast<double>(x) * static_cast<double>(y) + static_cast<double>(z);
    rounded_twice += static_cast<int>(static_cast<float>(sum) != expected);
    EXPECT_EQ(FmaInDouble<Unit>::multiply_add(x, y, z), expected) << std::hexfloat << x << ' ' << y << ' ' << z;
  };
  for (int i = 0; i < 1'000'000; ++i) {
    expect_fma(std::ldexp(word(), -40 + static_cast<int>(engine() % 20)), std::ldexp(word(), -30),
               std::ldexp(word(), -31));
    // x·y is half of z's last place but for 2^-70, which float64 does not hold beside z.
    const float z = 1.0F + std::ldexp(static_cast<float>(engine() % (1U << 23)), -23);
    const float sign = engine() % 2 == 0 ? 1.0F : -1.0F;
    expect_fma(sign * (1.0F + 0x1p-23F) * 0x1p-12F, (1.0F - 0x1p-23F) * 0x1p-12F, engine() % 2 == 0 ? z : -z);
  }
  EXPECT_GT(rounded_twice, 100'000);
}

TEST(Naive, GoesBackByReplayingItsStream) {
  const KernelCode naive = code_of("naive");
  const std::vector<float> silence(100);
  std::vector<float> a(100), b(100), other(100), again(100);
  add_noise(naive, silence.data(), a.data(), 100, {.first = 500});
  add_noise(naive, silence.data(), other.data(), 100, {.key = {1, 3}, .first = 500});
  add_noise(naive, silence.data(), b.data(), 100, {.first = 600});
  add_noise(naive, silence.data(), again.data(), 100, {.first = 500});
  EXPECT_EQ(a, again);
  EXPECT_NE(a, other);
  EXPECT_NE(a, b);
}

}  // namespace
}  // namespace noisefloor::test
