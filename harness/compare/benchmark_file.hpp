// What a Google Benchmark program wrote with --benchmark_out, and the filters that choose one of its benchmarks.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

namespace noisefloor {

/// One timed repetition. Times in ns per iteration; nan where the file has no number.
struct BenchmarkTime {
  double real_ns = std::numeric_limits<double>::quiet_NaN();
  double cpu_ns = std::numeric_limits<double>::quiet_NaN();
  double iterations = 0;
};

/// What one benchmark came to in one run of the program.
struct BenchmarkEntry {
  std::string name;    ///< as --benchmark_list_tests has it
  int occurrence = 0;  ///< of this name in the file: 0, and 1 … where it is registered again
  int threads = 1;
  std::vector<BenchmarkTime> times;  ///< in their order; of a program that reports aggregates only: the median
  bool aggregates_only = false;
  std::string error;    ///< of SkipWithError(): what it says
  std::string skipped;  ///< of SkipWithMessage(): what it says
};

struct BenchmarkFile {
  std::string library;     ///< "1.9.1"; empty where the library does not write its version (before 1.8.4)
  std::string build_type;  ///< "release" or "debug", of the library; empty where it is not told
  std::vector<BenchmarkEntry> entries;
};

/// Reads the JSON that Google Benchmark 1.5 to 1.9 write ("Outputs" in their docs/user_guide.md). Fits of complexity
/// (_BigO, _RMS) are no measurements. Throws Error where the text is torn or no such file.
BenchmarkFile read_benchmark_file(std::string_view text);

/// A --benchmark_filter that matches `name` alone, in both kinds of regular expressions that the library is built with
/// (ECMAScript and POSIX extended).
std::string exact_filter(std::string_view name);

/// Why CPU time does not measure this benchmark; empty if it does: the author asked for another time by the name's
/// suffix, or several threads share the work.
std::string_view why_not_cpu_time(std::string_view name, int threads);

}  // namespace noisefloor
