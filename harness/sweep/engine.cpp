// Goes round, and measures again what was disturbed.
// SPDX-License-Identifier: MIT
#include "harness/sweep/engine.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <span>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "harness/base/names.hpp"
#include "harness/strategies/strategy.hpp"
#include "harness/sweep/attempts.hpp"
#include "harness/sweep/budget.hpp"
#include "harness/sweep/calibration.hpp"

namespace noisefloor {
namespace {

using std::chrono::nanoseconds;

constexpr std::chrono::seconds kHangDeadline{kHangSeconds};

/// A budget may be overrun by so much, and no launch is begun that would overrun it further.
constexpr double kOverrun = 1.05;

/// Measuring again is given up once so many visits were, and fewer than a quarter of them came out undisturbed.
constexpr std::uint64_t kEnoughAgain = 12;

/// A cell all of whose attempts overran in so many rounds one after the other is not launched any more.
constexpr int kHopelessRounds = 3;

/// No share of the CPUs that others take makes a deadline longer than by this factor.
constexpr double kMostSlowdown = 10;

constexpr std::string_view kOk = "ok";
constexpr std::string_view kSkipped = "skipped";

nanoseconds as_ns(double ns) { return nanoseconds(static_cast<std::int64_t>(ns)); }

/// How well `other` serves to compare `cell` with, in the same group: 0 if it does not.
int suits(const PlannedCell& cell, const PlannedCell& other) {
  if (other.cell.sweep != cell.cell.sweep) return 0;
  if (cell.pitfall.oracle) return factors(other.cell) == factors(*cell.pitfall.oracle) ? 1 : 0;
  const Cell ours = work_of(cell.cell);
  const Cell theirs = work_of(other.cell);
  if (ours.tasks != theirs.tasks || ours.task_size != theirs.task_size) return 0;
  const bool sequential = other.cell.strategy == "sequential";
  return 1 + (ours == theirs && sequential ? 4 : 0) + (ours.workload == theirs.workload ? 2 : 0) +
         (other.cell.strategy == cell.cell.strategy ? 1 : 0);
}

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
        start_(options.clock() - plan.spent),
        disturbance_(options.cpus) {}

  RunSummary run() {
    const std::size_t count = plan_.cells.size();
    done_.assign(count, std::vector<bool>(plan_.arms.size(), false));
    attempts_.resize(count);
    taken_.resize(count);
    overran_rounds_.resize(count);
    find_partners();
    for (const PlannedCell& planned : plan_.cells) asked_.push_back(std::max(planned.rounds, planned.asked_rounds));
    if (!plan_.calibrated) {
      leave_out_references();
      CalibrationTime time;
      if (plan_.budget) {  // what is left is for measuring
        time = {std::max(nanoseconds(0), *plan_.budget - plan_.spent), most() - elapsed()};
      }
      if (!calibrate(plan_, launcher_, progress_, options_.clock, time)) {
        summary_.interrupted = true;
        if (plan_.budget) note();
        return summary_;
      }
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
    summary_.again = disturbance_.again();
    options_.disturbed(disturbance_);
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
      if (launch.round > begun_) end_round(begun_);
      begun_ = std::max(begun_, launch.round);
      earlier_.insert(place(cell->second, arm_index, launch.round, launch.attempt));
      order_ = std::max(order_, launch.order + 1);
      if (is_last(launch, plan_.cells[cell->second])) done_[cell->second][arm_index] = true;
      taken_[cell->second].longest = std::max(taken_[cell->second].longest, as_ns(static_cast<double>(launch.wall_ns)));
      count(launch, {cell->second, arm_index, 0});
    }
  }

  /// Whether no launch of the same cell and arm follows.
  static bool is_last(const KeptLaunch& launch, const PlannedCell& planned) {
    return launch.status == kSkipped || !planned.calibration;
  }

  [[nodiscard]] std::uint64_t place(std::size_t cell, std::size_t arm, int round, int attempt) const {
    const auto pass = static_cast<std::uint64_t>(round) * kMostAttempts + static_cast<std::uint64_t>(attempt);
    return (pass * plan_.arms.size() + arm) * plan_.cells.size() + cell;
  }

  // The budget.

  /// Since the run began, without the time between an interruption and the call that goes on.
  [[nodiscard]] nanoseconds elapsed() const { return options_.clock() - start_; }

  /// The budget with what it may be overrun by.
  [[nodiscard]] nanoseconds most() const { return as_ns(kOverrun * static_cast<double>(plan_.budget->count())); }

  /// Whether one more round of `cell` would overrun the budget by more than what is tolerated.
  [[nodiscard]] bool is_late(std::size_t cell) const { return elapsed() + as_ns(visit_ns(cell)) > most(); }

  [[nodiscard]] bool is_active(std::size_t cell) const {
    return plan_.cells[cell].status.empty() && !done_[cell].front();
  }

  /// Cuts what is still to be done after `round` rounds to what is left of the budget.
  void fit(int round) {
    std::vector<CellCost> cells = costs(plan_);
    for (std::size_t i = 0; i < cells.size(); ++i) {
      cells[i].launch_ns = is_active(i) ? visit_ns(i) : 0;
      // Builds are compared by what their launches hold: as many repetitions in every session.
      if (is_active(i) && plan_.arms.size() == 1) cells[i].short_ns = short_launch_ns(plan_.cells[i]);
      cells[i].rounds = asked_[i];
    }
    const double left_ns = static_cast<double>((*plan_.budget - elapsed()).count());
    const int before = count_rounds(plan_);
    const BudgetCut cut = cut_to_budget(cells, round, left_ns);
    for (std::size_t i = 0; i < plan_.cells.size(); ++i) {
      if (!is_active(i)) continue;
      plan_.cells[i].rounds = std::min(asked_[i], cut.rounds);
      if (cut.shortened) shorten(plan_.cells[i]);
    }
    for (const std::size_t i : cut.left_out) leave_out(i, round);
    if (round == 0 || !cut.left_out.empty()) {
      progress_.say(
          fmt::format("budget {}: {} of {} rounds{}{}", format_duration(*plan_.budget), std::min(cut.rounds, before),
                      *std::max_element(asked_.begin(), asked_.end()),
                      cut.shortened ? fmt::format(", {} repetitions in each launch", kLeastRepetitions) : std::string(),
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

  [[nodiscard]] double launch_ns(std::size_t cell) const { return noisefloor::launch_ns(plan_.cells[cell]); }

  /// One launch of every arm, by what was expected and what this cell's own launches took since.
  [[nodiscard]] double visit_ns(std::size_t cell) const {
    const Taken& taken = taken_[cell];
    const double each = (2 * launch_ns(cell) * pace() + taken.sum_ns) / (2 + static_cast<double>(taken.launches));
    return each * static_cast<double>(plan_.arms.size());
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
          if (earlier_.count(place(i, arm, r, 0)) != 0) continue;
          ++launches;
          ns += launch_ns(i);
        }
      }
    }
    return {launches, ns};
  }

  void go_round() {
    std::tie(left_, left_ns_) = remaining(0);
    progress_.say(fmt::format("{} cells, {} launches{}, about {}", plan_.cells.size(), left_,
                              earlier_.empty() ? "" : " left", format_duration(as_ns(left_ns_))));
    for (int round = 0; round < count_rounds(plan_); ++round) {
      if (plan_.budget && round > begun_) {
        fit(round);
        note();
        std::tie(left_, left_ns_) = remaining(round);
      }
      if (!visit_all(visits(plan_, round), round, 0)) return;
      if (round < begun_) continue;  // what was to be measured again was
      for (int pass = 1; pass < kMostAttempts; ++pass) {
        const std::vector<std::size_t> due = due_again(round, pass);
        if (due.empty()) break;
        left_ += due.size() * plan_.arms.size();
        for (const std::size_t cell : due) left_ns_ += launch_ns(cell) * static_cast<double>(plan_.arms.size());
        if (!visit_all(visits_again(plan_, round, pass, due), round, pass)) return;
      }
      end_round(round);
      options_.disturbed(disturbance_);
    }
    progress_.update("measuring", made_, made_, nanoseconds(0));
  }

  /// One pass over some cells. False if interrupted.
  bool visit_all(const std::vector<Visit>& pass, int round, int attempt) {
    std::size_t visited = plan_.cells.size();
    bool affordable = true;
    for (const Visit& visit : pass) {
      const bool first_arm = std::exchange(visited, visit.cell) != visit.cell;
      if (done_[visit.cell][visit.arm] || earlier_.count(place(visit.cell, visit.arm, round, attempt)) != 0) continue;
      const PlannedCell& planned = plan_.cells[visit.cell];
      // All arms of a visit or none: a round without its other half is worth nothing.
      if (first_arm && planned.status.empty() && plan_.budget) {
        if (attempt > 0) {
          affordable = can_afford_again(visit.cell, round);
        } else if (is_late(visit.cell) && !go_on_without(visit.cell, round)) {
          continue;
        }
      }
      if (!affordable) continue;
      if (!planned.status.empty()) {
        if (attempt == 0) keep({blank_row(visit, planned.status, planned.message)}, visit, round, attempt);
        done_[visit.cell][visit.arm] = true;
        continue;
      }
      if (!launch_one(visit, round, attempt)) return false;
    }
    return true;
  }

  /// There is no time for another round of this cell. False if it has enough; else the cell is left out.
  bool go_on_without(std::size_t cell, int round) {
    const auto launches = static_cast<std::uint64_t>(plan_.cells[cell].rounds - round) * plan_.arms.size();
    left_ -= std::min(left_, launches);
    left_ns_ -= static_cast<double>(launches) * launch_ns(cell);
    const bool enough = round >= std::min(asked_[cell], kLeastRounds);
    if (enough) {
      done_[cell].assign(plan_.arms.size(), true);
      plan_.cells[cell].rounds = round;
    } else {
      leave_out(cell, round);
    }
    note();
    return !enough;
  }

  /// Launches, and keeps what comes of it. False if interrupted.
  bool launch_one(const Visit& visit, int round, int attempt) {
    const PlannedCell& planned = plan_.cells[visit.cell];
    progress_.update("measuring", made_, made_ + left_, as_ns(left_ns_ * pace()));
    const LaunchOutcome outcome = launcher_.launch(request(visit));
    if (outcome.end == LaunchEnd::interrupted) {
      summary_.interrupted = true;
      return false;
    }
    ++made_;
    left_ -= std::min<std::uint64_t>(left_, 1);
    const double expected = launch_ns(visit.cell);
    left_ns_ -= expected;
    Taken& taken = taken_[visit.cell];
    taken.sum_ns += static_cast<double>(outcome.duration.count());
    ++taken.launches;
    if (outcome.end == LaunchEnd::finished) {
      taken.longest = std::max(taken.longest, outcome.duration);
      expected_ns_ += expected;
      spent_ns_ += static_cast<double>(outcome.duration.count());
    }
    bool skipped = false;
    if (is_unknown(visit, outcome)) {
      skipped = true;
      keep({blank_row(visit, std::string(kSkipped),
                      fmt::format("{} does not know this cell: {}", plan_.arms[visit.arm].name, outcome.message))},
           visit, round, attempt);
    } else if (outcome.end == LaunchEnd::timeout) {
      Row row = blank_row(visit, "timeout", outcome.message);
      // A lower bound: all that it was to do took longer than this.
      row["wall_ns"] = std::to_string(outcome.duration.count());
      row["iterations"] = std::to_string(std::uint64_t{planned.calibration->iterations} *
                                         static_cast<std::uint64_t>(planned.warmups + planned.repetitions));
      keep({row}, visit, round, attempt);
    } else if (outcome.end != LaunchEnd::finished) {
      keep({blank_row(visit, "failed", outcome.message)}, visit, round, attempt);
    } else if (const std::string other = of_another_commit(outcome.rows.front(), plan_.arms[visit.arm]);
               !other.empty()) {
      keep({blank_row(visit, "failed", other)}, visit, round, attempt);
    } else {
      keep(outcome.rows, visit, round, attempt);
      skipped = outcome.rows.front()["status"] == kSkipped;
    }
    if (skipped) {
      done_[visit.cell][visit.arm] = true;
      const auto launches = static_cast<std::uint64_t>(planned.rounds - round - 1);
      left_ -= std::min(left_, launches);
      left_ns_ -= expected * static_cast<double>(launches);
    }
    return true;
  }

  // Measuring again what was disturbed.

  /// With one arm, a cell is compared with another one of its group, which is measured again beside it.
  void find_partners() {
    partners_.assign(plan_.cells.size(), plan_.cells.size());
    if (plan_.arms.size() > 1) return;
    std::unordered_map<std::string, std::vector<std::size_t>> groups;
    for (std::size_t i = 0; i < plan_.cells.size(); ++i) {
      const Cell& cell = plan_.cells[i].cell;
      groups[fmt::format("{} {} {} {}", cell.sweep, cell.tasks, cell.task_size, cell.pitfall)].push_back(i);
    }
    for (const auto& [name, cells] : groups) {
      for (const std::size_t cell : cells) {
        int best = 0;
        for (const std::size_t other : cells) {
          const int found = other == cell ? 0 : suits(plan_.cells[cell], plan_.cells[other]);
          if (found > best) {
            best = found;
            partners_[cell] = other;
          }
        }
      }
    }
  }

  /// The attempts of this round with smaller numbers.
  [[nodiscard]] std::vector<Attempt> attempts_before(std::size_t cell, int number) const {
    std::vector<Attempt> result;
    for (const Attempt& one : attempts_[cell]) {
      if (one.number < number) result.push_back(one);
    }
    return result;
  }

  /// Whether what counts of these attempts is to be measured again.
  [[nodiscard]] bool needs_again(std::size_t cell, const std::vector<Attempt>& attempts) const {
    if (attempts.empty() || plan_.cells[cell].pitfall.hangs || !is_active(cell)) return false;
    const Attempt& counts = attempts[which_counts(attempts)];
    // A launch that overran is tried again once, and no more where that was in vain before.
    if (counts.overran) return attempts.size() == 1 && overran_rounds_[cell] == 0;
    return is_disturbed(counts);
  }

  /// The cells that are measured again in this pass: those that were disturbed, and what they are compared with.
  std::vector<std::size_t> due_again(int round, int pass) {
    if (attempts_round_ != round) return {};
    std::vector<std::size_t> due;
    std::size_t disturbed = 0, before = 0;
    for (std::size_t i = 0; i < attempts_.size(); ++i) {
      const std::vector<Attempt> attempts = attempts_before(i, pass);
      if (pass > 1 && needs_again(i, attempts_before(i, pass - 1))) ++before;
      if (!needs_again(i, attempts)) continue;
      const bool overran = attempts.back().overran;
      if (!overran) ++disturbed;
      if (!overran && gave_up_again_) continue;
      due.push_back(i);
      const std::size_t partner = partners_[i];
      if (partner < attempts_.size() && !attempts_before(partner, pass).empty() && is_active(partner)) {
        due.push_back(partner);
      }
    }
    if (pass > 1 && 4 * disturbed > 3 * before) return {};  // the pass before hardly helped
    std::sort(due.begin(), due.end());
    due.erase(std::unique(due.begin(), due.end()), due.end());
    return due;
  }

  /// Whether the fewest rounds of all cells still fit into the budget if this one is measured again.
  [[nodiscard]] bool can_afford_again(std::size_t cell, int round) const {
    double due = visit_ns(cell);
    for (std::size_t i = 0; i < plan_.cells.size(); ++i) {
      if (is_active(i)) due += visit_ns(i) * std::max(0, std::min(asked_[i], kLeastRounds) - round - 1);
    }
    return elapsed() + as_ns(due) <= *plan_.budget;
  }

  /// The launch is an attempt of its visit, and what counts of it may change.
  void note_attempt(const KeptLaunch& launch, std::size_t cell) {
    if (launch.status == kSkipped) return;
    if (attempts_round_ != launch.round) {
      for (std::vector<Attempt>& attempts : attempts_) attempts.clear();
      attempts_round_ = launch.round;
    }
    std::vector<Attempt>& attempts = attempts_[cell];
    if (attempts.empty() || attempts.back().number != launch.attempt) attempts.push_back({.number = launch.attempt});
    Attempt& attempt = attempts.back();
    if (const auto share = launch.disturbed()) attempt.disturbed = std::max(attempt.disturbed.value_or(0), *share);
    attempt.overran = attempt.overran || launch.status == "timeout";
    attempt.launches.push_back(launch.order);
    disturbance_.choose(attempts);
  }

  /// What a round tells of the ones that follow.
  void end_round(int round) {
    if (attempts_round_ != round) return;
    for (std::size_t i = 0; i < attempts_.size(); ++i) {
      const std::vector<Attempt>& attempts = attempts_[i];
      if (attempts.empty()) continue;
      for (std::size_t k = 1; k < attempts.size(); ++k) {
        const std::span<const Attempt> before(attempts.data(), k);
        if (before.back().overran || !is_disturbed(before[which_counts(before)])) continue;
        ++again_;
        if (!is_disturbed(attempts[k])) ++again_helped_;
      }
      const bool overran =
          std::all_of(attempts.begin(), attempts.end(), [](const Attempt& one) { return one.overran; });
      overran_rounds_[i] = overran ? overran_rounds_[i] + 1 : 0;
      PlannedCell& planned = plan_.cells[i];
      if (overran_rounds_[i] >= kHopelessRounds && planned.status.empty() && planned.rounds > round + 1) {
        planned.status = kSkipped;
        planned.message = fmt::format(
            "it overran its deadline in {} rounds one after the other: it is not launched again", kHopelessRounds);
      }
    }
    if (!gave_up_again_ && again_ >= kEnoughAgain && 4 * again_helped_ < again_) {
      gave_up_again_ = true;
      progress_.say("what is disturbed is not measured again any more: it does not help, the machine stays busy");
    }
    for (std::vector<Attempt>& attempts : attempts_) attempts.clear();
    attempts_round_ = -1;
  }

  /// Whether another arm than head says that this cell means nothing to it: head's sweep, its own tables.
  static bool is_unknown(const Visit& visit, const LaunchOutcome& outcome) {
    return visit.arm != 0 && outcome.end == LaunchEnd::failed &&
           outcome.exit_status == static_cast<int>(ExitStatus::usage);
  }

  [[nodiscard]] LaunchRequest request(const Visit& visit) const {
    const PlannedCell& planned = plan_.cells[visit.cell];
    LaunchRequest result;
    result.options.cell = planned.cell;
    result.options.iterations = planned.calibration->iterations;
    result.options.repetitions = planned.repetitions;
    result.options.warmups = planned.warmups;
    result.options.seed = plan_.seed;
    result.options.expected_digest = planned.calibration->digest;
    result.program = plan_.arms[visit.arm].program;
    result.padding_bytes = visit.padding_bytes;
    result.deadline = planned.pitfall.hangs ? kHangDeadline : deadline(visit.cell);
    return result;
  }

  /// Far from the ordinary: kDeadlineFactor times the longest that this cell took so far, and as much longer as others
  /// take of the CPUs.
  [[nodiscard]] nanoseconds deadline(std::size_t cell) const {
    const double ordinary = std::max(launch_ns(cell), static_cast<double>(taken_[cell].longest.count()));
    const double slowdown = std::min(kMostSlowdown, 1 / std::max(1e-9, 1 - disturbance_.share()));
    return std::max(nanoseconds(kLeastDeadline), as_ns(kDeadlineFactor * ordinary * slowdown));
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
  void keep(std::vector<Row> rows, const Visit& visit, int round, int attempt) {
    const PlannedCell& planned = plan_.cells[visit.cell];
    const Arm& arm = plan_.arms[visit.arm];
    std::string message;
    for (Row& row : rows) {
      row["schema"] = std::to_string(kCsvSchema);  // of the file: an arm's own may be older
      row["run_id"] = identity_.run_id;
      row["machine_id"] = identity_.machine_id;
      row["arm"] = arm.name;
      row["build_id"] = arm.build_id;  // the program that was started may have become another: MPI's ranks
      row["round"] = std::to_string(round);
      row["attempt"] = std::to_string(attempt);
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
    disturbance_.add(launch);
    note_attempt(launch, visit.cell);
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
  std::vector<int> asked_;                     // rounds by cell, before a budget cut them
  std::vector<std::vector<bool>> done_;        // by cell and arm: not to be visited again
  std::unordered_set<std::uint64_t> earlier_;  // places of the launches that were made before
  int begun_ = 0;                              // the last round that was begun before
  double expected_ns_ = 0;                     // of the launches that finished, as they were expected
  double spent_ns_ = 0;                        // and as they were
  std::uint64_t made_ = 0;                     // launches
  std::uint64_t left_ = 0;                     // launches still to be made,
  double left_ns_ = 0;                         // and how long they were expected to take
  std::uint64_t order_ = 0;                    // of launches in the rounds, and of cells skipped there
  struct Taken {
    double sum_ns = 0;
    std::uint64_t launches = 0;
    nanoseconds longest{0};  // that finished; of earlier calls, their timed parts
  };
  std::vector<Taken> taken_;                    // by cell
  std::vector<std::size_t> partners_;           // by cell: what it is compared with, or the number of cells
  std::vector<std::vector<Attempt>> attempts_;  // by cell: of one round,
  int attempts_round_ = -1;                     // this one
  std::vector<int> overran_rounds_;             // by cell: rounds up to the last one in which all attempts overran
  std::uint64_t again_ = 0, again_helped_ = 0;  // visits that were made again as they were disturbed
  bool gave_up_again_ = false;
  RunDisturbance disturbance_;
  RunSummary summary_;
};

}  // namespace

ExitStatus RunSummary::status() const noexcept {
  if (interrupted) return ExitStatus::interrupted;
  if (failed + wrong_output > 0) return ExitStatus::failed;
  return measured + timeout > 0 ? ExitStatus::done : ExitStatus::usage;
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
