// OpenMP's tasks, one per chunk, made one by one.
// SPDX-License-Identifier: MIT
#include "harness/strategies/openmp_tasks.hpp"

#include <omp.h>

#include "harness/strategies/openmp_team.hpp"

namespace noisefloor {
namespace {

constexpr std::string_view kName = "openmp_tasks";

class OpenMpTasks final : public OpenMpTaskExecutor {
 public:
  OpenMpTasks(const Workload& workload, const StrategyOptions& options)
      : OpenMpTaskExecutor(kName, workload, options) {}

 private:
  void make_tasks(const OnChunk& on_chunk) override {
    const Chunks all = chunks();
    const std::uint64_t count = all.count();
    for (std::uint64_t chunk = 0; chunk < count && !cancelled(); ++chunk) {
#pragma omp task default(none) firstprivate(chunk) shared(on_chunk, all)
      if (!cancelled()) run_chunk(static_cast<std::size_t>(omp_get_thread_num()), all[chunk], on_chunk);
    }
#pragma omp taskwait
  }
};

}  // namespace

std::string refuse_openmp_tasks(const StrategyOptions& options) {
  if (std::string reason = refuse_own_order(kName, options, kOpenMpTakes); !reason.empty()) return reason;
  return refuse_other_openmp(kName, options);
}

std::unique_ptr<Executor> make_openmp_tasks(const Workload& workload, const StrategyOptions& options) {
  return std::make_unique<OpenMpTasks>(workload, options);
}

}  // namespace noisefloor
