// Tries every cell, then goes round.
// SPDX-License-Identifier: MIT
#include "harness/sweep/engine.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
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
constexpr std::chrono::seconds kHangDeadline{kHangSeconds};
constexpr std::uint64_t kMostIterations = std::uint64_t{1} << 30U;

/// A budget may be overrun by so much, and no launch is begun that would overrun it further.
constexpr double kOverrun = 1.05;

constexpr std::string_view kOk = "ok";
constexpr std::string_view kSkipped = "skipped";

std::optional<std::uint64_t> number(const std::string& text, int base = 10) {
  std::uint64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value, base);
  if (text.empty() || error != std::errc() || stop != end) return std::nullopt;
  return value;
}

/// The cell without what names it and what is measured for it: equal ones behave alike.
Cell factors(const Cell& named) {
  Cell cell = normalised(named);
  cell.sweep.clear();
  cell.task_ns.reset();
  return cell;
}

/// What is done in `cell`, without how it is run.
Cell work_of(const Cell& named) {
  const Cell cell = normalised(named);
  Cell work;
  work.workload = cell.workload;
  work.kernel = cell.kernel;
  work.format = cell.format;
  work.tasks = cell.tasks;
  work.task_size = cell.task_size;
  work.output_mode = cell.output_mode;
  work.pitfall = cell.pitfall;
  work.variant = cell.variant;
  return work;
}

nanoseconds as_ns(double ns) { return nanoseconds(static_cast<std::int64_t>(ns)); }

std::string status_of(LaunchEnd end) { return end == LaunchEnd::timeout ? "timeout" : "failed"; }

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

class Engine {
 public:
  Engine(Plan& plan, const RunIdentity& identity, Launcher& launcher, RowSink& sink, Progress& progress,
         const RunOptions& options)
      : plan_(plan),
        identity_(identity),
        launcher_(launcher),
        sink_(sink),
        progress_(progress),
        options_(options),
        start_(options.clock() - plan.spent) {}

  RunSummary run() {
    done_.assign(plan_.cells.size(), std::vector<bool>(plan_.arms.size(), false));
    for (const PlannedCell& planned : plan_.cells) asked_.push_back(std::max(planned.rounds, planned.asked_rounds));
    if (!plan_.calibrated) {
      leave_out_references();
      if (!calibrate()) return summary_;
      plan_.calibrated = true;
      if (plan_.budget) fit(0);
      note();
    } else if (plan_.budget && options_.earlier.empty()) {
      fit(0);
      note();
    }
    take_up();
    // All rounds of an earlier budget are made: no round follows in which it would be seen what a larger one allows.
    if (plan_.budget && !options_.earlier.empty() && remaining(0).first == 0) {
      fit(begun_ + 1);
      note();
    }
    go_round();
    if (plan_.budget) note();
    return summary_;
  }

 private:
  /// Tells what a later call must know to go on.
  void note() {
    if (plan_.budget) {
      plan_.spent = elapsed();
      for (std::size_t i = 0; i < plan_.cells.size(); ++i) {
        plan_.cells[i].asked_rounds = plan_.cells[i].rounds < asked_[i] ? asked_[i] : 0;
      }
    }
    options_.changed(plan_);
  }

  // Before the first round.

  void leave_out_references() {
    if (plan_.arms.size() == 1) return;
    for (PlannedCell& planned : plan_.cells) {
      if (!planned.pitfall.oracle &&
          find_by_name(strategies(), planned.cell.strategy, "strategy").start == Start::reference) {
        planned.status = kSkipped;
        planned.message = "a reference program is no part of a build: it is not compared";
      }
    }
  }

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

  bool calibrate() {
    struct Needs {
      Trial *oracle, *granularity, *own;
    };
    std::vector<Needs> needs;
    needs.reserve(plan_.cells.size());
    // Oracles first: the others are checked against them.
    for (const PlannedCell& planned : plan_.cells) {
      if (!planned.status.empty()) {
        needs.push_back({nullptr, nullptr, nullptr});
        continue;
      }
      const Cell right = oracle_of(planned);
      Trial& oracle = trial(right, {.oracle = planned.pitfall.oracle, .iterations = planned.pitfall.oracle_iterations});
      if (planned.pitfall.oracle) oracles_[format_cell(factors(planned.cell))] = oracles_[format_cell(right)] = &oracle;
      needs.push_back({&oracle, nullptr, nullptr});
    }
    std::unordered_map<std::string, Cell> largest;
    for (const PlannedCell& planned : plan_.cells) {
      if (planned.pitfall.oracle || !planned.status.empty()) continue;
      Cell work = work_of(planned.cell);
      work.tasks = 0;
      const auto [place, added] = largest.try_emplace(format_cell(work), planned.cell);
      if (planned.cell.tasks > place->second.tasks) place->second = planned.cell;
    }
    for (std::size_t i = 0; i < needs.size(); ++i) {
      const Cell& cell = plan_.cells[i].cell;
      if (plan_.cells[i].pitfall.hangs || !plan_.cells[i].status.empty()) continue;
      if (plan_.cells[i].pitfall.oracle) {
        needs[i].own = &trial(factors(cell), plan_.cells[i].pitfall);
        continue;
      }
      Cell work = work_of(cell);
      work.tasks = 0;
      const Cell& most = largest.at(format_cell(work));
      needs[i].granularity = &trial(work_of(most));
      needs[i].own = &trial(factors(cell));
    }
    if (plan_.budget)
      for_calibration_ = std::max(nanoseconds(0), *plan_.budget - plan_.spent) / 2;  // what is left is for measuring
    for (std::size_t done = 0; done < tries_.size(); ++done) {
      if (plan_.budget && elapsed() - plan_.spent >= for_calibration_) break;
      progress_.update("calibrating", done, tries_.size(), nanoseconds(0));
      Trial& next = *tries_[done];
      const auto known = oracles_.find(format_cell(next.options.cell));
      const Trial& oracle =
          known != oracles_.end() ? *known->second : trials_.at(format_cell(oracle_cell(next.options.cell)));
      if (oracle.problem().empty()) next.options.expected_digest = number((*oracle.row())["digest"], 16);
      nanoseconds deadline = kFirstDeadline;
      if (plan_.budget) deadline = std::min(deadline, most() - elapsed());
      next.outcome =
          launcher_.launch({.options = next.options, .program = plan_.arms.front().program, .deadline = deadline});
      if (next.outcome->end == LaunchEnd::interrupted) {
        summary_.interrupted = true;
        if (plan_.budget) note();
        return false;
      }
      // It was not the launch that took too long, there was no more time for it.
      if (next.outcome->end == LaunchEnd::timeout && deadline < kFirstDeadline) next.outcome.reset();
    }
    progress_.update("calibrating", tries_.size(), tries_.size(), nanoseconds(0));
    for (std::size_t i = 0; i < needs.size(); ++i) {
      if (!plan_.cells[i].status.empty()) continue;
      if (plan_.cells[i].pitfall.hangs) {
        conclude_hanging(plan_.cells[i], *needs[i].oracle);
      } else {
        conclude(plan_.cells[i], *needs[i].oracle, needs[i].granularity, *needs[i].own);
      }
    }
    return true;
  }

  /// A variant that is expected to hang was not tried: it is run once, as it is.
  static void conclude_hanging(PlannedCell& planned, const Trial& oracle) {
    const auto digest = oracle.problem().empty() ? number((*oracle.row())["digest"], 16) : std::nullopt;
    planned.calibration = Calibration{1, digest.value_or(0), nanoseconds(kHangDeadline).count()};
  }

  /// Why a row is not what `arm` measured, though it was started: the program that does it for some strategies lies
  /// beside it and may be left from another build. Empty if it is.
  static std::string of_another_commit(const Row& row, const Arm& arm) {
    if (row["git_sha"].empty() || arm.git_sha.empty() || row["git_sha"] == arm.git_sha) return {};
    return fmt::format("the program that ran it is of commit {}, {} is of commit {}: build all programs anew",
                       row["git_sha"], arm.name, arm.git_sha);
  }

  void conclude(PlannedCell& planned, const Trial& oracle, const Trial* granularity, const Trial& own) const {
    planned.calibration.reset();
    const auto give_up = [&](std::string_view status, std::string message) {
      planned.status = status;
      planned.message = std::move(message);
    };
    if (!own.outcome || !oracle.outcome) {
      give_up(kSkipped, fmt::format("budget: half of {} was over before this cell was calibrated",
                                    format_duration(2 * for_calibration_)));
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
      give_up(status_of(own.outcome->end), "calibrating: " + own.outcome->message);
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
    const std::uint64_t due = factor * static_cast<std::uint64_t>(planned.warmups + planned.repetitions);
    const std::uint64_t held = planned.pitfall.oracle ? 1 : kTrialWarmups + kTrialRepetitions;
    const std::uint64_t expected_ns = static_cast<std::uint64_t>(own.outcome->duration.count()) +
                                      (due > held ? due - held : 0) * walls[walls.size() / 2];
    planned.calibration = Calibration{static_cast<std::uint32_t>(factor * *iterations), *digest, expected_ns};
  }

  // What was measured before the run was cut off.

  void take_up() {
    std::unordered_map<std::string, std::size_t> cells;
    for (std::size_t i = 0; i < plan_.cells.size(); ++i) cells.emplace(cell_id(plan_.cells[i].cell), i);
    for (const KeptLaunch& launch : options_.earlier) {
      const auto cell = cells.find(launch.cell_id);
      const auto arm =
          std::find_if(plan_.arms.begin(), plan_.arms.end(), [&](const Arm& one) { return one.name == launch.arm; });
      if (cell == cells.end() || arm == plan_.arms.end()) {
        throw UsageError(
            fmt::format("the rows of launch {} are of cell {} and arm {}, which the plan does not have: it is "
                        "not the plan of these rows",
                        launch.order, launch.cell_id, launch.arm));
      }
      const auto arm_index = static_cast<std::size_t>(arm - plan_.arms.begin());
      earlier_.insert(place(cell->second, arm_index, launch.round));
      order_ = std::max(order_, launch.order + 1);
      begun_ = std::max(begun_, launch.round);
      if (is_last(launch, plan_.cells[cell->second])) done_[cell->second][arm_index] = true;
      count(launch, {cell->second, arm_index, 0});
    }
  }

  /// Whether no launch of the same cell and arm follows.
  static bool is_last(const KeptLaunch& launch, const PlannedCell& planned) {
    return launch.status == kSkipped || !planned.calibration;
  }

  [[nodiscard]] std::uint64_t place(std::size_t cell, std::size_t arm, int round) const {
    return (static_cast<std::uint64_t>(round) * plan_.arms.size() + arm) * plan_.cells.size() + cell;
  }

  // The budget.

  /// Since the run began, without the time between an interruption and the call that goes on.
  [[nodiscard]] nanoseconds elapsed() const { return options_.clock() - start_; }

  /// The budget with what it may be overrun by.
  [[nodiscard]] nanoseconds most() const { return as_ns(kOverrun * static_cast<double>(plan_.budget->count())); }

  /// Whether one more round of `cell` would overrun the budget by more than what is tolerated.
  [[nodiscard]] bool is_late(std::size_t cell) const {
    const double due = launch_ns(cell) * static_cast<double>(plan_.arms.size()) * pace();
    return elapsed() + as_ns(due) > most();
  }

  [[nodiscard]] bool is_active(std::size_t cell) const {
    return plan_.cells[cell].status.empty() && !done_[cell].front();
  }

  /// Cuts what is still to be done after `round` rounds to what is left of the budget.
  void fit(int round) {
    std::vector<CellCost> costs;
    for (std::size_t i = 0; i < plan_.cells.size(); ++i) {
      const bool active = is_active(i);
      costs.push_back({active ? launch_ns(i) * static_cast<double>(plan_.arms.size()) * pace() : 0, asked_[i]});
    }
    const double left_ns = static_cast<double>((*plan_.budget - elapsed()).count());
    const int before = count_rounds(plan_);
    const BudgetCut cut = cut_to_budget(costs, round, left_ns);
    for (std::size_t i = 0; i < plan_.cells.size(); ++i) {
      if (is_active(i)) plan_.cells[i].rounds = std::min(asked_[i], cut.rounds);
    }
    for (const std::size_t i : cut.left_out) leave_out(i, round);
    if (round == 0 || !cut.left_out.empty()) {
      progress_.say(
          fmt::format("budget {}: {} of {} rounds{}", format_duration(*plan_.budget), std::min(cut.rounds, before),
                      *std::max_element(asked_.begin(), asked_.end()),
                      cut.left_out.empty() ? std::string() : fmt::format(", {} cells left out", cut.left_out.size())));
    }
  }

  void leave_out(std::size_t cell, int round) {
    plan_.cells[cell].status = kSkipped;
    plan_.cells[cell].message =
        fmt::format("budget: {} rounds of it do not fit into {}{}", std::min(asked_[cell], kLeastRounds),
                    format_duration(*plan_.budget),
                    round == 0 ? std::string() : fmt::format("; {} were measured before that was seen", round));
    // The row that says so is the next one of this cell.
    plan_.cells[cell].rounds = std::max(plan_.cells[cell].rounds, round + 1);
  }

  // The rounds.

  [[nodiscard]] double launch_ns(std::size_t cell) const {
    return static_cast<double>(plan_.cells[cell].calibration->expected_ns);
  }

  /// Launches take longer or shorter than was expected, all of them alike: so will the rest.
  [[nodiscard]] double pace() const { return expected_ns_ > 0 ? spent_ns_ / expected_ns_ : 1; }

  /// Launches still to be made, and how long they should take, from `round` on.
  [[nodiscard]] std::pair<std::uint64_t, double> remaining(int round) const {
    std::uint64_t launches = 0;
    double ns = 0;
    for (std::size_t i = 0; i < plan_.cells.size(); ++i) {
      if (!plan_.cells[i].status.empty()) continue;
      for (std::size_t arm = 0; arm < plan_.arms.size(); ++arm) {
        if (done_[i][arm]) continue;
        for (int r = round; r < plan_.cells[i].rounds; ++r) {
          if (earlier_.count(place(i, arm, r)) != 0) continue;
          ++launches;
          ns += launch_ns(i);
        }
      }
    }
    return {launches, ns};
  }

  void go_round() {
    std::uint64_t done = 0;
    auto [left, left_ns] = remaining(0);
    progress_.say(fmt::format("{} cells, {} launches{}, about {}", plan_.cells.size(), left,
                              earlier_.empty() ? "" : " left", format_duration(as_ns(left_ns))));
    for (int round = 0; round < count_rounds(plan_); ++round) {
      if (plan_.budget && round > begun_) {
        fit(round);
        note();
        std::tie(left, left_ns) = remaining(round);
      }
      std::size_t visited = plan_.cells.size();
      for (const Visit& visit : visits(plan_, round)) {
        const bool first_arm = std::exchange(visited, visit.cell) != visit.cell;
        if (done_[visit.cell][visit.arm] || earlier_.count(place(visit.cell, visit.arm, round)) != 0) continue;
        const PlannedCell& planned = plan_.cells[visit.cell];
        // All arms of a visit or none: a round without its other half is worth nothing.
        if (first_arm && planned.status.empty() && plan_.budget && is_late(visit.cell)) {
          const auto launches = static_cast<std::uint64_t>(planned.rounds - round) * plan_.arms.size();
          left -= launches;
          left_ns -= static_cast<double>(launches) * launch_ns(visit.cell);
          if (round >= std::min(asked_[visit.cell], kLeastRounds)) {  // it has enough
            done_[visit.cell].assign(plan_.arms.size(), true);
            plan_.cells[visit.cell].rounds = round;
            note();
            continue;
          }
          leave_out(visit.cell, round);
          note();
        }
        if (!planned.status.empty()) {
          keep({blank_row(visit, planned.status, planned.message)}, visit, round);
          done_[visit.cell][visit.arm] = true;
          continue;
        }
        progress_.update("measuring", done, done + left, as_ns(left_ns * pace()));
        const LaunchOutcome outcome = launcher_.launch(request(planned, visit));
        if (outcome.end == LaunchEnd::interrupted) {
          summary_.interrupted = true;
          return;
        }
        ++done;
        --left;
        const double expected = launch_ns(visit.cell);
        left_ns -= expected;
        expected_ns_ += expected;
        spent_ns_ += static_cast<double>(outcome.duration.count());
        bool skipped = false;
        if (is_unknown(visit, outcome)) {
          skipped = true;
          keep({blank_row(visit, std::string(kSkipped),
                          fmt::format("{} does not know this cell: {}", plan_.arms[visit.arm].name, outcome.message))},
               visit, round);
        } else if (outcome.end != LaunchEnd::finished) {
          keep({blank_row(visit, status_of(outcome.end), outcome.message)}, visit, round);
        } else if (const std::string other = of_another_commit(outcome.rows.front(), plan_.arms[visit.arm]);
                   !other.empty()) {
          keep({blank_row(visit, "failed", other)}, visit, round);
        } else {
          keep(outcome.rows, visit, round);
          skipped = outcome.rows.front()["status"] == kSkipped;
        }
        if (skipped) {
          done_[visit.cell][visit.arm] = true;
          left -= static_cast<std::uint64_t>(planned.rounds - round - 1);
          left_ns -= expected * (planned.rounds - round - 1);
        }
      }
    }
    progress_.update("measuring", done, done, nanoseconds(0));
  }

  /// Whether another arm than head says that this cell means nothing to it: head's sweep, its own tables.
  static bool is_unknown(const Visit& visit, const LaunchOutcome& outcome) {
    return visit.arm != 0 && outcome.end == LaunchEnd::failed &&
           outcome.exit_status == static_cast<int>(ExitStatus::usage);
  }

  [[nodiscard]] LaunchRequest request(const PlannedCell& planned, const Visit& visit) const {
    LaunchRequest result;
    result.options.cell = planned.cell;
    result.options.iterations = planned.calibration->iterations;
    result.options.repetitions = planned.repetitions;
    result.options.warmups = planned.warmups;
    result.options.seed = plan_.seed;
    result.options.expected_digest = planned.calibration->digest;
    result.program = plan_.arms[visit.arm].program;
    result.padding_bytes = visit.padding_bytes;
    if (planned.pitfall.hangs) {
      result.deadline = kHangDeadline;
      return result;
    }
    result.deadline =
        std::max(nanoseconds(kLeastDeadline),
                 nanoseconds(static_cast<std::int64_t>(planned.calibration->expected_ns)) * kDeadlineFactor);
    return result;
  }

  /// A row without measures.
  [[nodiscard]] Row blank_row(const Visit& visit, std::string status, std::string message) const {
    const Cell& cell = plan_.cells[visit.cell].cell;
    const PlannedCell& planned = plan_.cells[visit.cell];
    Row row;
    row["schema"] = std::to_string(kCsvSchema);
    row["build_id"] = plan_.arms[visit.arm].build_id;
    row["git_sha"] = plan_.arms[visit.arm].git_sha;
    const Cell recorded = normalised(cell);
    for (const Axis& axis : axes()) row[axis.name] = axis.get(recorded);
    if (!planned.kernel.empty()) row["kernel"] = planned.kernel;
    if (!planned.runtime.empty()) row["runtime"] = planned.runtime;
    row["cell_id"] = cell_id(cell);
    row["seed"] = std::to_string(plan_.seed);
    row["status"] = std::move(status);
    row["message"] = std::move(message);
    return row;
  }

  /// Gives the rows of one launch their place in the run, counts them and keeps them.
  void keep(std::vector<Row> rows, const Visit& visit, int round) {
    const PlannedCell& planned = plan_.cells[visit.cell];
    const Arm& arm = plan_.arms[visit.arm];
    std::string message;
    for (Row& row : rows) {
      row["run_id"] = identity_.run_id;
      row["machine_id"] = identity_.machine_id;
      row["arm"] = arm.name;
      row["build_id"] = arm.build_id;  // the program that was started may have become another: MPI's ranks
      row["round"] = std::to_string(round);
      row["order"] = std::to_string(order_);
      row["launch"] = std::to_string(order_);
      row["cell_id"] = cell_id(planned.cell);  // a foreign arm need not know how it is made
      row["sweep"] = planned.cell.sweep;
      row["task_ns"] = planned.cell.task_ns ? std::to_string(*planned.cell.task_ns) : std::string();
      if (message.empty() && !is_expected(planned, row["status"])) message = row["status"] + ": " + row["message"];
    }
    sink_.append(rows);
    ++order_;
    count(kept_launch(rows), visit);
    if (message.empty()) return;
    progress_.say(visit.arm == 0 ? fmt::format("{} ({})", message, format_cell(planned.cell))
                                 : fmt::format("{}: {} ({})", arm.name, message, format_cell(planned.cell)));
  }

  /// Whether a row may have this status without the run having failed.
  static bool is_expected(const PlannedCell& planned, std::string_view status) {
    return status == kOk || (planned.pitfall.hangs && status == "timeout") ||
           (planned.pitfall.wrong && status == "wrong_output");
  }

  /// A launch counts by the worst of its rows.
  void count(const KeptLaunch& launch, const Visit& visit) {
    const PlannedCell& planned = plan_.cells[visit.cell];
    summary_.observations += launch.ok;
    const bool skipped = launch.status == kSkipped;
    const bool bad = !skipped && !is_expected(planned, launch.status);
    std::uint64_t& by_status = bad && visit.arm != 0                    ? summary_.failed_base
                               : bad && launch.status == "wrong_output" ? summary_.wrong_output
                               : bad && launch.status == "timeout"      ? summary_.timeout
                               : skipped                                ? summary_.skipped
                               : !bad                                   ? summary_.measured
                                                                        : summary_.failed;
    ++by_status;
  }

  Plan& plan_;
  const RunIdentity& identity_;
  Launcher& launcher_;
  RowSink& sink_;
  Progress& progress_;
  const RunOptions& options_;
  nanoseconds start_;
  nanoseconds for_calibration_{0};                   // half of what was left of the budget
  std::unordered_map<std::string, Trial> trials_;    // pointers to elements stay valid
  std::unordered_map<std::string, Trial*> oracles_;  // by what is tried
  std::vector<Trial*> tries_;                        // in the order in which they were first needed
  std::vector<int> asked_;                           // rounds by cell, before a budget cut them
  std::vector<std::vector<bool>> done_;              // by cell and arm: not to be visited again
  std::unordered_set<std::uint64_t> earlier_;        // places of the launches that were made before
  int begun_ = 0;                                    // the last round that was begun before
  double expected_ns_ = 0;                           // of the launches made, as they were expected
  double spent_ns_ = 0;                              // and as they were
  std::uint64_t order_ = 0;                          // of launches in the rounds, and of cells skipped there
  RunSummary summary_;
};

}  // namespace

ExitStatus RunSummary::status() const noexcept {
  if (interrupted) return ExitStatus::interrupted;
  if (failed + wrong_output + timeout > 0) return ExitStatus::failed;
  return measured > 0 ? ExitStatus::done : ExitStatus::usage;
}

Cell oracle_cell(const Cell& cell) {
  Cell oracle = work_of(cell);
  if (oracle.kernel.empty()) return oracle;
  const std::string_view runs = oracle.kernel == "auto" ? select_kernel(oracle.kernel).name : oracle.kernel;
  oracle.kernel = runs == "naive" ? "naive" : "scalar";
  return oracle;
}

Arm greet(Launcher& launcher, std::string name, std::string program) {
  LaunchRequest request;
  request.program = program;
  request.options.cell.workload = "spin";
  request.options.iterations = 1;
  request.options.repetitions = 1;
  request.options.warmups = 0;
  request.deadline = kFirstDeadline;
  const std::string what = program;
  LaunchOutcome outcome;
  try {
    outcome = launcher.launch(request);
  } catch (const Error& error) {
    throw MissingError(fmt::format("{}: {}", name, error.what()));
  }
  if (outcome.end == LaunchEnd::interrupted) throw Error("interrupted", ExitStatus::interrupted);
  if (outcome.end != LaunchEnd::finished) {
    throw MissingError(fmt::format("{}: {} cannot be launched: {}", name, what, outcome.message));
  }
  const Row& row = outcome.rows.front();
  if (row["status"] != kOk || row["build_id"].empty()) {
    throw MissingError(fmt::format("{}: {} answers a launch with status '{}' ({}) and build_id '{}': is it noisefloor?",
                                   name, what, row["status"], row["message"], row["build_id"]));
  }
  return {std::move(name), std::move(program), row["build_id"], row["git_sha"]};
}

RunSummary run_plan(Plan& plan, const RunIdentity& identity, Launcher& launcher, RowSink& sink, Progress& progress,
                    const RunOptions& options) {
  return Engine(plan, identity, launcher, sink, progress, options).run();
}

}  // namespace noisefloor
