// The table of kernels and what this CPU can run of it.
// SPDX-License-Identifier: MIT
#include "kernels/kernel.hpp"

#include <array>

#include "kernels/units.hpp"

namespace noisefloor {
namespace {

// xsimd 8.1's own detection reads the wrong CPUID leaf and does not ask the operating system.
#if defined(__x86_64__)
const char* avx512_lacks() noexcept {
  if (!__builtin_cpu_supports("avx512f")) return "this CPU lacks AVX-512 F";
  if (!__builtin_cpu_supports("avx512cd")) return "this CPU lacks AVX-512 CD";
  if (!__builtin_cpu_supports("avx512dq")) return "this CPU lacks AVX-512 DQ";
  if (!__builtin_cpu_supports("avx512bw")) return "this CPU lacks AVX-512 BW";
  return "";
}
const char* avx2_lacks() noexcept {
  if (!__builtin_cpu_supports("avx2")) return "this CPU lacks AVX2";
  if (!__builtin_cpu_supports("fma")) return "this CPU lacks FMA";
  return "";
}
const char* sse2_lacks() noexcept { return ""; }
const char* neon64_lacks() noexcept { return "needs an AArch64 CPU"; }
bool scalar_fma() noexcept { return __builtin_cpu_supports("fma") != 0; }
#else
const char* avx512_lacks() noexcept { return "needs an x86-64 CPU"; }
const char* avx2_lacks() noexcept { return "needs an x86-64 CPU"; }
const char* sse2_lacks() noexcept { return "needs an x86-64 CPU"; }
const char* neon64_lacks() noexcept { return ""; }
bool scalar_fma() noexcept { return true; }
#endif

Kernel row(std::string_view name, std::string_view bytes_of, std::string_view help, std::string_view unavailable,
           const KernelCode& code) noexcept {
  return {name, help, bytes_of, unavailable, unavailable.empty() ? code : KernelCode{}};
}

}  // namespace

// The units of another architecture are not built: their rows hold the reason and no code.
#if defined(__x86_64__)
const KernelCode kNeon64Code{};
const KernelCode kOmpSimdNeon64Code{};
#else
const KernelCode kAvx512Code{};
const KernelCode kAvx2Code{};
const KernelCode kSse2Code{};
const KernelCode kOmpSimdAvx512Code{};
const KernelCode kOmpSimdAvx2Code{};
const KernelCode kOmpSimdSse2Code{};
const KernelCode kNaiveAvx512Code{};
const KernelCode kNaiveAvx2Code{};
#endif

std::span<const Kernel> kernels() noexcept {
  constexpr std::string_view kExact = "scalar";
  constexpr std::string_view kNaive = "naive";
  static const std::array table{
      row("avx512", kExact, "16 lanes in one 512-bit register (xsimd)", avx512_lacks(), kAvx512Code),
      row("avx2", kExact, "16 lanes in two 256-bit registers (xsimd)", avx2_lacks(), kAvx2Code),
      row("neon64", kExact, "16 lanes in four 128-bit registers (xsimd)", neon64_lacks(), kNeon64Code),
      row("sse2", kExact, "16 lanes in four 128-bit registers (xsimd), without FMA", sse2_lacks(), kSse2Code),
      row("omp_simd_avx512", kExact, "the scalar loops under #pragma omp simd, compiled for AVX-512", avx512_lacks(),
          kOmpSimdAvx512Code),
      row("omp_simd_avx2", kExact, "the scalar loops under #pragma omp simd, compiled for AVX2", avx2_lacks(),
          kOmpSimdAvx2Code),
      row("omp_simd_neon64", kExact, "the scalar loops under #pragma omp simd, compiled for NEON", neon64_lacks(),
          kOmpSimdNeon64Code),
      row("omp_simd_sse2", kExact, "the scalar loops under #pragma omp simd, compiled for SSE2", sse2_lacks(),
          kOmpSimdSse2Code),
      row("scalar", kExact, "the definition, one lane after the other", "",
          scalar_fma() ? kScalarCode : kScalarLibmCode),
      row("naive_native", kNaive, "naive, compiled for AVX-512 or AVX2, the wider that this CPU has", avx2_lacks(),
          *avx512_lacks() == '\0' ? kNaiveAvx512Code : kNaiveAvx2Code),
      row("naive", kNaive, "std::normal_distribution over std::mt19937: other noise, seeded per file", "", kNaiveCode),
  };
  return table;
}

}  // namespace noisefloor
