// A new std::thread for every chunk: threads without a pool.
// SPDX-License-Identifier: MIT
#pragma once

#include <memory>
#include <string>

#include "harness/strategies/strategy.hpp"

namespace noisefloor {

std::string refuse_thread_per_task(const StrategyOptions& options);
/// With a chunk_size of 1 each task has a thread of its own; with more, that many tasks share one. Starting all
/// at once, as the first version of such a program does, ends where the system's threads do: here at most
/// `workers` live at a time, and the thread that calls run() only starts and joins them. A window is honoured.
/// run() throws Error if a thread cannot be started.
std::unique_ptr<Executor> make_thread_per_task(const Workload& workload, const StrategyOptions& options);

}  // namespace noisefloor
