// A task of oneTBB's task_group for every chunk.
// SPDX-License-Identifier: MIT
#include "harness/strategies/tbb_tasks.hpp"

#include <oneapi/tbb/task_group.h>

#include "harness/strategies/chunks.hpp"
#include "harness/strategies/tbb_team.hpp"

namespace noisefloor {
namespace {

class TbbTasks final : public TbbExecutor {
 public:
  using TbbExecutor::TbbExecutor;

  void run(const OnChunk& on_chunk) override {
    const Chunks all = chunks();
    const std::uint64_t count = all.count();
    arena_.execute([&] {
      tbb::task_group group;
      try {
        for (std::uint64_t chunk = 0; chunk < count && !cancelled(); ++chunk) {
          group.run([this, chunk, &all, &on_chunk] { step(all[chunk], on_chunk); });
        }
      } catch (...) {
        failure_.capture();  // no memory for another task; those made are waited for
      }
      group.wait();
    });
    failure_.rethrow();
  }
};

}  // namespace

std::string refuse_tbb_tasks(const StrategyOptions& options) {
  return refuse_own_order("tbb_tasks", options, {.bind = true});
}

std::unique_ptr<Executor> make_tbb_tasks(const Workload& workload, const StrategyOptions& options) {
  return std::make_unique<TbbTasks>(workload, options);
}

}  // namespace noisefloor
