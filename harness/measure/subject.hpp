// What a launch measures, whatever it is: made ready before the clock, iterated inside it, verified after it.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "harness/base/usage.hpp"
#include "harness/strategies/strategy.hpp"
#include "harness/workloads/workload.hpp"

namespace noisefloor {

/// What one repetition saw, outside the clock's own reading.
struct Repetition {
  std::uint64_t started_ns = 0;
  Usage usage;
  std::optional<std::uint64_t> peak_rss, steal, instructions, cycles, pressure_ns;
  std::uint64_t first_result_ns = 0;  ///< 0: not told
  std::uint64_t delivered = 0, failed = 0;
  std::optional<StageTimes> stages;
  std::uint64_t digest = 0;
  std::string status = "ok", message;
};

/// Not thread-safe. The order of calls: prepare(), iterate() for each iteration, verify(), clean(); again for
/// every repetition.
class Subject {
 public:
  Subject() = default;
  Subject(const Subject&) = delete;
  Subject& operator=(const Subject&) = delete;
  virtual ~Subject() = default;

  virtual void prepare(std::uint32_t iterations) = 0;
  /// All of it is inside the clock.
  virtual void iterate(std::uint32_t iteration, Repetition& seen) = 0;
  /// With the clock stopped: sets digest, and status and message where the output is not the expected one.
  virtual void verify(std::uint32_t iterations, std::uint64_t expected, Repetition& seen) = 0;
  virtual void clean() = 0;

  /// Of the processes that work for this one: `usage` since the start, the peak since reset_worker_peaks().
  [[nodiscard]] virtual WorkerUsage worker_usage() const = 0;
  virtual void reset_worker_peaks() {}
  [[nodiscard]] virtual std::optional<StageTimes> stage_times() const { return std::nullopt; }
  [[nodiscard]] virtual Volume volume() const { return {}; }
  /// How long each task takes alone, ns, from a pass of its own; empty where nobody asks.
  [[nodiscard]] virtual std::vector<std::uint64_t> task_times() { return {}; }
};

}  // namespace noisefloor
