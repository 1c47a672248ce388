// A pool of std::jthread that shares one atomic cursor over the chunks.
// SPDX-License-Identifier: MIT
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "harness/strategies/strategy.hpp"

namespace noisefloor {

std::string refuse_std_thread(const StrategyOptions& options);
/// The pool is started here (it is warm: its threads sleep between runs). The thread that calls run() is
/// worker 0, as in OpenMP, so W workers are W-1 threads of the pool; with a binding it is also the one that makes it.
/// Throws Error if they cannot be started.
std::unique_ptr<Executor> make_std_thread(const Workload& workload, const StrategyOptions& options);
/// The same for a strategy made on it, which messages call `name`.
std::unique_ptr<Executor> make_thread_pool(std::string_view name, const Workload& workload,
                                           const StrategyOptions& options);

}  // namespace noisefloor
