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
bool scalar_fma() noexcept { return __builtin_cpu_supports("fma") != 0; }
const char* omp_simd_lacks() noexcept { return avx2_lacks(); }
#else
const char* avx512_lacks() noexcept { return "needs an x86-64 CPU"; }
const char* avx2_lacks() noexcept { return "needs an x86-64 CPU"; }
const char* omp_simd_lacks() noexcept { return ""; }
bool scalar_fma() noexcept { return true; }
#endif

// The vector units of another architecture are not built: their rows hold the reason and no code.
#if defined(__x86_64__)
const KernelCode& avx512_code() noexcept { return kAvx512Code; }
const KernelCode& avx2_code() noexcept { return kAvx2Code; }
#else
KernelCode avx512_code() noexcept { return {}; }
KernelCode avx2_code() noexcept { return {}; }
#endif
#if defined(__aarch64__)
const KernelCode& neon64_code() noexcept { return kNeon64Code; }
const char* neon64_lacks() noexcept { return ""; }
#else
KernelCode neon64_code() noexcept { return {}; }
const char* neon64_lacks() noexcept { return "needs an AArch64 CPU"; }
#endif

Kernel row(std::string_view name, std::string_view help, std::string_view unavailable,
           const KernelCode& code) noexcept {
  return {name, help, unavailable, unavailable.empty() ? code : KernelCode{}};
}

}  // namespace

std::span<const Kernel> kernels() noexcept {
  static const std::array table{
      row("avx512", "16 lanes in one 512-bit register (xsimd)", avx512_lacks(), avx512_code()),
      row("avx2", "16 lanes in two 256-bit registers (xsimd)", avx2_lacks(), avx2_code()),
      row("neon64", "16 lanes in four 128-bit registers (xsimd)", neon64_lacks(), neon64_code()),
      row("omp_simd", "the scalar loops under #pragma omp simd, for AVX2 on x86-64", omp_simd_lacks(), kOmpSimdCode),
      row("scalar", "the definition, one lane after the other", "", scalar_fma() ? kScalarCode : kScalarLibmCode),
      row("naive", "std::normal_distribution over std::mt19937: other noise, seeded per file", "", kNaiveCode),
  };
  return table;
}

}  // namespace noisefloor
