// The table of strategies.
// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <array>

#include "harness/base/error.hpp"
#include "harness/base/names.hpp"
#include "harness/strategies/async.hpp"
#include "harness/strategies/async_io.hpp"
#include "harness/strategies/chunks.hpp"
#include "harness/strategies/fork_pool.hpp"
#include "harness/strategies/fork_pool_shm.hpp"
#include "harness/strategies/global_lock.hpp"
#include "harness/strategies/mpi.hpp"
#include "harness/strategies/mutex_queue.hpp"
#include "harness/strategies/openmp.hpp"
#include "harness/strategies/openmp_taskloop.hpp"
#include "harness/strategies/openmp_tasks.hpp"
#include "harness/strategies/process_per_task.hpp"
#include "harness/strategies/reference.hpp"
#include "harness/strategies/sequential.hpp"
#include "harness/strategies/std_par.hpp"
#include "harness/strategies/std_thread.hpp"
#include "harness/strategies/strategy.hpp"
#include "harness/strategies/tbb.hpp"
#include "harness/strategies/tbb_missing.hpp"
#include "harness/strategies/tbb_tasks.hpp"
#include "harness/strategies/thread_per_task.hpp"
#include "harness/strategies/uring_missing.hpp"

namespace noisefloor {
namespace {

constexpr std::string_view kUnordered = "unordered";
constexpr std::string_view kEtl = "etl";
constexpr std::string_view kEtlAndMultiply = "etl multiply";

constexpr Strategy reference(std::string_view name, std::string_view help,
                             std::string (*refuse)(const StrategyOptions&), std::string_view delivery,
                             std::string_view workloads, std::string_view program = "python_programs.py") {
  return {name, help, "", refuse, nullptr, false, nullptr, Start::reference, {program, delivery, workloads}};
}

// One row per strategy: name, help, why not here, what it refuses, maker, whether it needs stages, whom to ask
// for what this machine allows, how it is started, what it is as a reference program, whether no two threads of a
// process run tasks at once. Reference programs: name, help, what they refuse, their delivery, their workloads, the
// file.
constexpr std::array kStrategies = {
    Strategy{"sequential",
             "one task after the other in the calling thread",
             "",
             refuse_sequential,
             make_sequential,
             false,
             nullptr,
             Start::here,
             {},
             true},
    Strategy{"thread_per_task", "a new std::thread for each chunk, at most `workers` at a time", "",
             refuse_thread_per_task, make_thread_per_task},
    Strategy{"async", "std::async for each chunk, at most `workers` in flight", "", refuse_async, make_async},
    Strategy{"std_thread", "a warm pool of std::jthread with an atomic cursor over chunks", "", refuse_std_thread,
             make_std_thread},
    Strategy{"mutex_queue",
             "a warm pool fed by the caller through a bounded queue with a mutex and condition variables", "",
             refuse_mutex_queue, make_mutex_queue},
    Strategy{"openmp", "OpenMP's parallel loop over chunks: schedule static, dynamic, guided or auto", "",
             refuse_openmp, make_openmp, false, nullptr, Start::openmp},
    Strategy{"openmp_tasks", "an OpenMP task for each chunk, made by one thread of the team", "", refuse_openmp_tasks,
             make_openmp_tasks, false, nullptr, Start::openmp},
    Strategy{"openmp_taskloop", "OpenMP's taskloop: a task of one chunk (grainsize), made as the runtime likes", "",
             refuse_openmp_taskloop, make_openmp_taskloop, false, nullptr, Start::openmp},
    Strategy{"std_par", "std::for_each with std::execution::par over chunks: libstdc++ gives it to oneTBB", kNoTbb,
             refuse_std_par, make_std_par},
    Strategy{"tbb",
             "oneTBB's parallel_for with a grain of one chunk: schedule (its partitioner) simple, auto or static",
             kNoTbb, refuse_tbb, make_tbb},
    Strategy{"tbb_tasks", "a task of oneTBB's task_group for each chunk, made by the caller", kNoTbb, refuse_tbb_tasks,
             make_tbb_tasks},
    Strategy{"global_lock",
             "the pool of std_thread with one fair lock, held during transform and released for input and output", "",
             refuse_global_lock, make_global_lock, true},
    Strategy{"async_io",
             "one thread that keeps many tasks in flight through io_uring, and transforms in between",
             kNoUring,
             refuse_async_io,
             make_async_io,
             true,
             no_io_uring,
             Start::here,
             {},
             true},
    Strategy{"process_per_task",
             "a forked process for each chunk, at most `workers` at a time",
             "",
             refuse_process_per_task,
             make_process_per_task,
             false,
             nullptr,
             Start::here,
             {},
             true},
    Strategy{"fork_pool",
             "forked processes that are sent chunks through socket pairs, some ahead: pool cold or warm",
             "",
             refuse_fork_pool,
             make_fork_pool,
             false,
             nullptr,
             Start::here,
             {},
             true},
    Strategy{"fork_pool_shm",
             "forked processes that take chunks from a cursor in shared memory: pool cold or warm",
             "",
             refuse_fork_pool_shm,
             make_fork_pool_shm,
             false,
             nullptr,
             Start::here,
             {},
             true},
    Strategy{
        "mpi",
        "Open MPI's ranks, which take chunks from a one-sided counter and send results to rank 0: a program of its "
        "own under mpirun",
        "",
        refuse_mpi,
        nullptr,
        false,
        nullptr,
        Start::mpi,
        {},
        true},
    reference("python_loop", "Python as people write it: scipy, numpy.random.normal, a loop", refuse_reference_alone,
              kUnordered, kEtlAndMultiply),
    reference("python_threads", "Python: the same in a ThreadPoolExecutor; numpy's one generator has a lock",
              refuse_reference_pool, kUnordered, kEtlAndMultiply),
    reference("python_threads_own_rng", "Python: threads with a generator each", refuse_reference_pool, kUnordered,
              kEtl),
    reference("python_threads_pure", "Python: threads that make the noise in Python, holding the interpreter's lock",
              refuse_reference_pool, kUnordered, kEtl),
    reference("python_asyncio", "Python: a coroutine for each task, gathered: one thread all the same",
              refuse_reference_alone, kUnordered, kEtl),
    reference("python_pool_map", "Python: multiprocessing.Pool.map", refuse_reference_pool, "collected",
              kEtlAndMultiply),
    reference("python_pool_imap", "Python: multiprocessing.Pool.imap", refuse_reference_pool, "ordered",
              kEtlAndMultiply),
    reference("python_pool_imap_unordered", "Python: multiprocessing.Pool.imap_unordered", refuse_reference_pool,
              kUnordered, kEtlAndMultiply),
    reference("python_numpy_best", "Python at its best: a pool, numpy's newest generator in float32",
              refuse_reference_pool, kUnordered, kEtl),
    reference("sox_xargs", "sox mixes noise into each file, under xargs -P", refuse_reference_processes, kUnordered,
              kEtl, "sox_xargs.py"),
    reference("xargs", "your command under xargs: -P workers, and -n chunk_size where it takes many inputs",
              refuse_reference_processes, kUnordered, "command", "command_programs.py"),
    reference("gnu_parallel",
              "your command under GNU parallel: -j workers, and -n chunk_size where it takes many inputs",
              refuse_reference_processes, kUnordered, "command", "command_programs.py"),
};

// TaskResult numbers workers in 16 bits.
constexpr int kMostWorkers = 65535;

}  // namespace

std::span<const Strategy> strategies() noexcept {
  static const auto here = [] {
    auto rows = kStrategies;
    for (Strategy& row : rows) {
      if (row.probe != nullptr && row.unavailable.empty()) row.unavailable = row.probe();
    }
    return rows;
  }();
  return here;
}

const Strategy& select_strategy(std::string_view name) {
  const Strategy& strategy = find_by_name(strategies(), name, "strategy");
  if (!strategy.unavailable.empty()) {
    throw MissingError(fmt::format("strategy {} cannot run here: {}", name, strategy.unavailable));
  }
  return strategy;
}

bool knows(const Reference& program, std::string_view workload) {
  return fmt::format(" {} ", program.workloads).find(fmt::format(" {} ", workload)) != std::string::npos;
}

bool needs_stages(const Strategy& strategy, const StrategyOptions& options) noexcept {
  return strategy.needs_stages || options.ship == Ship::samples;
}

std::string refusal(const Strategy& strategy, const StrategyOptions& options) {
  if (strategy.make == nullptr) {
    return fmt::format(
        "strategy {} is a program of its own that measures cells, and nothing else: choose another strategy",
        strategy.name);
  }
  return strategy.refuse(options);
}

std::string refuse(const Strategy& strategy, const Workload& workload, const StrategyOptions& options) {
  if (std::string reason = refusal(strategy, options); !reason.empty()) return reason;
  return unsuited(strategy, workload, options);
}

std::string unsuited(const Strategy& strategy, const Workload& workload, const StrategyOptions& options) {
  if (workload.one_thread() && !strategy.one_thread_each) {
    return fmt::format(
        "{} runs tasks in several threads of one process, and this work says that it is not thread-safe: "
        "choose sequential or a strategy whose workers are processes",
        strategy.name);
  }
  if (workload.digests_all_only() && strategy.start == Start::mpi) {
    return fmt::format(
        "{} puts the output together from what its ranks digest, and a command that takes many inputs at "
        "a time cannot be taken apart: write {{}} instead of {{...}}",
        strategy.name);
  }
  if (!needs_stages(strategy, options) || workload.stages() != nullptr) return {};
  return fmt::format(
      "{}{} runs extract, transform and load apart, and this workload has no such stages: choose etl, copy, "
      "payload or wait",
      strategy.name, options.ship == Ship::samples ? " with ship samples" : "");
}

std::unique_ptr<Executor> make_executor(const Strategy& strategy, const Workload& workload,
                                        const StrategyOptions& options) {
  if (const std::string reason = refuse(strategy, workload, options); !reason.empty()) throw UsageError(reason);
  return strategy.make(workload, options);
}

std::string refuse_factors(std::string_view strategy, const StrategyOptions& options, const Takes& takes) {
  if (options.workers < 1 || options.workers > kMostWorkers) {
    return fmt::format("workers is {}: give 1 to {}", options.workers, kMostWorkers);
  }
  if (options.chunk_size < 1) return "chunk_size is 0: give at least 1 task per chunk";
  const auto no_use = [&](std::string_view axis, std::string_view why) {
    return fmt::format("{} {}: leave {} out", strategy, why, axis);
  };
  if (!takes.ship && options.ship != Ship::none) return no_use("ship", "sends its workers nothing but task numbers");
  if (!takes.ship && options.transport != Transport::none) return no_use("transport", "sends no samples anywhere");
  if (!takes.pool && options.pool != Pool::none) return no_use("pool", "has one way only to come by its workers");
  if (!takes.bind && options.bind != Bind::none) return no_use("bind", "does not place its workers");
  if (!takes.task_timeout && options.task_timeout != kTaskTimeout) {
    return no_use("the task timeout", "cannot end its workers, which are no processes");
  }
  if (!takes.openmp && !options.runtime.empty()) return no_use("runtime", "does not run on OpenMP");
  if (!takes.openmp && !options.wait_policy.empty()) return no_use("wait_policy", "does not run on OpenMP");
  return {};
}

std::string refuse_but_dynamic(std::string_view strategy, const StrategyOptions& options, const Takes& takes) {
  if (std::string reason = refuse_factors(strategy, options, takes); !reason.empty()) return reason;
  if (options.schedule != Schedule::none && options.schedule != Schedule::dynamic) {
    return fmt::format("{} hands chunks out as workers ask for them: give schedule dynamic or none, or choose openmp",
                       strategy);
  }
  return {};
}

std::string refuse_own_order(std::string_view strategy, const StrategyOptions& options, const Takes& takes) {
  if (std::string reason = refuse_factors(strategy, options, takes); !reason.empty()) return reason;
  if (options.schedule != Schedule::none) {
    return fmt::format("{} has no schedule: leave it out, or choose openmp", strategy);
  }
  if (options.window != 0) {
    return fmt::format(
        "{} leaves the order of chunks to its runtime, so it cannot bound a window of {}: give window 0, or choose "
        "std_thread",
        strategy, options.window);
  }
  return {};
}

}  // namespace noisefloor
