// One launch: builds the cell, lets Google Benchmark time it, verifies the output, makes the rows.
// SPDX-License-Identifier: MIT
#include "harness/measure/launch.hpp"

#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <memory>
#include <numeric>
#include <string>
#include <utility>

#include "harness/base/error.hpp"
#include "harness/base/limits.hpp"
#include "harness/base/names.hpp"
#include "harness/measure/counters.hpp"
#include "harness/measure/disturbance.hpp"
#include "harness/measure/machine.hpp"
#include "harness/measure/pitfall.hpp"
#include "harness/measure/probes.hpp"
#include "harness/measure/subject.hpp"
#include "harness/strategies/deliver.hpp"
#include "harness/strategies/openmp.hpp"
#include "harness/strategies/strategy.hpp"
#include "harness/workloads/table.hpp"
#include "noisefloor_version.hpp"

namespace noisefloor {
namespace {

using Clock = std::chrono::steady_clock;

std::uint64_t ns_since(Clock::time_point start) {
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - start).count());
}

template <class T>
T choice(std::string_view word, std::initializer_list<std::pair<std::string_view, T>> choices) {
  for (const auto& [name, value] : choices) {
    if (name == word) return value;
  }
  return T::none;
}

std::unique_ptr<Workload> make_workload(const Cell& cell, std::string_view kernel, std::uint64_t seed) {
  const WorkloadRow& row = select_workload(cell.workload);
  return row.make({.tasks = cell.tasks,
                   .task_size = cell.task_size,
                   .kernel = row.uses_kernel ? &select_kernel(kernel) : nullptr,
                   .format = cell.format,
                   .output_mode = cell.output_mode,
                   .seed = seed,
                   .work = cell.work});
}

/// The digest that the cell's output must have: sequential, with the kernel that defines the bytes of the cell's.
std::uint64_t oracle(const Cell& cell, std::uint64_t seed) {
  const auto workload = make_workload(cell, kernel_defining(cell.kernel), seed);
  const auto executor = make_executor(select_strategy("sequential"), *workload, {});
  workload->prepare(1);
  workload->begin(0);
  std::string failure;
  deliver(*executor, workload->task_count(), Delivery::unordered, [&](auto results, auto returned) {
    for (const TaskResult& result : results) {
      if (result.status != 0 && failure.empty()) {
        failure.assign(reinterpret_cast<const char*>(returned.data()), result.bytes);
      }
      returned = returned.subspan(result.bytes);
    }
  });
  if (!failure.empty()) throw Error(fmt::format("the expected output cannot be computed: {}", failure));
  const std::uint64_t digest = executor->digest();
  workload->clean();
  return digest;
}

/// A workload's cell, ready to run.
class WorkloadSubject : public Subject {
 public:
  WorkloadSubject(const Cell& cell, std::uint64_t seed, Team* team)
      : workload_(noisefloor::make_workload(cell, seed)),
        delivery_(select_delivery(cell.delivery)),
        workers_(static_cast<std::uint64_t>(cell.workers)),
        unchecked_(!cell.work.unchecked.empty()),
        times_tasks_(cell.work.given() && cell.strategy == "sequential") {
    const Strategy& strategy = select_strategy(cell.strategy);
    const StrategyOptions options = strategy_options(cell, strategy);
    if (team != nullptr) workload_ = team->share(cell, seed, std::move(workload_));
    executor_ = team != nullptr ? team->make(*workload_, options) : make_executor(strategy, *workload_, options);
  }

  void prepare(std::uint32_t iterations) override { workload_->prepare(iterations); }

  /// One iteration; what lies between the clock's start and stop.
  void iterate(std::uint32_t iteration, Repetition& seen) override {
    workload_->begin(iteration);
    first_seen_ = false;
    iteration_start_ = Clock::now();
    const DeliveryCount count =
        deliver(*executor_, workload_->task_count(), delivery_, [&](auto results, auto returned) {
          if (!first_seen_) {
            first_seen_ = true;
            seen.first_result_ns += ns_since(iteration_start_);
          }
          for (const TaskResult& result : results) {
            if (result.status != 0 && seen.message.empty()) {
              seen.message.assign(reinterpret_cast<const char*>(returned.data()), result.bytes);
            }
            returned = returned.subspan(result.bytes);
          }
        });
    seen.delivered += count.results;
    seen.failed += count.failed;
  }

  /// With the clock stopped: is the output of every iteration that still exists the expected one?
  void verify(std::uint32_t iterations, std::uint64_t expected, Repetition& seen) override {
    const std::uint64_t due = std::uint64_t{workload_->task_count()} * iterations;
    if (seen.failed > 0) {
      seen.status = "failed";
      seen.message = fmt::format("{} of {} tasks failed; the first: {}", seen.failed, due, seen.message);
      return;
    }
    if (seen.delivered != due) {
      seen.status = "wrong_output";
      seen.message = fmt::format("{} results were delivered where {} tasks were due", seen.delivered, due);
      return;
    }
    const std::uint32_t kept = workload_->digestible_iterations(iterations);
    for (std::uint32_t i = 0; i < kept; ++i) {
      if (kept > 1) workload_->begin(i);
      try {
        seen.digest = executor_->digest();
      } catch (const Error& error) {
        seen.status = "wrong_output";
        seen.message = error.what();
        return;
      }
      if (seen.digest != expected && !unchecked_) {
        seen.status = "wrong_output";
        seen.message = fmt::format("digest {:016x} where {:016x} was expected", seen.digest, expected);
        return;
      }
    }
  }

  void clean() override { workload_->clean(); }
  [[nodiscard]] std::optional<StageTimes> stage_times() const override { return workload_->stage_times(); }
  [[nodiscard]] Volume volume() const override { return workload_->volume(); }
  [[nodiscard]] std::vector<std::uint64_t> task_times() override {
    if (!times_tasks_) return {};
    std::vector<std::uint64_t> times;
    times.reserve(workload_->task_count());
    workload_->prepare(1);
    workload_->begin(0);
    TaskResult result;
    std::vector<std::byte> returned;
    for (std::uint32_t task = 0; task < workload_->task_count(); ++task) {
      returned.clear();
      const auto start = Clock::now();
      workload_->run({task, task + 1}, {&result, 1}, returned);
      times.push_back(ns_since(start));
    }
    workload_->clean();
    return times;
  }
  void reset_worker_peaks() override { executor_->reset_worker_peaks(); }
  [[nodiscard]] WorkerUsage worker_usage() const override {
    WorkerUsage usage = executor_->worker_usage();
    // Nobody knows how many had how much at once: no more than as many as there are workers.
    if (usage.peak_rss_bytes) *usage.peak_rss_bytes += workers_ * workload_->peak_child_bytes();
    return usage;
  }

 private:
  std::unique_ptr<Workload> workload_;
  std::unique_ptr<Executor> executor_;
  Delivery delivery_;
  std::uint64_t workers_;
  bool unchecked_;
  bool times_tasks_;
  bool first_seen_ = false;
  Clock::time_point iteration_start_;
};

/// Doubles the iteration count until a repetition lasts kLeastRepetitionNs.
std::uint32_t calibrate(Subject& subject) {
  for (std::uint32_t iterations = 1;; iterations *= 2) {
    Repetition ignored;
    subject.prepare(iterations);
    const auto start = Clock::now();
    for (std::uint32_t i = 0; i < iterations; ++i) subject.iterate(i, ignored);
    const std::uint64_t wall_ns = ns_since(start);
    subject.clean();
    if (wall_ns >= kLeastRepetitionNs || iterations >= (1U << 30)) return iterations;
  }
}

/// Keeps the wall time of every repetition; prints nothing.
class Keeper : public benchmark::BenchmarkReporter {
 public:
  bool ReportContext(const Context&) override { return true; }
  void ReportRuns(const std::vector<Run>& runs) override {
    for (const Run& run : runs) {
      if (run.run_type != Run::RT_Iteration) continue;
      wall_ns.push_back(static_cast<std::uint64_t>(std::llround(run.real_accumulated_time * 1e9)));
    }
  }
  std::vector<std::uint64_t> wall_ns;
};

std::string text(std::uint64_t value) { return fmt::to_string(value); }
std::string text(const std::optional<std::uint64_t>& value) { return value ? fmt::to_string(*value) : std::string(); }

}  // namespace

std::unique_ptr<Workload> make_workload(const Cell& cell, std::uint64_t seed) {
  return make_workload(cell, cell.kernel, seed);
}

StrategyOptions strategy_options(const Cell& cell, const Strategy& strategy) {
  StrategyOptions options{.workers = cell.workers, .chunk_size = cell.chunk_size};
  options.schedule = choice<Schedule>(cell.schedule, {{"static", Schedule::static_},
                                                      {"dynamic", Schedule::dynamic},
                                                      {"guided", Schedule::guided},
                                                      {"auto", Schedule::auto_},
                                                      {"simple", Schedule::simple}});
  options.ship = choice<Ship>(cell.ship, {{"name", Ship::name}, {"samples", Ship::samples}});
  options.transport = choice<Transport>(cell.transport, {{"pipe", Transport::pipe},
                                                         {"socket", Transport::socket},
                                                         {"shm", Transport::shm},
                                                         {"shm_in_place", Transport::shm_in_place}});
  options.pool = choice<Pool>(cell.pool, {{"cold", Pool::cold}, {"warm", Pool::warm}});
  options.bind = choice<Bind>(cell.bind, {{"close", Bind::close}, {"spread", Bind::spread}});
  options.runtime = cell.runtime;
  options.wait_policy = cell.wait_policy;
  if (cell.delivery == "ordered") {
    options.window = 4U * static_cast<std::uint32_t>(cell.workers);
    if (!strategy.refuse(options).empty()) options.window = 0;
  }
  return options;
}

Row row_of(const Cell& cell, std::uint64_t seed) {
  Row row;
  row["schema"] = fmt::to_string(kCsvSchema);
  row["build_id"] = build_id();
  row["git_sha"] = kGitSha;
  row["cell_id"] = cell_id(cell);
  for (const Axis& axis : axes()) row[axis.name] = axis.get(cell);
  row["seed"] = text(seed);
  return row;
}

std::vector<Row> skipped_rows(const Cell& cell, std::uint64_t seed, std::string_view reason) {
  Row row = row_of(cell, seed);
  row["status"] = "skipped";
  row["message"] = reason;
  return {row};
}

namespace {

/// Made before the subject, so that they count in all of its workers.
struct Counters {
  Counter instructions{kInstructions};
  Counter cycles{kCycles};
};

std::optional<std::uint64_t> difference(const std::optional<std::uint64_t>& after,
                                        const std::optional<std::uint64_t>& before) {
  if (!after || !before || *after < *before) return std::nullopt;
  return *after - *before;
}

/// Repeats the subject under the clock and makes the rows. `cell` is what ran, `named` what was asked for.
std::vector<Row> measure(Subject& subject, const Counters& counters, const Cell& cell, const Cell& named,
                         const LaunchOptions& options, std::uint64_t expected) {
  const std::uint32_t iterations = options.iterations != 0 ? options.iterations : calibrate(subject);

  std::vector<std::uint64_t> task_times = subject.task_times();
  std::sort(task_times.begin(), task_times.end());
  const auto all_tasks_ns = std::accumulate(task_times.begin(), task_times.end(), std::uint64_t{0});
  const std::size_t warmups = static_cast<std::size_t>(options.warmups);
  const std::size_t due = warmups + static_cast<std::size_t>(options.repetitions);
  std::vector<Repetition> repetitions;
  TimedPart timed;
  CpuTimes cpus_before;
  Usage used_before;
  const auto body = [&](benchmark::State& state) {
    Repetition seen;
    subject.prepare(iterations);
    const bool peak_is_its_own = reset_peak_rss();
    subject.reset_worker_peaks();
    seen.started_ns = static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now().time_since_epoch())
            .count());
    const auto steal_before = steal_ticks();
    const WorkerUsage workers_before = subject.worker_usage();
    if (repetitions.size() == warmups) cpus_before = cpu_times(given_cpus()) + workers_before.other_cpus;
    const auto pressure_before = cpu_pressure_ns();
    const Usage before = process_usage() + workers_before.usage;
    if (repetitions.size() == warmups) used_before = before;
    const auto instructions_before = counters.instructions.read();
    const auto cycles_before = counters.cycles.read();
    std::uint32_t iteration = 0;
    for (auto _ : state) subject.iterate(iteration++, seen);
    seen.cycles = difference(counters.cycles.read(), cycles_before);
    seen.instructions = difference(counters.instructions.read(), instructions_before);
    const Usage own_after = process_usage();
    seen.pressure_ns = difference(cpu_pressure_ns(), pressure_before);
    const WorkerUsage workers = subject.worker_usage();
    const Usage after = own_after + workers.usage;
    seen.usage = after - before;
    timed = {(cpu_times(given_cpus()) + workers.other_cpus) - cpus_before, (after - used_before).cpu_ns()};
    const auto steal_after = steal_ticks();
    if (steal_before && steal_after) seen.steal = *steal_after - *steal_before;
    if (peak_is_its_own) seen.peak_rss = peak_rss_bytes();  // else that of all that came before
    if (seen.peak_rss && workers.peak_rss_bytes) {
      *seen.peak_rss += *workers.peak_rss_bytes;
    } else {
      seen.peak_rss.reset();
    }
    seen.stages = subject.stage_times();
    subject.verify(iterations, expected, seen);
    subject.clean();
    repetitions.push_back(std::move(seen));
  };
  benchmark::ClearRegisteredBenchmarks();
  benchmark::RegisterBenchmark("cell", body)
      ->Iterations(iterations)
      ->Repetitions(options.warmups + options.repetitions)
      ->UseRealTime();
  Keeper keeper;
  benchmark::RunSpecifiedBenchmarks(&keeper);
  if (keeper.wall_ns.size() != due || repetitions.size() != due) {
    throw Error(fmt::format("Google Benchmark reported {} repetitions of {}, and {} ran", keeper.wall_ns.size(), due,
                            repetitions.size()));
  }

  const Volume volume = subject.volume();
  const auto total = [&](const std::optional<std::uint64_t>& each_iteration) {
    return each_iteration ? text(*each_iteration * iterations) : std::string();
  };
  std::vector<DisturbanceReading> readings;
  for (std::size_t i = warmups; i < due; ++i) {
    readings.push_back({keeper.wall_ns[i], repetitions[i].usage, repetitions[i].pressure_ns});
  }
  const std::vector<Disturbance> disturbed = disturbances(readings, timed, run_delay_unavailable());
  std::vector<Row> rows;
  for (std::size_t i = warmups; i < due; ++i) {
    const Repetition& seen = repetitions[i];
    const Disturbance& disturbance = disturbed[i - warmups];
    const std::uint64_t wall_ns = keeper.wall_ns[i];
    const std::uint64_t cpu_ns = seen.usage.cpu_ns();
    Row row = row_of(cell, options.seed);
    row["cell_id"] = cell_id(named);
    row["repetition"] = text(i - warmups);
    row["iterations"] = text(iterations);
    row["wall_ns"] = text(wall_ns);
    row["user_cpu_ns"] = text(seen.usage.user_cpu_ns);
    row["system_cpu_ns"] = text(seen.usage.system_cpu_ns);
    if (wall_ns > 0) {
      row["cpu_percent"] = fmt::format("{:.1f}", 100.0 * static_cast<double>(cpu_ns) / static_cast<double>(wall_ns));
    }
    if (seen.first_result_ns != 0) row["first_result_ns"] = text(seen.first_result_ns);
    row["peak_rss_bytes"] = text(seen.peak_rss);
    row["minor_faults"] = text(seen.usage.minor_faults);
    row["major_faults"] = text(seen.usage.major_faults);
    row["voluntary_switches"] = text(seen.usage.voluntary_switches);
    row["involuntary_switches"] = text(seen.usage.involuntary_switches);
    row["steal_ticks"] = text(seen.steal);
    row["run_delay_ns"] = text(disturbance.run_delay_ns);
    row["others_cpu_ns"] = text(disturbance.others_cpu_ns);
    row["disturbed_ns"] = text(disturbance.disturbed_ns);
    row["disturbance_note"] = disturbance.note;
    if (options.team == nullptr) {  // the counters do not see other ranks
      row["instructions"] = text(seen.instructions);
      row["cycles"] = text(seen.cycles);
    }
    row["samples"] = total(volume.samples);
    row["bytes_read"] = total(volume.bytes_read);
    row["bytes_written"] = total(volume.bytes_written);
    if (seen.stages) {
      row["extract_ns"] = text(seen.stages->extract_ns);
      row["transform_ns"] = text(seen.stages->transform_ns);
      row["load_ns"] = text(seen.stages->load_ns);
    }
    if (all_tasks_ns != 0) {
      row["task_median_ns"] = text(task_times[task_times.size() / 2]);
      row["task_longest_ns"] = text(task_times.back());
      row["task_longest_percent"] =
          fmt::format("{:.3g}", 100.0 * static_cast<double>(task_times.back()) / static_cast<double>(all_tasks_ns));
    }
    if (seen.status == "ok" || seen.digest != 0) row["digest"] = fmt::format("{:016x}", seen.digest);
    row["started_ns"] = text(seen.started_ns);
    row["status"] = seen.status;
    row["message"] = seen.status == "ok" ? std::string() : seen.message;
    rows.push_back(std::move(row));
  }
  return rows;
}

/// A cell of the pitfall lab.
std::vector<Row> launch_pitfall(const Cell& cell, const LaunchOptions& options, Pitfalls pitfalls) {
  const Pitfall& pitfall = select_pitfall(pitfalls, cell.pitfall);
  const Variant& variant = select_variant(pitfall, cell.variant);
  if (const std::string reason = refuse(pitfall, cell.workers); !reason.empty()) {
    return skipped_rows(cell, options.seed, reason);
  }
  if (const auto missing = missing_environment(variant); !missing.empty()) {
    throw UsageError(fmt::format("variant {} of pitfall {} must be started with {} in its environment", variant.name,
                                 pitfall.name, missing.front()));
  }
  const std::uint64_t expected = options.expected_digest
                                     ? *options.expected_digest
                                     : run_apart(pitfall, first_variant(pitfall, Role::good), cell.workers).answer;
  const Counters counters;
  const auto subject = make_subject(pitfall, variant, cell.workers);
  return measure(*subject, counters, cell, cell, options, expected);
}

}  // namespace

std::vector<Row> launch(const LaunchOptions& options, Pitfalls pitfalls) {
  Cell cell = resolved(options.cell);
  check_cell(cell);
  if (!cell.pitfall.empty()) return launch_pitfall(cell, options, pitfalls);
  const Strategy& strategy = find_by_name(strategies(), cell.strategy, "strategy");
  if (!strategy.unavailable.empty()) return skipped_rows(cell, options.seed, strategy.unavailable);
  if (const std::string reason = strategy.refuse(strategy_options(cell, strategy)); !reason.empty()) {
    return skipped_rows(cell, options.seed, reason);
  }
  if (options.team != nullptr && strategy.start != Start::mpi) {
    throw UsageError(fmt::format(
        "strategy {} does not run on MPI's ranks: give strategy mpi, or start noisefloor itself", strategy.name));
  }
  if (needs_stages(strategy, strategy_options(cell, strategy)) || cell.work.given()) {
    const auto workload = make_workload(cell, "scalar", options.seed);
    if (const std::string reason = unsuited(strategy, *workload, strategy_options(cell, strategy)); !reason.empty()) {
      return skipped_rows(cell, options.seed, reason);
    }
  }
  const Cell named = cell;  // the row's identity is what was asked for: "auto" stays the same cell everywhere
  if (!cell.kernel.empty()) {
    try {
      cell.kernel = select_kernel(cell.kernel).name;
    } catch (const MissingError& error) {
      return skipped_rows(cell, options.seed, error.what());
    }
  }
  const std::uint64_t expected = options.expected_digest ? *options.expected_digest : oracle(cell, options.seed);
  const Counters counters;
  WorkloadSubject subject(cell, options.seed, options.team);
  if (cell.strategy.starts_with("openmp")) {  // the rows record what was in force
    cell.runtime = openmp_runtime();
    cell.wait_policy = openmp_wait_policy();
  }
  return measure(subject, counters, cell, named, options, expected);
}

}  // namespace noisefloor
