// Tries every cell, then goes round.
// SPDX-License-Identifier: MIT
#include "harness/sweep/engine.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

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
  Engine(Plan& plan, const RunIdentity& identity, Launcher& launcher, RowSink& sink, Progress& progress)
      : plan_(plan), identity_(identity), launcher_(launcher), sink_(sink), progress_(progress) {}

  RunSummary run(const std::function<void(const Plan&)>& calibrated) {
    states_.assign(plan_.cells.size(), State{{}, {}, std::vector<bool>(plan_.arms.size(), false), {}});
    if (!calibrate()) return summary_;
    calibrated(plan_);
    go_round();
    return summary_;
  }

 private:
  struct State {
    std::string last_status;   ///< not empty: kept as a row instead of a launch, once: the cell cannot be measured
    std::string last_message;  ///< why
    std::vector<bool> done;    ///< by arm: not to be visited again
    std::optional<Row> known;  ///< some row of this cell, for its factors
  };

  // Before the first round.

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
      const Cell right = oracle_of(planned);
      Trial& oracle = trial(right, {planned.pitfall.oracle, planned.pitfall.oracle_iterations});
      if (planned.pitfall.oracle) oracles_[format_cell(factors(planned.cell))] = oracles_[format_cell(right)] = &oracle;
      needs.push_back({&oracle, nullptr, nullptr});
    }
    std::unordered_map<std::string, Cell> largest;
    for (const PlannedCell& planned : plan_.cells) {
      if (planned.pitfall.oracle) continue;
      Cell work = work_of(planned.cell);
      work.tasks = 0;
      const auto [place, added] = largest.try_emplace(format_cell(work), planned.cell);
      if (planned.cell.tasks > place->second.tasks) place->second = planned.cell;
    }
    for (std::size_t i = 0; i < needs.size(); ++i) {
      const Cell& cell = plan_.cells[i].cell;
      if (plan_.cells[i].pitfall.hangs) continue;
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
    for (std::size_t done = 0; done < tries_.size(); ++done) {
      progress_.update("calibrating", done, tries_.size(), nanoseconds(0));
      Trial& next = *tries_[done];
      const auto known = oracles_.find(format_cell(next.options.cell));
      const Trial& oracle =
          known != oracles_.end() ? *known->second : trials_.at(format_cell(oracle_cell(next.options.cell)));
      if (oracle.problem().empty()) next.options.expected_digest = number((*oracle.row())["digest"], 16);
      next.outcome = launcher_.launch(
          {.options = next.options, .program = plan_.arms.front().program, .deadline = kFirstDeadline});
      if (next.outcome->end == LaunchEnd::interrupted) {
        summary_.interrupted = true;
        return false;
      }
    }
    progress_.update("calibrating", tries_.size(), tries_.size(), nanoseconds(0));
    for (std::size_t i = 0; i < needs.size(); ++i) {
      if (plan_.cells[i].pitfall.hangs) {
        conclude_hanging(plan_.cells[i], *needs[i].oracle);
      } else {
        conclude(plan_.cells[i], states_[i], *needs[i].oracle, needs[i].granularity, *needs[i].own);
      }
    }
    return true;
  }

  /// A variant that is expected to hang was not tried: it is run once, as it is.
  static void conclude_hanging(PlannedCell& planned, const Trial& oracle) {
    const auto digest = oracle.problem().empty() ? number((*oracle.row())["digest"], 16) : std::nullopt;
    planned.calibration = Calibration{1, digest.value_or(0), nanoseconds(kHangDeadline).count()};
  }

  void conclude(PlannedCell& planned, State& state, const Trial& oracle, const Trial* granularity, const Trial& own) {
    planned.calibration.reset();
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
      state.last_status = status_of(own.outcome->end);
      state.last_message = "calibrating: " + own.outcome->message;
      return;
    }
    state.known = *row;
    if ((*row)["status"] == kSkipped) {
      state.last_status = kSkipped;
      state.last_message = (*row)["message"];
      return;
    }
    const std::string no_oracle = oracle.problem();
    const auto digest = no_oracle.empty() ? number((*oracle.row())["digest"], 16) : std::nullopt;
    if (!digest) {
      state.last_status = "failed";
      state.last_message = fmt::format("the right output is not known: {}: {}", format_cell(oracle.options.cell),
                                       no_oracle.empty() ? "it printed no digest" : no_oracle);
      return;
    }
    const auto iterations = number((*row)["iterations"]);
    const std::vector<std::uint64_t> walls = own.walls();
    if (!iterations || *iterations == 0 || *iterations > kMostIterations || walls.empty()) {
      state.last_status = "failed";
      state.last_message = fmt::format("calibrating: {}: {}", (*row)["status"], (*row)["message"]);
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

  // The rounds.

  void go_round() {
    std::uint64_t total = 0;
    double remaining_ns = 0;
    for (const PlannedCell& planned : plan_.cells) {
      if (!planned.calibration) continue;
      const std::uint64_t launches = static_cast<std::uint64_t>(planned.rounds) * plan_.arms.size();
      total += launches;
      remaining_ns += static_cast<double>(planned.calibration->expected_ns) * static_cast<double>(launches);
    }
    progress_.say(fmt::format("{} cells, {} launches, about {}", plan_.cells.size(), total,
                              format_duration(nanoseconds(static_cast<std::int64_t>(remaining_ns)))));
    double expected_ns = 0;
    double spent_ns = 0;
    std::uint64_t done = 0;
    for (int round = 0; round < count_rounds(plan_); ++round) {
      for (const Visit& visit : visits(plan_, round)) {
        State& state = states_[visit.cell];
        if (state.done[visit.arm]) continue;
        const PlannedCell& planned = plan_.cells[visit.cell];
        if (!state.last_status.empty()) {
          keep({blank_row(visit, state.last_status, state.last_message)}, visit, round);
          state.done[visit.arm] = true;
          continue;
        }
        // Launches take longer or shorter than was expected, all of them alike: so will the rest.
        const double pace = expected_ns > 0 ? spent_ns / expected_ns : 1;
        progress_.update("measuring", done, total, nanoseconds(static_cast<std::int64_t>(remaining_ns * pace)));
        const LaunchOutcome outcome = launcher_.launch(request(planned, visit));
        if (outcome.end == LaunchEnd::interrupted) {
          summary_.interrupted = true;
          return;
        }
        ++done;
        const auto expected = static_cast<double>(planned.calibration->expected_ns);
        remaining_ns -= expected;
        expected_ns += expected;
        spent_ns += static_cast<double>(outcome.duration.count());
        bool skipped = false;
        if (is_unknown(visit, outcome)) {
          skipped = true;
          keep({blank_row(visit, std::string(kSkipped),
                          fmt::format("{} does not know this cell: {}", plan_.arms[visit.arm].name, outcome.message))},
               visit, round);
        } else if (outcome.end != LaunchEnd::finished) {
          keep({blank_row(visit, status_of(outcome.end), outcome.message)}, visit, round);
        } else {
          if (visit.arm == 0) state.known = outcome.rows.front();
          keep(outcome.rows, visit, round);
          skipped = outcome.rows.front()["status"] == kSkipped;
        }
        if (skipped) {
          state.done[visit.arm] = true;
          total -= static_cast<std::uint64_t>(planned.rounds - round - 1);
          remaining_ns -= expected * (planned.rounds - round - 1);
        }
      }
    }
    progress_.update("measuring", done, total, nanoseconds(0));
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
    const State& state = states_[visit.cell];
    Row row;
    row["schema"] = std::to_string(kCsvSchema);
    row["build_id"] = plan_.arms[visit.arm].build_id;
    row["git_sha"] = plan_.arms[visit.arm].git_sha;
    const Cell recorded = normalised(cell);
    for (const Axis& axis : axes()) row[axis.name] = axis.get(recorded);
    if (state.known) {  // what "auto" means here, and which runtime answers
      for (const std::string_view found : {"kernel", "runtime"}) row[found] = (*state.known)[found];
    }
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
    std::map<std::string, std::uint64_t> count;
    std::string message;
    const auto expected = [&](const std::string& status) {
      return status == kOk || (planned.pitfall.hangs && status == "timeout") ||
             (planned.pitfall.wrong && status == "wrong_output");
    };
    std::uint64_t as_expected = 0;
    for (Row& row : rows) {
      row["run_id"] = identity_.run_id;
      row["machine_id"] = identity_.machine_id;
      row["arm"] = arm.name;
      row["round"] = std::to_string(round);
      row["order"] = std::to_string(order_);
      row["launch"] = std::to_string(order_);
      row["sweep"] = planned.cell.sweep;
      row["task_ns"] = planned.cell.task_ns ? std::to_string(*planned.cell.task_ns) : std::string();
      ++count[row["status"]];
      if (expected(row["status"])) {
        ++as_expected;
        continue;
      }
      if (message.empty()) message = row["status"] + ": " + row["message"];
    }
    sink_.append(rows);
    ++order_;
    summary_.observations += count["ok"];
    // A launch counts by the worst of its rows.
    const bool bad = count["skipped"] == 0 && as_expected != rows.size();
    std::uint64_t& by_status = bad && visit.arm != 0               ? summary_.failed_base
                               : bad && count["wrong_output"] != 0 ? summary_.wrong_output
                               : bad && count["timeout"] != 0      ? summary_.timeout
                               : count["skipped"] != 0             ? summary_.skipped
                               : !bad                              ? summary_.measured
                                                                   : summary_.failed;
    ++by_status;
    if (message.empty()) return;
    progress_.say(visit.arm == 0 ? fmt::format("{} ({})", message, format_cell(planned.cell))
                                 : fmt::format("{}: {} ({})", arm.name, message, format_cell(planned.cell)));
  }

  Plan& plan_;
  const RunIdentity& identity_;
  Launcher& launcher_;
  RowSink& sink_;
  Progress& progress_;
  std::vector<State> states_;
  std::unordered_map<std::string, Trial> trials_;    // pointers to elements stay valid
  std::unordered_map<std::string, Trial*> oracles_;  // by what is tried
  std::vector<Trial*> tries_;                        // in the order in which they were first needed
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
                    const std::function<void(const Plan&)>& calibrated) {
  return Engine(plan, identity, launcher, sink, progress).run(calibrated);
}

}  // namespace noisefloor
