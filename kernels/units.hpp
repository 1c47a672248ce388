// The kernel units, one object file each: what each exports, and nothing else.
// SPDX-License-Identifier: MIT
#pragma once

#include "kernels/kernel.hpp"

namespace noisefloor {

extern const KernelCode kAvx512Code;         ///< needs AVX-512 F, CD, DQ, BW; on x86-64 only
extern const KernelCode kAvx2Code;           ///< needs AVX2, FMA; on x86-64 only
extern const KernelCode kNeon64Code;         ///< on AArch64 only
extern const KernelCode kSse2Code;           ///< on x86-64 only
extern const KernelCode kOmpSimdAvx512Code;  ///< needs AVX-512 F, CD, DQ, BW; on x86-64 only
extern const KernelCode kOmpSimdAvx2Code;    ///< needs AVX2, FMA; on x86-64 only
extern const KernelCode kOmpSimdNeon64Code;  ///< on AArch64 only
extern const KernelCode kOmpSimdSse2Code;    ///< on x86-64 only
extern const KernelCode kScalarCode;         ///< needs FMA on x86-64
extern const KernelCode kScalarLibmCode;     ///< runs everywhere; fma() may be a library call
extern const KernelCode kNaiveAvx512Code;    ///< needs AVX-512 F, CD, DQ, BW; on x86-64 only
extern const KernelCode kNaiveAvx2Code;      ///< needs AVX2, FMA; on x86-64 only
extern const KernelCode kNaiveCode;

}  // namespace noisefloor
