// The executor of fork_pool with ship = samples: the parent reads and writes, workers only transform.
// SPDX-License-Identifier: MIT
#pragma once

#include <memory>
#include <string_view>

#include "harness/strategies/strategy.hpp"

namespace noisefloor {

/// The parent opens tasks, extracts their pieces, sends each with its data to a worker, which transforms it and sends
/// it back, and loads it: at most two tasks per worker are open at a time. `options.transport` is the way of the data;
/// a message with what transform must know goes through the socket pair or pipes in any case. `name` is the strategy's,
/// and must live for ever. Deaths are met as in make_process_pool(): the task whose piece was being transformed is
/// opened again, what was complete before it is delivered. Throws UsageError for a workload without stages, and Error.
std::unique_ptr<Executor> make_sample_shipper(std::string_view name, const Workload& workload,
                                              const StrategyOptions& options);

}  // namespace noisefloor
