// OpenMP's taskloop over the chunks.
// SPDX-License-Identifier: MIT
#include "harness/strategies/openmp_taskloop.hpp"

#include <omp.h>

#include "harness/strategies/openmp_team.hpp"

namespace noisefloor {
namespace {

constexpr std::string_view kName = "openmp_taskloop";

#ifdef __clang__
// clang 14 warns of the conversions in its own code for the loop, whatever the type of the index.
#pragma clang diagnostic ignored "-Wsign-conversion"
#endif

class OpenMpTaskloop final : public OpenMpTaskExecutor {
 public:
  OpenMpTaskloop(const Workload& workload, const StrategyOptions& options)
      : OpenMpTaskExecutor(kName, workload, options) {}

 private:
  void make_tasks(const OnChunk& on_chunk) override {
    const Chunks all = chunks();
    const std::uint64_t count = all.count();
    // A loop cannot be left early: once cancelled, the remaining chunks are passed over.
#pragma omp taskloop grainsize(1) default(none) shared(on_chunk, all, count)
    for (std::uint64_t chunk = 0; chunk < count; ++chunk) {
      if (cancelled()) continue;
      run_chunk(static_cast<std::size_t>(omp_get_thread_num()), all[chunk], on_chunk);
    }
  }
};

}  // namespace

std::string refuse_openmp_taskloop(const StrategyOptions& options) {
  if (std::string reason = refuse_own_order(kName, options, kOpenMpTakes); !reason.empty()) return reason;
  return refuse_other_openmp(kName, options);
}

std::unique_ptr<Executor> make_openmp_taskloop(const Workload& workload, const StrategyOptions& options) {
  return std::make_unique<OpenMpTaskloop>(workload, options);
}

}  // namespace noisefloor
