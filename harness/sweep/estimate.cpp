// Estimates from the cells and from what an earlier run measured.
// SPDX-License-Identifier: MIT
#include "harness/sweep/estimate.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <system_error>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "harness/base/error.hpp"
#include "harness/base/names.hpp"
#include "harness/strategies/strategy.hpp"
#include "harness/sweep/calibration.hpp"
#include "harness/workloads/table.hpp"

namespace noisefloor {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kProcessBytes = 16ULL << 20U;  ///< of a launch that does nothing
constexpr std::uint64_t kWorkerBytes = 1ULL << 20U;    ///< buffers of a worker that reads and writes files

std::uint64_t sample_bytes(std::string_view format) {
  if (format == "int16") return 2;
  return format == "float64" ? 8 : 4;
}

/// What its tasks hold or move, by the meaning that its workload gives to task_size. A pitfall's variant has no
/// workload, and does not tell.
std::uint64_t data_bytes(const Cell& cell) {
  if (!cell.pitfall.empty()) return 0;
  const WorkloadRow& workload = select_workload(cell.workload);
  const std::uint64_t items = std::uint64_t{cell.tasks} * cell.task_size;
  if (workload.uses_files) return items * sample_bytes(cell.format);
  if (workload.task_size_unit == "samples") return 2 * items * sample_bytes(cell.format);  // input and output
  if (workload.task_size_unit == "items") return 2 * items * sizeof(std::uint64_t);
  if (workload.task_size_unit == "bytes") return items;
  return 0;
}

constexpr std::uint64_t kRateTaskSize = 65'536;  ///< of a task that tells a rate: some ms at most, in every workload

std::string kind_of(const Cell& cell) {
  return fmt::format("{} {} {} {}", cell.workload, cell.kernel, cell.format, cell.work.id);
}

/// Of a task: 1 where the tasks of a user's work have sizes of their own.
std::uint64_t size_of(const Cell& cell) { return std::max<std::uint64_t>(1, cell.task_size); }

/// Of a launch, beside its repetitions.
double start_ns(const Strategy& strategy) {
  if (strategy.start == Start::reference) return 1.5e9;  // an interpreter and its libraries
  return strategy.start == Start::mpi ? 0.7e9 : 30e6;
}

/// One launch with so many repetitions, warm-ups among them; empty where the rate is not known.
std::optional<double> launch_ns(const Cell& cell, int repetitions, const Rates& rates, int cpus) {
  if (!cell.pitfall.empty()) return std::nullopt;
  const auto task = rates.task_ns(cell);
  if (!task) return std::nullopt;
  const WorkloadRow& workload = select_workload(cell.workload);
  const bool waits = cell.workload == "wait";  // which takes no CPU
  const double at_once = cell.strategy == "sequential" ? 1 : waits ? cell.workers : std::min(cell.workers, cpus);
  const double iteration = *task * cell.tasks / std::max(1.0, at_once);
  // Doubled until it is long enough: on average, half as much again.
  const double repetition = std::max(iteration, 1.5 * static_cast<double>(kLeastRepetitionNs));
  const double checked = workload.uses_files ? 1.5 : 1.2;  // outside of the clock: what was written is read again
  return start_ns(find_by_name(strategies(), cell.strategy, "strategy")) + repetitions * checked * repetition;
}

}  // namespace

void Rates::learn(const Plan& earlier) {
  for (const PlannedCell& planned : earlier.cells) {
    const Cell cell = normalised(planned.cell);
    if (cell.task_ns) known_[kind_of(cell)][size_of(cell)] = static_cast<double>(*cell.task_ns);
  }
}

void Rates::measure(const Plan& plan, Launcher& launcher, const Clock& clock, std::chrono::nanoseconds patience) {
  const std::chrono::nanoseconds start = clock();
  for (const PlannedCell& planned : plan.cells) {
    if (!planned.cell.pitfall.empty() || !planned.status.empty()) continue;
    Cell cell = work_of(planned.cell);
    if (known_.count(kind_of(cell)) != 0) continue;
    const std::chrono::nanoseconds left = patience - (clock() - start);
    if (left <= left.zero()) return;
    cell.tasks = 1;
    cell.task_size = std::min(cell.task_size, kRateTaskSize);
    const LaunchOutcome outcome = launcher.launch(
        {.options = {.cell = cell, .repetitions = 1, .warmups = 0, .seed = plan.seed}, .deadline = left});
    if (outcome.end == LaunchEnd::interrupted) throw Error("interrupted", ExitStatus::interrupted);
    std::map<std::uint64_t, double>& of_kind = known_[kind_of(cell)];  // empty: not to be tried again
    if (outcome.end != LaunchEnd::finished) continue;
    const Row& row = outcome.rows.front();
    const double wall = std::strtod(row["wall_ns"].c_str(), nullptr);
    const double iterations = std::strtod(row["iterations"].c_str(), nullptr);
    if (wall > 0 && iterations > 0) of_kind[size_of(cell)] = wall / iterations;
  }
}

std::optional<double> Rates::task_ns(const Cell& named) const {
  const Cell cell = normalised(named);
  const auto found = known_.find(kind_of(cell));
  if (found == known_.end() || found->second.empty()) return std::nullopt;
  const auto distance = [&](std::uint64_t size) {
    return std::abs(std::log(static_cast<double>(size)) - std::log(static_cast<double>(size_of(cell))));
  };
  const auto nearest = std::min_element(found->second.begin(), found->second.end(), [&](const auto& a, const auto& b) {
    return distance(a.first) < distance(b.first);
  });
  return nearest->second * static_cast<double>(size_of(cell)) / static_cast<double>(nearest->first);
}

std::optional<PlanFile> newest_plan(const std::string& parent, std::string_view machine_id, Pitfalls pitfalls) {
  std::vector<std::string> folders;
  std::error_code error;
  for (fs::directory_iterator it(parent, error), end; !error && it != end; it.increment(error)) {
    folders.push_back(it->path().string());
  }
  std::sort(folders.rbegin(), folders.rend());  // names begin with their time
  for (const std::string& folder : folders) {
    const std::string path = plan_path(folder);
    if (path.empty()) continue;
    try {
      PlanFile file = read_plan(path, pitfalls);
      const auto id = file.facts.find("machine_id");
      if (file.plan.calibrated && id != file.facts.end() && id->second == machine_id) return file;
    } catch (const Error&) {
      continue;  // an older program's, or damaged: it only was to help
    }
  }
  return std::nullopt;
}

Estimate estimate(const Plan& plan, const Plan* earlier, const Rates& rates, int cpus) {
  std::unordered_map<std::string, std::uint64_t> known;
  if (earlier != nullptr) {
    for (const PlannedCell& planned : earlier->cells) {
      if (planned.calibration) known[format_cell(factors(planned.cell))] = planned.calibration->expected_ns;
    }
  }
  Estimate result;
  std::unordered_set<std::string> calibrated;
  std::map<std::pair<std::string, std::uint64_t>, std::uint64_t>
      signals;  // by format and length: bytes of the most files
  std::uint64_t largest_output = 0;
  const auto expected = [&](const Cell& cell, int repetitions) {
    const auto found = known.find(format_cell(factors(cell)));
    const double ns = found != known.end()
                          ? static_cast<double>(found->second)
                          : launch_ns(cell, repetitions, rates, cpus)
                                .value_or(static_cast<double>(std::chrono::nanoseconds(kUnknownLaunch).count()));
    return std::chrono::nanoseconds(static_cast<std::int64_t>(ns));
  };
  constexpr int kTrialRepetitions = 8;  // a trial's five, its warm-up, and what doubling takes
  for (const PlannedCell& planned : plan.cells) {
    if (!planned.status.empty()) continue;
    const Cell& cell = planned.cell;
    if (known.count(format_cell(factors(cell))) != 0) {
      ++result.known_cells;
    } else if (cell.pitfall.empty() && rates.task_ns(cell)) {
      ++result.rated_cells;
    }
    result.time += expected(cell, planned.repetitions + planned.warmups) * planned.rounds *
                   static_cast<std::int64_t>(plan.arms.size());
    for (const Cell& once : {cell, planned.pitfall.oracle ? *planned.pitfall.oracle : oracle_cell(cell)}) {
      if (calibrated.insert(format_cell(factors(once))).second) result.time += expected(once, kTrialRepetitions);
    }
    const std::uint64_t bytes = data_bytes(cell);
    std::uint64_t memory = kProcessBytes;
    if (cell.pitfall.empty() && select_workload(cell.workload).uses_files) {
      auto& most = signals[{cell.format, cell.task_size}];
      most = std::max(most, bytes);
      largest_output = std::max(largest_output, bytes);
      memory += static_cast<std::uint64_t>(cell.workers) * kWorkerBytes;
    } else {
      memory += bytes;
    }
    result.memory_bytes = std::max(result.memory_bytes, memory);
  }
  for (const auto& [which, bytes] : signals) result.disk_bytes += bytes;
  result.disk_bytes += largest_output;
  return result;
}

}  // namespace noisefloor
