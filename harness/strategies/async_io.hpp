// One thread with many tasks in flight: it waits for all of them at once, through io_uring.
// SPDX-License-Identifier: MIT
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "harness/strategies/strategy.hpp"

namespace noisefloor {

/// Why this system does not let io_uring be used: asks it by setting up a small ring. Empty if it does.
std::string_view no_io_uring() noexcept;

std::string refuse_async_io(const StrategyOptions& options);
/// The thread that makes it calls run() and does all the computing. Tasks are begun in order, and as many are in flight
/// as have their pieces within 2 MiB, a fast cache: 8 whose pieces are of 256 KiB, at most 256, at least 2. What a task
/// waits for is left to the kernel where the task can tell it (StagedTask::begin_extract()); opening and finishing are
/// not. The kernel's own threads, which do what would block, are threads of this process to getrusage. The workload has
/// stages. Throws Error if the ring cannot be set up.
std::unique_ptr<Executor> make_async_io(const Workload& workload, const StrategyOptions& options);

}  // namespace noisefloor
