// The table of strategies.
// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <array>

#include "harness/base/error.hpp"
#include "harness/base/names.hpp"
#include "harness/strategies/chunks.hpp"
#include "harness/strategies/openmp.hpp"
#include "harness/strategies/sequential.hpp"
#include "harness/strategies/std_thread.hpp"
#include "harness/strategies/strategy.hpp"

namespace noisefloor {
namespace {

// One row per strategy: name, help, why not here, what it refuses, maker.
constexpr std::array kStrategies = {
    Strategy{"sequential", "one task after the other in the calling thread", "", refuse_sequential, make_sequential},
    Strategy{"std_thread", "a warm pool of std::jthread with an atomic cursor over chunks", "", refuse_std_thread,
             make_std_thread},
    Strategy{"openmp", "OpenMP's parallel loop over chunks: schedule static, dynamic or guided", "", refuse_openmp,
             make_openmp},
};

// TaskResult numbers workers in 16 bits.
constexpr int kMostWorkers = 65535;

}  // namespace

std::span<const Strategy> strategies() noexcept { return kStrategies; }

const Strategy& select_strategy(std::string_view name) {
  const Strategy& strategy = find_by_name(kStrategies, name, "strategy");
  if (!strategy.unavailable.empty()) {
    throw MissingError(fmt::format("strategy {} cannot run here: {}", name, strategy.unavailable));
  }
  return strategy;
}

std::unique_ptr<Executor> make_executor(const Strategy& strategy, const Workload& workload,
                                        const StrategyOptions& options) {
  if (const std::string reason = strategy.refuse(options); !reason.empty()) throw UsageError(reason);
  return strategy.make(workload, options);
}

std::string refuse_always(const StrategyOptions& options) {
  if (options.workers < 1 || options.workers > kMostWorkers) {
    return fmt::format("workers is {}: give 1 to {}", options.workers, kMostWorkers);
  }
  if (options.chunk_size < 1) return "chunk_size is 0: give at least 1 task per chunk";
  return {};
}

}  // namespace noisefloor
