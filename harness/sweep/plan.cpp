// Makes plans and shuffles their rounds.
// SPDX-License-Identifier: MIT
#include "harness/sweep/plan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <regex>
#include <string_view>
#include <unordered_set>
#include <utility>

#include "harness/base/error.hpp"

namespace noisefloor {
namespace {

constexpr std::uint64_t kMostPaddingBytes = 4096;

/// Spreads neighbouring seeds and streams over all 64 bits: the finaliser of SplitMix64 (Steele, Lea,
/// Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014).
std::uint64_t mix(std::uint64_t x) noexcept {
  x += 0x9e3779b97f4a7c15U;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9U;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebU;
  return x ^ (x >> 31);
}

/// Why a cell means nothing; empty if it does.
std::string problem_of(const Cell& cell) {
  try {
    check_cell(cell);
    return {};
  } catch (const UsageError& error) {
    return error.what();
  }
}

/// The cell resolved, or as it is and why it cannot be: a user's work that has fewer tasks, say.
std::pair<Cell, std::string> resolve(const Cell& written) {
  try {
    return {resolved(written), {}};
  } catch (const UsageError& error) {
    return {written, error.what()};
  }
}

}  // namespace

PlanRandom::PlanRandom(std::uint64_t seed, std::uint64_t stream) : engine_(mix(mix(seed) ^ stream)) {}

std::uint64_t PlanRandom::below(std::uint64_t bound) {
  // The largest multiple of bound that fits: what lies above it would favour small numbers.
  const std::uint64_t rest = (std::mt19937_64::max() % bound + 1) % bound;
  std::uint64_t number = engine_();
  while (number > std::mt19937_64::max() - rest) number = engine_();
  return number % bound;
}

void plan_pitfall(PlannedCell& planned, Pitfalls pitfalls) {
  if (planned.cell.pitfall.empty()) return;
  const Pitfall& pitfall = select_pitfall(pitfalls, planned.cell.pitfall);
  const Variant& variant = select_variant(pitfall, planned.cell.variant);
  planned.pitfall.oracle = oracle_of(pitfall, planned.cell);
  planned.pitfall.oracle_iterations = first_variant(pitfall, Role::good).iterations;
  planned.pitfall.iterations = variant.iterations;
  planned.pitfall.hangs = variant.hangs;
  planned.pitfall.wrong = pitfall.harm == Harm::wrong && variant.role == Role::bad;
  if (variant.hangs) {
    planned.rounds = 1;
    planned.repetitions = 1;
    planned.warmups = 0;
    planned.pitfall.iterations = 1;
    return;
  }
  planned.pitfall.fixed = variant.repetitions != 0 || variant.warmups >= 0 || variant.iterations != 0;
  if (variant.iterations != 0) {
    planned.repetitions = 1;
    planned.warmups = 0;
  }
  if (variant.repetitions != 0) planned.repetitions = variant.repetitions;
  if (variant.warmups >= 0) planned.warmups = variant.warmups;
}

Plan make_plan(std::vector<SweepFile> sweeps, const PlanOptions& options) {
  Plan plan;
  plan.seed = options.seed;
  std::unordered_set<std::string> names;
  std::uint64_t points = 0;
  for (SweepFile& sweep : sweeps) {
    if (!names.insert(sweep.name).second) {
      throw UsageError(fmt::format("sweep '{}' is given twice: its rows could not be told apart", sweep.name));
    }
    if (options.work) replace_work(sweep, *options.work);
    for (const AxisValues& values : options.sets) replace_axis(sweep, values);
    if (__builtin_add_overflow(points, count_points(sweep), &points)) points = UINT64_MAX;
  }
  for (std::size_t i = 0; i < options.sets.size(); ++i) {
    for (std::size_t k = 0; k < i; ++k) {
      if (options.sets[i].axis == options.sets[k].axis) {
        throw UsageError(fmt::format("--set {} is given twice; list all values in one: --set {}=v1,v2",
                                     options.sets[i].axis->name, options.sets[i].axis->name));
      }
    }
  }
  if (points > kMostCells && !options.many_cells) {
    throw UsageError(
        fmt::format("{} cells are more than {}: narrow the sweep with --set, or say --yes", points, kMostCells));
  }
  std::regex filter;
  try {
    filter.assign(options.filter, std::regex::ECMAScript);
  } catch (const std::regex_error& error) {
    throw UsageError(fmt::format("--filter '{}' is no regular expression: {}", options.filter, error.what()));
  }
  bool possible = false;
  std::string impossible;
  for (const SweepFile& sweep : sweeps) {
    plan.sweeps.push_back(sweep.path);
    for (const Cell& written : cells(sweep)) {
      const auto group = std::find_if(sweep.groups.begin(), sweep.groups.end(), [&](const SweepGroup& one) {
        return written.sweep == (one.name.empty() ? sweep.name : sweep.name + "." + one.name);
      });
      const std::optional<double> wanted = group == sweep.groups.end() ? std::nullopt : group->sees;
      try {
        const auto [named, unresolved] = resolve(written);
        for (Cell& cell : expand_pitfalls(options.pitfalls, named)) {
          if (options.work && cell.chunk_size > cell.tasks) continue;  // meant for more tasks than these
          if (!options.filter.empty() && !std::regex_search(format_cell(cell), filter)) continue;
          const std::string problem = unresolved.empty() ? problem_of(cell) : unresolved;
          plan.cells.push_back(PlannedCell{.cell = std::move(cell),
                                           .rounds = options.rounds.value_or(sweep.rounds),
                                           .repetitions = sweep.repetitions,
                                           .warmups = sweep.warmups,
                                           .sees = wanted});
          PlannedCell& planned = plan.cells.back();
          if (problem.empty()) {
            plan_pitfall(planned, options.pitfalls);
            possible = true;
          } else {
            planned.rounds = 1;
            planned.status = "skipped";
            planned.message = problem;
            if (impossible.empty())
              impossible = fmt::format("{}: {} ({})", written.sweep, problem, format_cell(written));
          }
        }
      } catch (const UsageError& error) {
        throw UsageError(fmt::format("{}: {} ({})", written.sweep, error.what(), format_cell(written)));
      }
    }
  }
  if (plan.cells.empty()) {
    throw UsageError(fmt::format("no cell is left of {}: --filter '{}' matches none (--dry-run without it lists them)",
                                 points, options.filter));
  }
  if (!possible) throw UsageError(impossible);
  const auto has_budget = [](const SweepFile& sweep) { return sweep.budget.has_value(); };
  if (!options.rounds && std::all_of(sweeps.begin(), sweeps.end(), has_budget)) {
    std::chrono::nanoseconds sum{0};
    for (const SweepFile& sweep : sweeps) sum += *sweep.budget;
    plan.budget = sum;
  }
  return plan;
}

int count_rounds(const Plan& plan) noexcept {
  int most = 0;
  for (const PlannedCell& cell : plan.cells) most = std::max(most, cell.rounds);
  return most;
}

std::uint64_t count_launches(const Plan& plan) noexcept {
  std::uint64_t sum = 0;
  for (const PlannedCell& cell : plan.cells) sum += static_cast<std::uint64_t>(cell.rounds) * plan.arms.size();
  return sum;
}

namespace {

/// The arms of a cell in their order in a round. A block of as many rounds as there are arms draws one order and turns
/// it on by one in each of its rounds, so that every arm comes first, second, … equally often: the second launch of a
/// pair is the faster one, by 5% and more where files are in the page cache.
std::vector<std::size_t> arm_order(const Plan& plan, std::size_t cell, int round) {
  std::vector<std::size_t> arms(plan.arms.size());
  std::iota(arms.begin(), arms.end(), std::size_t{0});
  const std::size_t block = static_cast<std::size_t>(round) / arms.size();
  // Streams below 2^63 are those of the rounds.
  PlanRandom(plan.seed, std::uint64_t{1} << 63U | block << 32U | cell).shuffle(arms);
  std::rotate(arms.begin(), arms.begin() + static_cast<std::ptrdiff_t>(static_cast<std::size_t>(round) % arms.size()),
              arms.end());
  return arms;
}

}  // namespace

std::vector<Visit> visits(const Plan& plan, int round) {
  std::vector<std::size_t> cells(plan.cells.size());
  std::iota(cells.begin(), cells.end(), std::size_t{0});
  std::vector<Visit> result = visits_again(plan, round, 0, std::move(cells));
  std::erase_if(result, [&](const Visit& visit) { return plan.cells[visit.cell].rounds <= round; });
  return result;
}

std::vector<Visit> visits_again(const Plan& plan, int round, int pass, std::vector<std::size_t> cells) {
  constexpr unsigned kRoundBits = 32;
  PlanRandom random(plan.seed, static_cast<std::uint64_t>(round) | static_cast<std::uint64_t>(pass) << kRoundBits);
  random.shuffle(cells);
  std::vector<Visit> result;
  result.reserve(cells.size() * plan.arms.size());
  for (const std::size_t cell : cells) {
    for (const std::size_t arm : arm_order(plan, cell, round)) {
      result.push_back({cell, arm, static_cast<std::size_t>(random.below(kMostPaddingBytes))});
    }
  }
  return result;
}

}  // namespace noisefloor
