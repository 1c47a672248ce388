// Tries every cell once.
// SPDX-License-Identifier: MIT
#include "harness/sweep/calibration.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "harness/base/names.hpp"
#include "harness/strategies/strategy.hpp"
#include "harness/sweep/budget.hpp"
#include "harness/workloads/table.hpp"

namespace noisefloor {
namespace {

using std::chrono::nanoseconds;

// A repetition that something disturbs looks like one that needs few iterations, or like long tasks.
constexpr int kTrialRepetitions = 5;
constexpr int kTrialWarmups = 1;
constexpr std::uint64_t kLongRepetitionNs = 100'000'000;
constexpr std::uint64_t kMostIterations = std::uint64_t{1} << 30U;

constexpr std::string_view kOk = "ok";
constexpr std::string_view kSkipped = "skipped";

std::optional<std::uint64_t> number(const std::string& text, int base = 10) {
  std::uint64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value, base);
  if (text.empty() || error != std::errc() || stop != end) return std::nullopt;
  return value;
}

/// The cell whose output is right for `planned`.
Cell oracle_of(const PlannedCell& planned) {
  return planned.pitfall.oracle ? *planned.pitfall.oracle : oracle_cell(planned.cell);
}

/// What the first launch of a cell told.
struct Trial {
  LaunchOptions options;
  std::optional<LaunchOutcome> outcome;

  [[nodiscard]] const Row* row() const {
    return outcome && outcome->end == LaunchEnd::finished ? &outcome->rows.front() : nullptr;
  }
  /// Wall times of the repetitions in ns, the shortest first; empty unless all have one.
  [[nodiscard]] std::vector<std::uint64_t> walls() const {
    std::vector<std::uint64_t> result;
    for (const Row& one : outcome->rows) {
      const auto wall = number(one["wall_ns"]);
      if (!wall || *wall == 0) return {};
      result.push_back(*wall);
    }
    std::sort(result.begin(), result.end());
    return result;
  }
  /// Why there is nothing to go by; empty if there is.
  [[nodiscard]] std::string problem() const {
    if (!outcome) return "not tried";
    if (row() == nullptr) return outcome->message;
    return (*row())["status"] == kOk ? std::string() : (*row())["status"] + ": " + (*row())["message"];
  }
};

class Calibrator {
 public:
  Calibrator(Plan& plan, Launcher& launcher, Progress& progress, const Clock& clock, const CalibrationTime& time)
      : plan_(plan), launcher_(launcher), progress_(progress), clock_(clock), time_(time), start_(clock()) {}

  bool run() {
    find_largest();
    // An oracle is needed before what is checked against it.
    std::vector<Needs> needs(plan_.cells.size());
    const std::vector<std::size_t> order = fair_order(costs(plan_));
    for (const std::size_t i : order) {
      if (!plan_.cells[i].status.empty()) continue;
      needs[i] = needs_of(plan_.cells[i]);
      needs[i].end = tries_.size();
    }
    std::size_t done = 0;
    double rounds_ns = 0;  // of what is calibrated
    for (const std::size_t i : order) {
      PlannedCell& planned = plan_.cells[i];
      if (!planned.status.empty()) continue;
      const auto full = [&] {
        return time_.budget &&
               static_cast<double>(elapsed().count()) + rounds_ns >= static_cast<double>(time_.budget->count());
      };
      for (; done < needs[i].end && !full(); ++done) {
        progress_.update("calibrating", done, tries_.size(), nanoseconds(0));
        if (!make(*tries_[done])) return false;
      }
      if (planned.pitfall.hangs) {
        conclude_hanging(planned, *needs[i].oracle);
      } else {
        conclude(planned, *needs[i].oracle, needs[i].granularity, *needs[i].own);
      }
      if (!planned.status.empty()) continue;
      const double shorter = plan_.arms.size() == 1 ? short_launch_ns(planned) : 0;
      const double each = shorter > 0 ? shorter : launch_ns(planned);
      rounds_ns += each * std::min(planned.rounds, kLeastRounds) * static_cast<double>(plan_.arms.size());
    }
    progress_.update("calibrating", tries_.size(), tries_.size(), nanoseconds(0));
    return true;
  }

 private:
  struct Needs {
    Trial *oracle = nullptr, *granularity = nullptr, *own = nullptr;
    std::size_t end = 0;  // the first of tries_ that only later cells need
  };

  [[nodiscard]] nanoseconds elapsed() const { return clock_() - start_; }

  /// The trial of a pitfall's variant is short: some variants take long, and a digest is all that is shared.
  Trial& trial(const Cell& cell, const PitfallPlan& pitfall = {}) {
    const auto [place, added] = trials_.try_emplace(format_cell(cell));
    if (added) {
      place->second.options.cell = cell;
      place->second.options.iterations = pitfall.iterations;
      place->second.options.repetitions = pitfall.oracle ? 1 : kTrialRepetitions;
      place->second.options.warmups = pitfall.oracle ? 0 : kTrialWarmups;
      place->second.options.seed = plan_.seed;
      tries_.push_back(&place->second);
    }
    return place->second;
  }

  void find_largest() {
    for (const PlannedCell& planned : plan_.cells) {
      if (planned.pitfall.oracle || !planned.status.empty()) continue;
      Cell work = work_of(planned.cell);
      work.tasks = 0;
      const auto [place, added] = largest_.try_emplace(format_cell(work), planned.cell);
      if (planned.cell.tasks > place->second.tasks) place->second = planned.cell;
    }
  }

  Needs needs_of(const PlannedCell& planned) {
    Needs needs;
    const Cell right = oracle_of(planned);
    needs.oracle = &trial(right, {.oracle = planned.pitfall.oracle, .iterations = planned.pitfall.oracle_iterations});
    if (planned.pitfall.oracle) {
      oracles_[format_cell(factors(planned.cell))] = oracles_[format_cell(right)] = needs.oracle;
    }
    if (planned.pitfall.hangs) return needs;
    if (planned.pitfall.oracle) {
      needs.own = &trial(factors(planned.cell), planned.pitfall);
      return needs;
    }
    Cell work = work_of(planned.cell);
    work.tasks = 0;
    const Cell most = work_of(largest_.at(format_cell(work)));
    static_cast<void>(trial(oracle_cell(most)));
    needs.granularity = &trial(most);
    needs.own = &trial(factors(planned.cell));
    return needs;
  }

  /// Makes the launch of a trial. False if interrupted.
  bool make(Trial& next) {
    const auto known = oracles_.find(format_cell(next.options.cell));
    const Trial& oracle =
        known != oracles_.end() ? *known->second : trials_.at(format_cell(oracle_cell(next.options.cell)));
    if (oracle.problem().empty()) next.options.expected_digest = number((*oracle.row())["digest"], 16);
    nanoseconds deadline = kFirstDeadline;
    if (time_.all) deadline = std::min(deadline, *time_.all - elapsed());
    next.outcome =
        launcher_.launch({.options = next.options, .program = plan_.arms.front().program, .deadline = deadline});
    if (next.outcome->end == LaunchEnd::interrupted) return false;
    // It was not the launch that took too long, there was no more time for it.
    if (next.outcome->end == LaunchEnd::timeout && deadline < kFirstDeadline) next.outcome.reset();
    return true;
  }

  /// A variant that is expected to hang was not tried: it is run once, as it is.
  static void conclude_hanging(PlannedCell& planned, const Trial& oracle) {
    const auto digest = oracle.problem().empty() ? number((*oracle.row())["digest"], 16) : std::nullopt;
    planned.calibration = Calibration{1, digest.value_or(0), nanoseconds(std::chrono::seconds(kHangSeconds)).count()};
  }

  void conclude(PlannedCell& planned, const Trial& oracle, const Trial* granularity, const Trial& own) const {
    planned.calibration.reset();
    const auto give_up = [&](std::string_view status, std::string message) {
      planned.status = status;
      planned.message = std::move(message);
    };
    if (!own.outcome || !oracle.outcome) {
      give_up(kSkipped, fmt::format("budget: {} rounds of what was tried before fill {}", kLeastRounds,
                                    format_duration(*time_.budget)));
      return;
    }
    if (granularity != nullptr && granularity->problem().empty()) {
      const Row& row = *granularity->row();
      const std::vector<std::uint64_t> walls = granularity->walls();
      const auto iterations = number(row["iterations"]);
      const std::uint64_t tasks = granularity->options.cell.tasks;
      if (!walls.empty() && iterations && *iterations != 0 && tasks != 0) {
        planned.cell.task_ns = (walls[walls.size() / 2] + *iterations * tasks / 2) / (*iterations * tasks);
      }
    }
    const Row* row = own.row();
    if (row == nullptr) {
      give_up(own.outcome->end == LaunchEnd::timeout ? "timeout" : "failed", "calibrating: " + own.outcome->message);
      return;
    }
    if (std::string other = of_another_commit(*row, plan_.arms.front()); !other.empty()) {
      give_up("failed", std::move(other));
      return;
    }
    planned.kernel = (*row)["kernel"];
    planned.runtime = (*row)["runtime"];
    if ((*row)["status"] == kSkipped) {
      give_up(kSkipped, (*row)["message"]);
      return;
    }
    const std::string no_oracle = oracle.problem();
    const auto digest = no_oracle.empty() ? number((*oracle.row())["digest"], 16) : std::nullopt;
    if (!digest) {
      give_up("failed", fmt::format("the right output is not known: {}: {}", format_cell(oracle.options.cell),
                                    no_oracle.empty() ? "it printed no digest" : no_oracle));
      return;
    }
    const auto iterations = number((*row)["iterations"]);
    const std::vector<std::uint64_t> walls = own.walls();
    if (!iterations || *iterations == 0 || *iterations > kMostIterations || walls.empty()) {
      give_up("failed", fmt::format("calibrating: {}: {}", (*row)["status"], (*row)["message"]));
      return;
    }
    // Doubled on, should the launch have stopped too early: even the shortest repetition must be long enough.
    std::uint64_t factor = 1;
    while (planned.pitfall.iterations == 0 && walls.front() * factor < kLeastRepetitionNs &&
           2 * factor * *iterations <= kMostIterations)
      factor *= 2;
    // The trial holds its repetitions beside start-up, doubling and checks; only repetitions get longer.
    if (planned.pitfall.oracle && !planned.pitfall.fixed && walls.front() > kLongRepetitionNs) {
      planned.repetitions = 1;  // what takes long needs neither repetition nor warm-up
      planned.warmups = 0;
    }
    const auto due = static_cast<std::int64_t>(factor) * (planned.warmups + planned.repetitions);
    const auto held = static_cast<std::int64_t>(held_repetitions(planned, *iterations));
    const auto wall = static_cast<std::int64_t>(walls[walls.size() / 2]);
    const std::int64_t took = own.outcome->duration.count();
    // No launch is shorter than its repetitions, whatever its trial held.
    const std::int64_t expected = std::max(took + (due - held) * wall, due * wall);
    planned.calibration = Calibration{static_cast<std::uint32_t>(factor * *iterations), *digest,
                                      static_cast<std::uint64_t>(expected), factor * static_cast<std::uint64_t>(wall)};
  }

  /// Repetitions that the trial of `planned` held, the doubling of iterations included, which takes as long as one
  /// repetition, or as two where it went on.
  static std::uint64_t held_repetitions(const PlannedCell& planned, std::uint64_t iterations) {
    if (planned.pitfall.oracle) return 1;
    return kTrialWarmups + kTrialRepetitions + (iterations > 1 ? 2 : 1);
  }

  Plan& plan_;
  Launcher& launcher_;
  Progress& progress_;
  const Clock& clock_;
  const CalibrationTime& time_;
  nanoseconds start_;
  std::unordered_map<std::string, Cell> largest_;    // of each kind of task, the cell with the most of them
  std::unordered_map<std::string, Trial> trials_;    // pointers to elements stay valid
  std::unordered_map<std::string, Trial*> oracles_;  // by what is tried
  std::vector<Trial*> tries_;                        // in the order in which they were first needed
};

}  // namespace

double launch_ns(const PlannedCell& planned) {
  return planned.calibration ? static_cast<double>(planned.calibration->expected_ns) : 0;
}

double short_launch_ns(const PlannedCell& planned) {
  if (!planned.calibration || planned.calibration->repetition_ns == 0 || planned.pitfall.oracle) return 0;
  const int more = std::max(0, planned.repetitions - kLeastRepetitions) + std::max(0, planned.warmups - kLeastWarmups);
  return launch_ns(planned) - more * static_cast<double>(planned.calibration->repetition_ns);
}

void shorten(PlannedCell& planned) {
  const double shorter = short_launch_ns(planned);
  if (shorter <= 0) return;
  planned.calibration->expected_ns = static_cast<std::uint64_t>(shorter);
  planned.repetitions = std::min(planned.repetitions, kLeastRepetitions);
  planned.warmups = std::min(planned.warmups, kLeastWarmups);
}

Cell factors(const Cell& named) {
  Cell cell = normalised(named);
  cell.sweep.clear();
  cell.task_ns.reset();
  return cell;
}

Cell work_of(const Cell& named) {
  const Cell cell = normalised(named);
  Cell work;
  work.workload = cell.workload;
  work.kernel = cell.kernel;
  work.format = cell.format;
  work.tasks = cell.tasks;
  work.task_size = cell.task_size;
  work.output_mode = cell.output_mode;
  work.work = cell.work;
  work.pitfall = cell.pitfall;
  work.variant = cell.variant;
  return work;
}

Cell oracle_cell(const Cell& cell) {
  Cell oracle = work_of(cell);
  if (oracle.kernel.empty()) return oracle;
  oracle.kernel = kernel_defining(oracle.kernel);
  return oracle;
}

std::string of_another_commit(const Row& row, const Arm& arm) {
  if (row["git_sha"].empty() || arm.git_sha.empty() || row["git_sha"] == arm.git_sha) return {};
  return fmt::format("the program that ran it is of commit {}, {} is of commit {}: build all programs anew",
                     row["git_sha"], arm.name, arm.git_sha);
}

bool calibrate(Plan& plan, Launcher& launcher, Progress& progress, const Clock& clock, const CalibrationTime& time) {
  return Calibrator(plan, launcher, progress, clock, time).run();
}

}  // namespace noisefloor
