// Processes that were started together with this one, to run its tasks.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <memory>

#include "harness/measure/cell.hpp"
#include "harness/strategies/strategy.hpp"
#include "harness/workloads/workload.hpp"

namespace noisefloor {

/// The ranks of an MPI job, as seen by the one that measures. Not thread-safe.
class Team {
 public:
  Team() = default;
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;
  virtual ~Team() = default;

  /// This process and the others.
  [[nodiscard]] virtual int size() const = 0;

  /// Has every process make the workload of the cell, and returns this one's, `mine`, so wrapped that what it is told,
  /// all are told, and that its stage times are those of all. Gone before the team.
  [[nodiscard]] virtual std::unique_ptr<Workload> share(const Cell& cell, std::uint64_t seed,
                                                        std::unique_ptr<Workload> mine) = 0;

  /// An executor whose workers are these processes. `workload` is what share() returned last, and outlives it.
  [[nodiscard]] virtual std::unique_ptr<Executor> make(const Workload& workload, const StrategyOptions& options) = 0;
};

}  // namespace noisefloor
