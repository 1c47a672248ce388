// Refusals of the reference programs.
// SPDX-License-Identifier: MIT
#include "harness/strategies/reference.hpp"

#include <fmt/format.h>

#include "harness/strategies/chunks.hpp"

namespace noisefloor {
namespace {

constexpr std::string_view kProgram = "a reference program";

std::string refuse_common(const StrategyOptions& options, const Takes& takes) {
  if (std::string reason = refuse_factors(kProgram, options, takes); !reason.empty()) return reason;
  if (options.schedule != Schedule::none) return fmt::format("{} has no schedule: leave schedule out", kProgram);
  if (options.window != 0) return fmt::format("{} has no window that could be bounded", kProgram);
  return {};
}

}  // namespace

std::string refuse_reference_alone(const StrategyOptions& options) {
  if (options.workers != 1) {
    return fmt::format("it runs in one thread, so {} workers would be one: give workers 1", options.workers);
  }
  if (options.chunk_size != 1) return "it takes task after task: give chunk_size 1";
  return refuse_common(options, {});
}

std::string refuse_reference_pool(const StrategyOptions& options) {
  Takes takes;
  takes.pool = true;
  return refuse_common(options, takes);
}

std::string refuse_reference_processes(const StrategyOptions& options) { return refuse_common(options, {}); }

}  // namespace noisefloor
