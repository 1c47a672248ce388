// Worker processes on socket pairs: the executor of fork_pool and of process_per_task.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "harness/strategies/strategy.hpp"

namespace noisefloor {

enum class Lifetime : std::uint8_t {
  chunk,  ///< a process runs one chunk
  run,    ///< all processes are made by run(), and end with it
  pool,   ///< all processes are made with the executor, and end with it
};

/// `name` is the strategy's, for messages, and must live for ever. Throws Error if the workers cannot be made.
///
/// What happens to a worker is no failure of the run. One that dies, or shows no progress for options.task_timeout per
/// task, is replaced at once; what it had not answered is run again, what it had is not. A task that was being run when
/// its worker died three times is given up: its result says so. run() throws Error when no worker is left and none can
/// be started for a second, or when workers die before they have begun anything.
std::unique_ptr<Executor> make_process_pool(std::string_view name, const Workload& workload,
                                            const StrategyOptions& options, Lifetime lifetime);

}  // namespace noisefloor
