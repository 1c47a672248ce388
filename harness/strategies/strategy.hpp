// How tasks are run, and nothing about what they do.
// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "harness/base/usage.hpp"
#include "harness/workloads/workload.hpp"

namespace noisefloor {

/// Called once per finished chunk, by any worker, concurrently and in any order. The spans live only
/// during the call. Must not throw.
using OnChunk = std::function<void(std::span<const TaskResult> results, std::span<const std::byte> returned)>;

/// OpenMP's loop schedules (static, dynamic, guided, auto) and oneTBB's partitioners (auto, simple, static). Those that
/// hand chunks out as workers ask for them take `dynamic` only, the others none.
enum class Schedule : std::uint8_t { none, static_, dynamic, guided, auto_, simple };

/// What crosses to a worker of another process: a file's name, or the samples that the parent read.
enum class Ship : std::uint8_t { none, name, samples };
/// How samples cross.
enum class Transport : std::uint8_t { none, pipe, socket, shm, shm_in_place };
/// Whether workers are made inside the clock (cold: by every run()) or before it (warm: by make()).
enum class Pool : std::uint8_t { none, cold, warm };
/// Where workers may run: anywhere, on CPUs next to each other, or on CPUs far from each other.
enum class Bind : std::uint8_t { none, close, spread };

inline constexpr std::chrono::milliseconds kTaskTimeout{60'000};

struct StrategyOptions {
  int workers = 1;  ///< >= 1
  std::uint32_t chunk_size =
      1;                     ///< >= 1: consecutive tasks that a worker takes at a time; the last chunk may be shorter
  std::uint32_t window = 0;  ///< chunks that may be taken beyond the oldest unfinished one; 0: no bound
  Schedule schedule = Schedule::none;  ///< none: the strategy's own default
  Ship ship = Ship::none;
  Transport transport = Transport::none;
  Pool pool = Pool::none;
  Bind bind = Bind::none;
  std::string runtime = {};      ///< "libgomp" or "libomp": must be the one that this process has; "": either
  std::string wait_policy = {};  ///< "active" or "passive": OMP_WAIT_POLICY, read when the process starts; "": not set
  const std::atomic<bool>* stop = nullptr;  ///< once true, no further chunk is taken; what runs is finished. Where
                                            ///< workers are processes, in memory that they share
  /// How long a task may take in a worker process (a chunk: that long for each of its tasks) until the worker is taken
  /// for stopped, ended and replaced; 0: for ever. Threads cannot be ended.
  std::chrono::milliseconds task_timeout = kTaskTimeout;
  /// Told what a user should know though the run goes on, as the death of a worker. Called by the thread that calls
  /// make() or run(). Must not throw.
  std::function<void(std::string_view note)> on_note = {};
};

/// What worker processes have used: zero where all workers are threads of this one.
struct WorkerUsage {
  Usage usage;  ///< summed over workers, since make(), dead ones included
  std::optional<std::uint64_t> peak_rss_bytes =
      0ULL;                  ///< summed over workers, since reset_worker_peaks(); empty: unknown
  CpuTimes other_cpus = {};  ///< of the CPUs that workers may use and this process may not, elsewhere or here
};

/// Runs the tasks of one workload. Made after the workload (so that workers forked in make() see its
/// shared buffers), and gone before it.
class Executor {
 public:
  Executor() = default;
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;
  virtual ~Executor() = default;

  /// Runs every task once and returns when all are done (or, after `stop`, when those taken are). May be
  /// called again. Throws only when the executor itself cannot go on; never because of a task.
  virtual void run(const OnChunk& on_chunk) = 0;

  /// Digest of the output of the last run(): of the selected iteration, all tasks.
  [[nodiscard]] virtual std::uint64_t digest() const = 0;

  /// What workers in other processes have used; differences count. Called with the clock stopped, as is what follows.
  [[nodiscard]] virtual WorkerUsage worker_usage() const { return {}; }
  /// Lowers the peaks of worker processes to their present size, as far as the system lets them.
  virtual void reset_worker_peaks() {}
};

/// In which process a launch runs its cell. `noisefloor launch` becomes that process, if it is not yet.
enum class Start : std::uint8_t {
  here,    ///< the program itself, as it was started
  openmp,  ///< the program, with the OpenMP runtime and wait policy of the cell: both are chosen when a process starts
  mpi,     ///< noisefloor-mpi, one process per worker, under mpirun
  reference,  ///< another program, which speaks the launch protocol and shares no code with this one
};

/// A program that is measured beside this one: how others would write it. Its output is checked by itself, within
/// tolerances, and has no digest.
struct Reference {
  std::string_view program;    ///< in the folder of reference programs
  std::string_view delivery;   ///< the only one that it has
  std::string_view workloads;  ///< blank-separated: those that it knows
};

/// Whether the program knows the workload of this name.
[[nodiscard]] bool knows(const Reference& program, std::string_view workload);

struct Strategy {
  std::string_view name;
  std::string_view help;
  std::string_view unavailable;  ///< why it cannot run here; empty if it can
  /// Why these options cannot be honoured; empty if they can. Never silently ignored.
  std::string (*refuse)(const StrategyOptions&);
  /// Keeps references to the workload and to options.stop. Null where another program runs the tasks.
  std::unique_ptr<Executor> (*make)(const Workload&, const StrategyOptions&);
  bool needs_stages = false;  ///< runs only workloads with stages()
  /// What only the machine at hand can tell: as `unavailable`, which it fills. Null: there is nothing to ask.
  std::string_view (*probe)() noexcept = nullptr;
  Start start = Start::here;
  Reference reference = {};      ///< Start::reference only
  bool one_thread_each = false;  ///< no two threads of a process run tasks at once: workers are processes, or it is one
};

/// All strategies, `sequential` first; the order of help, CSV and legends.
std::span<const Strategy> strategies() noexcept;

/// The strategy called `name`. Throws UsageError for an unknown name, MissingError for an unavailable one.
const Strategy& select_strategy(std::string_view name);

/// Whether the workload must have stages for the strategy to run it with these options.
bool needs_stages(const Strategy& strategy, const StrategyOptions& options) noexcept;

/// Why the strategy cannot run this workload with these options; empty if it can.
std::string refuse(const Strategy& strategy, const Workload& workload, const StrategyOptions& options);

/// Why the strategy cannot run this workload, whatever runs the tasks: stages that it lacks, threads that it cannot
/// bear; empty if it can.
std::string unsuited(const Strategy& strategy, const Workload& workload, const StrategyOptions& options);

/// Why `strategy` cannot run tasks of this process with these options: another program runs its tasks, or
/// strategy.refuse(); empty if it can.
std::string refusal(const Strategy& strategy, const StrategyOptions& options);

/// strategy.make() after refuse(): throws UsageError with the reason.
std::unique_ptr<Executor> make_executor(const Strategy& strategy, const Workload& workload,
                                        const StrategyOptions& options);

}  // namespace noisefloor
