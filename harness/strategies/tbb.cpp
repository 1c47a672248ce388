// oneTBB's parallel_for over the chunks.
// SPDX-License-Identifier: MIT
#include "harness/strategies/tbb.hpp"

#include <oneapi/tbb/blocked_range.h>
#include <oneapi/tbb/parallel_for.h>

#include "harness/strategies/chunks.hpp"
#include "harness/strategies/tbb_team.hpp"

namespace noisefloor {
namespace {

class TbbFor final : public TbbExecutor {
 public:
  using TbbExecutor::TbbExecutor;

  void run(const OnChunk& on_chunk) override {
    const Chunks all = chunks();
    arena_.execute([&] {
      tbb::parallel_for(
          tbb::blocked_range<std::uint64_t>(0, all.count(), 1),
          [&](const tbb::blocked_range<std::uint64_t>& some) {
            for (std::uint64_t chunk = some.begin(); chunk != some.end(); ++chunk) step(all[chunk], on_chunk);
          },
          tbb::simple_partitioner());
    });
    failure_.rethrow();
  }
};

}  // namespace

std::string refuse_tbb(const StrategyOptions& options) { return refuse_own_order("tbb", options); }

std::unique_ptr<Executor> make_tbb(const Workload& workload, const StrategyOptions& options) {
  return std::make_unique<TbbFor>(workload, options);
}

}  // namespace noisefloor
