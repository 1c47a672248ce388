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
    switch (options_.schedule) {
      case Schedule::auto_:
        run_with(tbb::auto_partitioner(), on_chunk);
        break;
      case Schedule::static_:
        run_with(tbb::static_partitioner(), on_chunk);
        break;
      default:  // simple; the others are refused
        run_with(tbb::simple_partitioner(), on_chunk);
    }
    failure_.rethrow();
  }

 private:
  template <class Partitioner>
  void run_with(const Partitioner& partitioner, const OnChunk& on_chunk) {
    const Chunks all = chunks();
    arena_.execute([&] {
      tbb::parallel_for(
          tbb::blocked_range<std::uint64_t>(0, all.count(), 1),
          [&](const tbb::blocked_range<std::uint64_t>& some) {
            for (std::uint64_t chunk = some.begin(); chunk != some.end(); ++chunk) step(all[chunk], on_chunk);
          },
          partitioner);
    });
  }
};

}  // namespace

std::string refuse_tbb(const StrategyOptions& options) {
  if (options.schedule == Schedule::dynamic || options.schedule == Schedule::guided) {
    return "tbb has the partitioners auto, simple and static: give one of them as schedule, or choose openmp";
  }
  StrategyOptions rest = options;
  rest.schedule = Schedule::none;
  return refuse_own_order("tbb", rest, {.bind = true});
}

std::unique_ptr<Executor> make_tbb(const Workload& workload, const StrategyOptions& options) {
  return std::make_unique<TbbFor>(workload, options);
}

}  // namespace noisefloor
