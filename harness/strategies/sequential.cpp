// One task after the other: what every other strategy is compared with.
// SPDX-License-Identifier: MIT
#include "harness/strategies/sequential.hpp"

#include <fmt/format.h>

#include "harness/strategies/chunks.hpp"

namespace noisefloor {
namespace {

class Sequential final : public InProcessExecutor {
 public:
  Sequential(const Workload& workload, const StrategyOptions& options)
      : InProcessExecutor(workload, options), tied_(binding_, 0) {}

  void run(const OnChunk& on_chunk) override {
    const Chunks all = chunks();
    const std::uint64_t count = all.count();
    for (std::uint64_t chunk = 0; chunk < count && !cancelled(); ++chunk) run_chunk(0, all[chunk], on_chunk);
    failure_.rethrow();
  }

 private:
  const Tied tied_;
};

}  // namespace

std::string refuse_sequential(const StrategyOptions& options) {
  if (std::string reason = refuse_factors("sequential", options, {.bind = true}); !reason.empty()) return reason;
  if (options.workers != 1) {
    return fmt::format("sequential is one worker, not {}: give workers 1, or another strategy", options.workers);
  }
  if (options.schedule != Schedule::none) return "sequential has no schedule: leave it out, or choose openmp";
  return {};
}

std::unique_ptr<Executor> make_sequential(const Workload& workload, const StrategyOptions& options) {
  return std::make_unique<Sequential>(workload, options);
}

}  // namespace noisefloor
