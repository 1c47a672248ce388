// The plan of a run: which cells are launched, in which order, with which padding; written as plan.json.
// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "harness/measure/cell.hpp"
#include "harness/measure/pitfall.hpp"
#include "harness/sweep/sweep_file.hpp"

namespace noisefloor {

inline constexpr std::uint64_t kMostCells = 100'000;  ///< above it, a plan is taken for a slip of the pen

/// What is known of a cell once it was tried: found by the engine before the first round and the same in
/// every round.
struct Calibration {
  std::uint32_t iterations = 0;     ///< per repetition
  std::uint64_t digest = 0;         ///< of the right output
  std::uint64_t expected_ns = 0;    ///< of one launch, start-up and checks included
  std::uint64_t repetition_ns = 0;  ///< of which one repetition takes so much; 0: not known
};

/// What a pitfall's variant asks of the engine.
struct PitfallPlan {
  std::optional<Cell> oracle = {};      ///< the cell whose answer is the right one; empty: no pitfall
  std::uint32_t oracle_iterations = 0;  ///< of that cell
  std::uint32_t iterations = 0;         ///< per repetition; 0: calibrated
  bool hangs = false;                   ///< expected to: not tried, run in one round only, killed at kHangSeconds
  bool wrong = false;                   ///< expected to give a wrong answer
  bool fixed = false;                   ///< repetitions and warmups are the variant's own
};

struct PlannedCell {
  Cell cell;
  int rounds = 12;           ///< it is visited in rounds 0 … rounds-1
  int asked_rounds = 0;      ///< before a budget cut them; 0: they were not cut
  int repetitions = 5;       ///< timed, per launch
  int warmups = 2;           ///< untimed, per launch
  PitfallPlan pitfall = {};  ///< of a pitfall's variant
  std::optional<Calibration> calibration = {};
  std::string status = {};          ///< not empty: it is not launched; a row with this status, once for every arm,
  std::string message = {};         ///< and this message says why
  std::string kernel = {};          ///< that its first launch ran, whatever "auto" means here,
  std::string runtime = {};         ///< and the OpenMP runtime that answered; both empty until then
  std::optional<double> sees = {};  ///< of its group
};

/// One of the builds that take turns in every visit of a cell.
struct Arm {
  std::string name = "head";  ///< head, base, or base2: a byte copy of base
  std::string program = {};   ///< the file that is started; empty: the launcher's own
  std::string build_id = {};
  std::string git_sha = {};
};

struct Plan {
  std::vector<std::string> sweeps;   ///< paths of the files
  std::vector<std::string> command;  ///< as typed
  std::uint64_t seed = 1;            ///< of order, padding and noise; < 2^63
  std::vector<Arm> arms = {Arm{}};   ///< head first
  bool calibrated = false;           ///< every cell has its calibration, or a status that says why not
  std::optional<std::chrono::nanoseconds> budget = {};  ///< for all of it, calibration included
  std::chrono::nanoseconds spent{0};                    ///< of the budget, by the calls before this one
  std::vector<PlannedCell> cells;
};

struct PlanOptions {
  std::vector<AxisValues> sets = {};  ///< from --set
  std::optional<Cell> work = {};      ///< of the user's, resolved: instead of what the sweeps do
  std::string filter = {};            ///< ECMAScript regex searched in format_cell(); empty: all
  std::optional<int> rounds = {};     ///< replaces what the sweep files say
  std::uint64_t seed = 1;
  bool many_cells = false;  ///< more than kMostCells are meant
  Pitfalls pitfalls = {};   ///< that cells may name
};

/// Fills in what a cell's pitfall and variant say of how they are measured; a cell without is left as it is.
/// Throws UsageError for unknown names.
void plan_pitfall(PlannedCell& planned, Pitfalls pitfalls);

/// A cell with a pitfall but no variant stands for all its variants; with the pitfall "all", for those of all
/// pitfalls. A cell that means nothing is skipped, with the reason. The plan has a budget where every sweep has one and
/// `rounds` is not given: their sum. Throws UsageError: sweeps of the same name, unknown pitfalls, a bad regex, no cell
/// left, none that means something, more than kMostCells.
Plan make_plan(std::vector<SweepFile> sweeps, const PlanOptions& options);

[[nodiscard]] int count_rounds(const Plan& plan) noexcept;
[[nodiscard]] std::uint64_t count_launches(const Plan& plan) noexcept;

/// Uniform numbers that are the same with every standard library: std::uniform_int_distribution and
/// std::shuffle may differ between two. A stream of its own for every (seed, stream).
class PlanRandom {
 public:
  PlanRandom(std::uint64_t seed, std::uint64_t stream);
  /// 0 … bound-1, without bias; bound >= 1.
  std::uint64_t below(std::uint64_t bound);
  /// Fisher and Yates' shuffle.
  template <class T>
  void shuffle(std::vector<T>& values) {
    for (std::size_t left = values.size(); left > 1; --left) std::swap(values[left - 1], values[below(left)]);
  }

 private:
  std::mt19937_64 engine_;
};

/// One launch of a round.
struct Visit {
  std::size_t cell;           ///< index into plan.cells
  std::size_t arm;            ///< index into plan.arms
  std::size_t padding_bytes;  ///< added to the environment: 0 … 4095
};

/// The launches of round `round` (from 0) in their order: the cells are shuffled, and in each the arms follow each
/// other at once, in balanced random order: in as many rounds as there are arms, each comes first once. A function of
/// the plan's seed, the numbers of cells and arms, and the round alone, so that a run can be taken up where it ended.
std::vector<Visit> visits(const Plan& plan, int round);

/// Launches of `cells` that are made again in round `round`, in an order of their own for each `pass` (from 1). A
/// function of the same, and of `cells`.
std::vector<Visit> visits_again(const Plan& plan, int round, int pass, std::vector<std::size_t> cells);

/// The text of plan.json. `facts` (name and value, such as build_id) go to its head.
/// The inverse is parse_plan().
std::string format_plan(const Plan& plan, const std::vector<std::pair<std::string, std::string>>& facts);

/// What plan.json holds: the plan, and the texts at its head by name.
struct PlanFile {
  Plan plan;
  std::map<std::string, std::string> facts;
};

/// The plan of the run in `folder`: plan.json, or the plan.toml of an older program; empty if there is none.
std::string plan_path(const std::string& folder);

/// `path`: names the plan in messages; one that ends in ".toml" is read as the TOML that older programs wrote.
/// `pitfalls`: that its cells may name. Throws UsageError "<path>: what is wrong, and where".
PlanFile parse_plan(std::string_view text, const std::string& path, Pitfalls pitfalls = {});
/// Reads and parses. Throws UsageError where the file cannot be read, too.
PlanFile read_plan(const std::string& path, Pitfalls pitfalls = {});

}  // namespace noisefloor
