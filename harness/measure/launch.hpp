// One launch: this process measures one cell and makes one row per timed repetition.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "harness/measure/cell.hpp"
#include "harness/measure/columns.hpp"
#include "harness/measure/pitfall.hpp"
#include "harness/measure/team.hpp"
#include "harness/strategies/strategy.hpp"

namespace noisefloor {

inline constexpr int kLaunchProtocol = 1;
inline constexpr std::uint64_t kLeastRepetitionNs = 5'000'000;

struct LaunchOptions {
  Cell cell;
  std::uint32_t iterations = 0;  ///< per repetition; 0: doubled from 1 until a repetition lasts kLeastRepetitionNs
  int repetitions = 5;           ///< timed; >= 1
  int warmups = 2;               ///< untimed repetitions before them; >= 0
  std::uint64_t seed = 1;        ///< of the noise
  std::optional<std::uint64_t> expected_digest{};  ///< empty: computed here first, sequentially with the scalar kernel
  Team* team = nullptr;  ///< who runs the tasks of a strategy with Start::mpi; null: no other process was started
};

/// Measures the cell. Every repetition's output is verified with the clock stopped; a digest that
/// differs, a task that failed or a count that is wrong makes its row `wrong_output` or `failed`, with
/// the message. A cell that cannot run here gives one `skipped` row with the reason. Throws UsageError
/// for a cell that means nothing (unknown names, a chunk larger than the task count). Not thread-safe:
/// Google Benchmark's registry is the process's. A sweep calls it once per process, since repetitions in
/// one process are not independent. `pitfalls`: those that a cell may name.
std::vector<Row> launch(const LaunchOptions& options, Pitfalls pitfalls = {});

/// The workload of a cell whose kernel is named: the same in every process.
std::unique_ptr<Workload> make_workload(const Cell& cell, std::uint64_t seed);

/// The one row of a launch that cannot be made here.
std::vector<Row> skipped_rows(const Cell& cell, std::uint64_t seed, std::string_view reason);

/// A row with the cell's factors, its id, the build and the seed; measures and status are empty.
Row row_of(const Cell& cell, std::uint64_t seed);

/// What the cell asks of its strategy. Ordered delivery is bounded by a window where the strategy can keep to one.
StrategyOptions strategy_options(const Cell& cell, const Strategy& strategy);

}  // namespace noisefloor
