// OpenMP's tasks, one per chunk, made one by one.
// SPDX-License-Identifier: MIT
#include "harness/strategies/openmp_tasks.hpp"

#include <omp.h>

#include "harness/strategies/chunks.hpp"
#include "harness/strategies/openmp_team.hpp"

namespace noisefloor {
namespace {

constexpr std::string_view kName = "openmp_tasks";

class OpenMpTasks final : public InProcessExecutor {
 public:
  OpenMpTasks(const Workload& workload, const StrategyOptions& options) : InProcessExecutor(workload, options) {
    start_openmp_team(kName, options.workers);
  }

  void run(const OnChunk& on_chunk) override {
    const Chunks all = chunks();
    const std::uint64_t count = all.count();
    int granted = 0;
#pragma omp parallel num_threads(options_.workers) default(none) shared(on_chunk, all, granted, count)
    {
#pragma omp single
      {
        granted = omp_get_num_threads();
        if (granted == options_.workers) {
          for (std::uint64_t chunk = 0; chunk < count && !cancelled(); ++chunk) {
#pragma omp task default(none) firstprivate(chunk) shared(on_chunk, all)
            if (!cancelled()) run_chunk(static_cast<std::size_t>(omp_get_thread_num()), all[chunk], on_chunk);
          }
        }
      }
    }
    failure_.rethrow();
    check_openmp_team(kName, granted, options_.workers);
  }
};

}  // namespace

std::string refuse_openmp_tasks(const StrategyOptions& options) { return refuse_own_order(kName, options); }

std::unique_ptr<Executor> make_openmp_tasks(const Workload& workload, const StrategyOptions& options) {
  return std::make_unique<OpenMpTasks>(workload, options);
}

}  // namespace noisefloor
