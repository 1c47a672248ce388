// The kernels beside other generators and the limits of the machine, on buffers of four sizes.
// SPDX-License-Identifier: MIT
//
// Benchmarks are named <who>/<format>/<size>/real_time. Timed: adding noise to one buffer, from `in` to `out`, both
// touched before. Not timed: the check that the output is what it should be. Counters: samples and bytes
// (read and written) per second, and times_limit: the time over that of the plain addition, or of a copy
// where there is no addition, of the same buffers, measured right after.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <limits>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "benchmarks/micro/peers.hpp"
#include "kernels/kernel.hpp"
#include "run_all.hpp"

namespace noisefloor::micro {
namespace {

struct Size {
  const char* name;
  std::size_t samples;
};
// 65,536 samples are 256 … 1024 KiB for in and out together; the last is 240 s of sound.
constexpr Size kSizes[] = {{"L1", 4096}, {"L2", 65536}, {"L3", 1048576}, {"memory", 10584000}};

constexpr NoiseKey kKey{1, 2};

template <class T>
constexpr float kSigma = std::is_integral_v<T> ? 98.304F : 1.0F;  // -50 dB of full scale; N(0, 1)
template <>
constexpr float kSigma<std::int32_t> = 98.304F * 65536;  // 24-bit sound: step 256
constexpr int kWideStep = 256;

/// n samples that start at a border of 64 bytes, so that no load or store is split.
template <class T>
class Aligned {
 public:
  explicit Aligned(std::size_t n) : room_(n + 64 / sizeof(T)) {
    const auto address = reinterpret_cast<std::uintptr_t>(room_.data());
    samples_ = std::span<T>(room_).subspan((64 - address % 64) % 64 / sizeof(T), n);
  }
  [[nodiscard]] T* data() noexcept { return samples_.data(); }
  [[nodiscard]] const T* data() const noexcept { return samples_.data(); }
  [[nodiscard]] std::size_t size() const noexcept { return samples_.size(); }
  [[nodiscard]] T& operator[](std::size_t i) noexcept { return samples_[i]; }
  [[nodiscard]] T operator[](std::size_t i) const noexcept { return samples_[i]; }

 private:
  std::vector<T> room_;
  std::span<T> samples_;
};

template <class T>
struct Buffers {
  explicit Buffers(std::size_t n) : in(n), out(n) {
    for (std::size_t i = 0; i < n; ++i) in[i] = static_cast<T>(static_cast<int>(i % 199) - 99);
  }
  Aligned<T> in, out;
};

template <class T>
void call(const KernelCode& code, const T* in, T* out, std::size_t n, std::uint64_t first) {
  if constexpr (std::is_same_v<T, std::int16_t>) {
    benchmark::DoNotOptimize(code.i16(in, out, n, kSigma<T>, 1, kKey, first));
  } else if constexpr (std::is_same_v<T, std::int32_t>) {
    benchmark::DoNotOptimize(code.i32(in, out, n, kSigma<T>, kWideStep, kKey, first));
  } else if constexpr (std::is_same_v<T, float>) {
    code.f32(in, out, n, kSigma<T>, kKey, first);
  } else {
    code.f64(in, out, n, kSigma<T>, kKey, first);
  }
}

void call(const Peer& peer, const float* in, float* out, std::size_t n) { peer.f32(in, out, n, kSigma<float>); }
void call(const Peer& peer, const std::int16_t* in, std::int16_t* out, std::size_t n) {
  benchmark::DoNotOptimize(peer.i16(in, out, n, kSigma<std::int16_t>));
}

/// Shortest of a few calls, in s.
template <class Call>
double shortest(Call&& once) {
  double best = std::numeric_limits<double>::infinity();
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < 100; ++i) {
    const auto start = std::chrono::steady_clock::now();
    once();
    const auto end = std::chrono::steady_clock::now();
    best = std::min(best, std::chrono::duration<double>(end - start).count());
    if (end - begin > std::chrono::milliseconds(20) && i >= 3) break;
  }
  return best;
}

template <class T>
double limit_seconds(Buffers<T>& buffers) {
  const std::size_t n = buffers.in.size();
  return shortest([&] {
    if constexpr (std::is_same_v<T, float> || std::is_same_v<T, std::int16_t>) {
      call(limits()[1], buffers.in.data(), buffers.out.data(), n);
    } else {
      std::memcpy(buffers.out.data(), buffers.in.data(), n * sizeof(T));
    }
    benchmark::ClobberMemory();
  });
}

/// Times once(first sample), the buffer's length further at each call, and reports the counters. Returns the
/// first sample of the last call.
template <class T, class Once>
std::uint64_t measure(benchmark::State& state, Buffers<T>& buffers, Once&& once) {
  const std::size_t n = buffers.in.size();
  once(0);  // pages, caches, generators
  std::uint64_t first = 0;
  const auto start = std::chrono::steady_clock::now();
  for (auto _ : state) {
    first += n;
    once(first);
    benchmark::ClobberMemory();
  }
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
  const auto iterations = state.iterations();
  state.SetItemsProcessed(iterations * static_cast<std::int64_t>(n));
  state.SetBytesProcessed(iterations * static_cast<std::int64_t>(2 * n * sizeof(T)));
  const std::vector<T> result(buffers.out.data(), buffers.out.data() + n);  // the limit overwrites it
  state.counters["times_limit"] = elapsed.count() / static_cast<double>(iterations) / limit_seconds(buffers);
  std::copy(result.begin(), result.end(), buffers.out.data());
  return first;
}

/// Whether out - in has mean 0 and the standard deviation sigma, within 6 standard errors and rounding.
template <class T>
bool looks_normal(const Buffers<T>& buffers) {
  double sum = 0, squares = 0;
  for (std::size_t i = 0; i < buffers.in.size(); ++i) {
    const double z = (static_cast<double>(buffers.out[i]) - static_cast<double>(buffers.in[i])) / double{kSigma<T>};
    sum += z;
    squares += z * z;
  }
  const auto n = static_cast<double>(buffers.in.size());
  return std::fabs(sum / n) < 6 / std::sqrt(n) && std::fabs(squares / n - 1) < 6 * std::sqrt(2 / n) + 1e-4;
}

template <class T>
void run_kernel(benchmark::State& state, const Kernel& kernel, const Kernel& scalar, std::size_t n) {
  if (!kernel.unavailable.empty()) {
    state.SkipWithError(("skipped: " + std::string(kernel.unavailable)).c_str());
    return;
  }
  Buffers<T> buffers(n);
  const std::uint64_t first = measure(
      state, buffers, [&](std::uint64_t at) { call(kernel.add_noise, buffers.in.data(), buffers.out.data(), n, at); });
  bool right = false;
  if (kernel.name == "naive") {
    right = looks_normal(buffers);
  } else {
    std::vector<T> expected(n);
    call(scalar.add_noise, buffers.in.data(), expected.data(), n, first);
    right = std::memcmp(expected.data(), buffers.out.data(), n * sizeof(T)) == 0;
  }
  if (!right) state.SkipWithError("wrong output");
}

template <class T>
void run_peer(benchmark::State& state, const Peer& peer, std::size_t n) {
  if (!peer.unavailable.empty()) {
    state.SkipWithError(("skipped: " + std::string(peer.unavailable)).c_str());
    return;
  }
  Buffers<T> buffers(n);
  measure(state, buffers, [&](std::uint64_t) { call(peer, buffers.in.data(), buffers.out.data(), n); });
  bool right = true;
  if (peer.name == "limit_copy") {
    right = std::memcmp(buffers.out.data(), buffers.in.data(), n * sizeof(T)) == 0;
  } else if (peer.name == "limit_add") {
    for (std::size_t i = 0; i < n; ++i) {
      right = right && buffers.out[i] == static_cast<T>(buffers.in[i] + static_cast<T>(kSigma<T>));
    }
  } else {
    right = looks_normal(buffers);
  }
  if (!right) state.SkipWithError("wrong output");
}

template <class Run>
void add(std::string_view who, const char* format, const Size& size, Run run) {
  const std::string name = std::string(who) + "/" + format + "/" + size.name;
  benchmark::RegisterBenchmark(name.c_str(), run)->UseRealTime()->Unit(benchmark::kMicrosecond);
}

template <class T>
void add_kernels(const char* format, const Size& size) {
  const auto table = kernels();
  const auto scalar = std::find_if(table.begin(), table.end(), [](const Kernel& k) { return k.name == "scalar"; });
  for (const Kernel& kernel : table) {
    add(kernel.name, format, size, [&kernel, &scalar = *scalar, n = size.samples](benchmark::State& state) {
      run_kernel<T>(state, kernel, scalar, n);
    });
  }
}

template <class T>
void add_peers(const char* format, const Size& size) {
  for (const auto peers : {std_peers(), std_peers_native(), library_peers(), limits()}) {
    for (const Peer& peer : peers) {
      add(peer.name, format, size, [&peer, n = size.samples](benchmark::State& state) { run_peer<T>(state, peer, n); });
    }
  }
}

void add_all() {
  for (const Size& size : kSizes) {
    add_kernels<std::int16_t>("int16", size);
    add_peers<std::int16_t>("int16", size);
    add_kernels<float>("float32", size);
    add_peers<float>("float32", size);
    add_kernels<std::int32_t>("int32", size);
    add_kernels<double>("float64", size);
  }
}

}  // namespace
}  // namespace noisefloor::micro

int main(int argc, char** argv) { return noisefloor::micro::run_all(argc, argv, noisefloor::micro::add_all); }
