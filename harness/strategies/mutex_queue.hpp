// The pool that everyone writes first: a bounded queue of jobs behind a mutex and two condition variables.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "harness/strategies/strategy.hpp"

namespace noisefloor {

/// Jobs that the queue holds for each worker before who fills it has to wait.
inline constexpr std::size_t kQueuedJobsPerWorker = 64;

std::string refuse_mutex_queue(const StrategyOptions& options);
/// The pool of `workers` threads is started here. The thread that calls run() fills the queue, one job
/// (a std::function) per chunk, and runs no task itself, so `workers` + 1 threads are at work while it does: the
/// price of the design. A window is honoured. Throws Error if the threads cannot be started.
std::unique_ptr<Executor> make_mutex_queue(const Workload& workload, const StrategyOptions& options);

}  // namespace noisefloor
