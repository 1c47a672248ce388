// Estimates from the cells and from what an earlier run measured.
// SPDX-License-Identifier: MIT
#include "harness/sweep/estimate.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <system_error>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "harness/base/error.hpp"
#include "harness/sweep/engine.hpp"
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

/// The cell without what names it and what is found: cells that take the same time.
std::string key_of(Cell cell) {
  cell.sweep.clear();
  cell.task_ns.reset();
  return format_cell(normalised(std::move(cell)));
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

}  // namespace

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

Estimate estimate(const Plan& plan, const Plan* earlier) {
  std::unordered_map<std::string, std::uint64_t> known;
  if (earlier != nullptr) {
    for (const PlannedCell& planned : earlier->cells) {
      if (planned.calibration) known[key_of(planned.cell)] = planned.calibration->expected_ns;
    }
  }
  Estimate result;
  std::unordered_set<std::string> calibrated;
  std::map<std::pair<std::string, std::uint64_t>, std::uint64_t>
      signals;  // by format and length: bytes of the most files
  std::uint64_t largest_output = 0;
  const auto launch_ns = [&](const std::string& key) {
    const auto found = known.find(key);
    return found != known.end() ? std::chrono::nanoseconds(static_cast<std::int64_t>(found->second))
                                : std::chrono::nanoseconds(kUnknownLaunch);
  };
  for (const PlannedCell& planned : plan.cells) {
    const Cell& cell = planned.cell;
    const std::string key = key_of(cell);
    result.known_cells += known.count(key);
    result.time += launch_ns(key) * planned.rounds * static_cast<std::int64_t>(plan.arms.size());
    for (const std::string& once :
         {key, key_of(planned.pitfall.oracle ? *planned.pitfall.oracle : oracle_cell(cell))}) {
      if (calibrated.insert(once).second) result.time += launch_ns(once);
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

std::string format_size(std::uint64_t bytes) {
  const auto size = static_cast<double>(bytes);
  if (size >= 999.5e6) return fmt::format("{:.1f} GB", size / 1e9);
  return fmt::format("{:.0f} MB", size / 1e6);
}

}  // namespace noisefloor
