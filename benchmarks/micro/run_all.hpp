// The main function of the programs on Google Benchmark.
// SPDX-License-Identifier: MIT
#pragma once

#include <benchmark/benchmark.h>

namespace noisefloor::micro {

/// Reads Google Benchmark's flags, lets `add_all` register the benchmarks, and runs them. Returns the exit status: 2
/// for an unknown flag.
inline int run_all(int argc, char** argv, void (*add_all)()) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  add_all();
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}

}  // namespace noisefloor::micro
