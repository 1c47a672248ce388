// The standard library's parallel algorithm over the chunks.
// SPDX-License-Identifier: MIT
#include "harness/strategies/std_par.hpp"

#include <algorithm>
#include <execution>
#include <vector>

#include "harness/strategies/chunks.hpp"
#include "harness/strategies/tbb_team.hpp"

namespace noisefloor {
namespace {

class StdPar final : public TbbExecutor {
 public:
  StdPar(const Workload& workload, const StrategyOptions& options) : TbbExecutor(workload, options) {
    const Chunks all = chunks();
    ranges_.reserve(all.count());
    for (std::uint64_t chunk = 0; chunk < all.count(); ++chunk) ranges_.push_back(all[chunk]);
  }

  void run(const OnChunk& on_chunk) override {
    arena_.execute([&] {
      std::for_each(std::execution::par, ranges_.begin(), ranges_.end(),
                    [&](const TaskRange& range) { step(range, on_chunk); });
    });
    failure_.rethrow();
  }

 private:
  // A list, since libstdc++ 12 runs in sequence whatever iterators are not those of a C++17 random access range,
  // std::views::iota's among them.
  std::vector<TaskRange> ranges_;
};

}  // namespace

std::string refuse_std_par(const StrategyOptions& options) {
  return refuse_own_order("std_par", options, {.bind = true});
}

std::unique_ptr<Executor> make_std_par(const Workload& workload, const StrategyOptions& options) {
  return std::make_unique<StdPar>(workload, options);
}

}  // namespace noisefloor
