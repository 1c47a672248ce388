// Two Google Benchmark programs, as they are.
// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "harness/base/child.hpp"
#include "harness/base/unique_fd.hpp"
#include "harness/compare/benchmark_file.hpp"
#include "harness/compare/subject.hpp"

namespace noisefloor::compare {

struct BenchmarkOptions {
  std::array<std::string, 2> programs = {};                     ///< paths: old, new
  std::vector<std::string> arguments = {};                      ///< for both
  std::string filter = {};                                      ///< a --benchmark_filter of theirs; empty: all
  std::chrono::nanoseconds timeout = std::chrono::seconds(60);  ///< of a launch
};

/// A launch is the program with a filter for one benchmark: up to five repetitions of some milliseconds. Programs run
/// where they are; the shorter path gets slashes, so that names of unequal length do not shift the stack. Results are
/// read from --benchmark_out, never from standard output. Where the library takes counts (--benchmark_min_time=Nx, 1.8
/// and later), that of the first launches, of the slower version, holds for all others.
class BenchmarkPrograms : public Subject {
 public:
  /// Lists the benchmarks of both. Throws UsageError where one is no program, no Google Benchmark program, or has no
  /// benchmark that the filter matches. `children` outlives it.
  BenchmarkPrograms(BenchmarkOptions options, ChildRunner& children);
  ~BenchmarkPrograms() override;

  [[nodiscard]] const std::vector<Case>& cases() const override { return cases_; }
  [[nodiscard]] const std::vector<std::string>& measures() const override;
  Reading launch(std::size_t number, Arm arm, std::size_t padding_bytes) override;
  void settle(std::size_t number) override;
  [[nodiscard]] std::vector<std::string> notes() const override;

 private:
  /// How a case is measured, and what its first launches said.
  struct Calibrated {
    std::string name;
    int occurrence = 0;
    int repetitions = 5;
    double iterations = 0;  ///< of each repetition and thread; 0: the library chooses
    std::array<std::optional<BenchmarkEntry>, 2> first;
  };
  struct Found {
    ChildOutcome child;
    std::optional<BenchmarkFile> file;  ///< empty where it cannot be read: `why`
    std::string why;
    bool is_absent = false;  ///< the filter matched nothing
  };

  std::vector<std::string> list(std::size_t arm);
  Found run(std::size_t arm, const std::string& name, const std::string& min_time, int repetitions,
            std::size_t padding_bytes);
  bool takes_counts(std::size_t arm, const Calibrated& one);

  BenchmarkOptions options_;
  ChildRunner& children_;
  std::array<std::string, 2> paths_;  ///< of the programs, of equal length
  std::string folder_;                ///< for results; removed at the end
  UniqueFd nowhere_;
  std::vector<Case> cases_;
  std::vector<Calibrated> calibrated_;
  std::array<std::optional<bool>, 2> takes_counts_;
  std::array<std::optional<BenchmarkFile>, 2> files_;  ///< of the first launch that wrote one; without entries
  bool choose_counts_ = false;                         ///< some launches choose their counts themselves
  std::vector<std::string> notes_;
};

}  // namespace noisefloor::compare
