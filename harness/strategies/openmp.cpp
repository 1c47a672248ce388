// OpenMP's parallel loop over the chunks, with its schedules.
// SPDX-License-Identifier: MIT
#include "harness/strategies/openmp.hpp"

#include <dlfcn.h>
#include <fmt/format.h>
#include <omp.h>
#include <strings.h>

#include <cstdlib>

#include "harness/strategies/openmp_team.hpp"

namespace noisefloor {
namespace {

// The shared object that defines `symbol`; null if none does.
const void* home_of(const char* symbol) {
  const void* const address = ::dlsym(RTLD_DEFAULT, symbol);
  Dl_info info{};
  if (address == nullptr || ::dladdr(address, &info) == 0) return nullptr;
  return info.dli_fbase;
}

class OpenMp final : public OpenMpExecutor {
 public:
  OpenMp(const Workload& workload, const StrategyOptions& options) : OpenMpExecutor("openmp", workload, options) {}

  void run(const OnChunk& on_chunk) override {
    const Chunks all = chunks();
    const auto count = static_cast<std::int64_t>(all.count());  // signed: the form of loop that compilers know best
    if (options_.window != 0) turns_.start(all.count(), options_.window);
    int granted = options_.workers;
#pragma omp parallel num_threads(options_.workers) default(none) shared(on_chunk, all, granted, count)
    {
      const auto worker = static_cast<std::size_t>(omp_get_thread_num());
      if (omp_get_num_threads() != options_.workers) {
#pragma omp single
        granted = omp_get_num_threads();
      } else if (options_.window != 0) {
        // OpenMP says who goes next; which chunk it is, the turns say: it promises no order across threads,
        // and a chunk may wait for an older one only if somebody has that.
#pragma omp for schedule(dynamic, 1)
        for (std::int64_t turn = 0; turn < count; ++turn) {
          if (const auto chunk = turns_.take([this] { return cancelled(); })) {
            run_chunk(worker, all[*chunk], on_chunk);
            turns_.finish(*chunk);
          }
        }
      } else {
        // A loop cannot be left early: once cancelled, the remaining chunks are passed over.
        switch (options_.schedule) {
          case Schedule::dynamic:  // NOLINT(bugprone-branch-clone): the branches differ in their pragmas
#pragma omp for schedule(dynamic, 1)
            for (std::int64_t chunk = 0; chunk < count; ++chunk) step(worker, all, chunk, on_chunk);
            break;
          case Schedule::guided:
#pragma omp for schedule(guided, 1)
            for (std::int64_t chunk = 0; chunk < count; ++chunk) step(worker, all, chunk, on_chunk);
            break;
          case Schedule::auto_:
#pragma omp for schedule(auto)
            for (std::int64_t chunk = 0; chunk < count; ++chunk) step(worker, all, chunk, on_chunk);
            break;
          case Schedule::none:
          case Schedule::static_:
          case Schedule::simple:  // refused
#pragma omp for schedule(static, 1)
            for (std::int64_t chunk = 0; chunk < count; ++chunk) step(worker, all, chunk, on_chunk);
            break;
        }
      }
    }
    failure_.rethrow();
    check_team(granted);
  }

 private:
  void step(std::size_t worker, const Chunks& all, std::int64_t chunk, const OnChunk& on_chunk) noexcept {
    if (!cancelled()) run_chunk(worker, all[static_cast<std::uint64_t>(chunk)], on_chunk);
  }

  Turns turns_;
};

}  // namespace

std::string refuse_openmp(const StrategyOptions& options) {
  if (std::string reason = refuse_factors("openmp", options, kOpenMpTakes); !reason.empty()) return reason;
  if (options.schedule == Schedule::simple) {
    return "openmp has no schedule simple, which is a partitioner of tbb: give static, dynamic, guided or auto";
  }
  if (options.window != 0 && options.schedule != Schedule::dynamic) {
    return fmt::format(
        "openmp takes chunks in order with schedule dynamic only, so it cannot bound a window of {} "
        "with another: give schedule dynamic, or window 0",
        options.window);
  }
  return refuse_other_openmp("openmp", options);
}

std::unique_ptr<Executor> make_openmp(const Workload& workload, const StrategyOptions& options) {
  return std::make_unique<OpenMp>(workload, options);
}

std::string_view openmp_wait_policy() {
  const char* const policy = std::getenv("OMP_WAIT_POLICY");
  for (const char* known : {"active", "passive"}) {
    if (policy != nullptr && ::strcasecmp(policy, known) == 0) return known;
  }
  return {};
}

std::string_view openmp_runtime() {
  // LLVM's runtime alone defines the entry points that clang's code calls, beside those of the standard.
  const void* const llvm = home_of("__kmpc_global_thread_num");
  return llvm != nullptr && llvm == home_of("omp_get_num_threads") ? "libomp" : "libgomp";
}

}  // namespace noisefloor
