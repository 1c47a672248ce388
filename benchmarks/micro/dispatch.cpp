// What it costs to hand out one item: every strategy, by chunk size and workers, on the smallest of tasks.
// SPDX-License-Identifier: MIT
//
// Benchmarks are named <strategy>/chunk:<items>/workers:<n>/<run|unordered>/real_time. A task is one item of
// `multiply`: a load, a multiplication, a store; for strategies that take tasks apart a byte of `payload`. Timed: one
// run of a warm executor over all items, with nobody listening (run) or through unordered delivery (unordered); so many
// items that a run lasts 10 ms, and waking a pool is little beside them. Not timed: the check of the output after the
// last run. Counters: ns_per_item (of real time: divided among the workers it would be more), and items per run.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <exception>
#include <memory>
#include <string>
#include <vector>

#include "harness/measure/machine.hpp"
#include "harness/strategies/deliver.hpp"
#include "harness/strategies/strategy.hpp"
#include "harness/workloads/table.hpp"
#include "run_all.hpp"

namespace noisefloor::micro {
namespace {

constexpr std::uint32_t kChunkSizes[] = {1, 16, 256};
constexpr std::uint32_t kLeastItems = 1024, kMostItems = 1U << 22;
constexpr std::chrono::milliseconds kLeastRun(10);

using Clock = std::chrono::steady_clock;

enum class How : std::uint8_t { run, unordered };

class Batch {
 public:
  Batch(const char* workload, const Strategy& strategy, std::uint32_t items, const StrategyOptions& options)
      : workload_(select_workload(workload).make({.tasks = items, .task_size = 1})),
        executor_(make_executor(strategy, *workload_, options)) {}

  void run(How how) {
    if (how == How::run) {
      executor_->run([](auto, auto) {});
    } else {
      deliver(*executor_, workload_->task_count(), Delivery::unordered, [](auto, auto) {});
    }
  }
  void prepare() { workload_->prepare(1); }
  [[nodiscard]] std::uint64_t digest() const { return executor_->digest(); }

 private:
  std::unique_ptr<Workload> workload_;
  std::unique_ptr<Executor> executor_;
};

const char* workload_for(const Strategy& strategy) { return strategy.needs_stages ? "payload" : "multiply"; }

/// Shortest of three runs: a neighbour's burst must not pass for work.
Clock::duration shortest_run(Batch& batch, How how) {
  Clock::duration shortest = Clock::duration::max();
  for (int i = 0; i < 3; ++i) {
    const auto start = Clock::now();
    batch.run(how);
    shortest = std::min(shortest, Clock::now() - start);
  }
  return shortest;
}

/// The number of items, doubled until a run lasts kLeastRun.
std::uint32_t enough_items(const Strategy& strategy, const StrategyOptions& options, How how) {
  std::uint32_t items = std::max(kLeastItems, 16 * options.chunk_size);
  for (; items < kMostItems; items *= 2) {
    Batch batch(workload_for(strategy), strategy, items, options);
    batch.run(how);  // pages, threads
    if (shortest_run(batch, how) >= kLeastRun) break;
  }
  return items;
}

void dispatch(benchmark::State& state, const Strategy& strategy, const StrategyOptions& options, How how) {
  if (!strategy.unavailable.empty()) {
    state.SkipWithError(("skipped: " + std::string(strategy.unavailable)).c_str());
    return;
  }
  try {
    const std::uint32_t items = enough_items(strategy, options, how);
    Batch sequential(workload_for(strategy), select_strategy("sequential"), items, {});
    sequential.run(How::run);
    Batch batch(workload_for(strategy), strategy, items, options);
    batch.run(how);
    batch.prepare();
    const auto start = Clock::now();
    for (auto _ : state) batch.run(how);  // NOLINT(clang-analyzer-deadcode.DeadStores): the library's loop
    const std::chrono::duration<double, std::nano> elapsed = Clock::now() - start;
    if (batch.digest() != sequential.digest()) {
      state.SkipWithError("wrong output");
      return;
    }
    state.counters["ns_per_item"] = elapsed.count() / static_cast<double>(state.iterations()) / items;
    state.counters["items"] = items;
  } catch (const std::exception& error) {
    state.SkipWithError(error.what());
  }
}

void add_all() {
  std::vector<int> workers{1};
  if (available_workers() > 1) workers.push_back(available_workers());
  for (const Strategy& strategy : strategies()) {
    if (strategy.unavailable.empty() && strategy.make == nullptr) continue;  // another program
    for (const std::uint32_t chunk_size : kChunkSizes) {
      for (const int n : workers) {
        StrategyOptions options;
        options.workers = n;
        options.chunk_size = chunk_size;
        // One that needs another number of workers has no such benchmark; `openmp` is its default, static.
        if (strategy.unavailable.empty() && !strategy.refuse(options).empty()) continue;
        for (const How how : {How::run, How::unordered}) {
          const std::string name = std::string(strategy.name) + "/chunk:" + std::to_string(chunk_size) +
                                   "/workers:" + std::to_string(n) + (how == How::run ? "/run" : "/unordered");
          benchmark::RegisterBenchmark(
              name.c_str(),
              [&strategy, options, how](benchmark::State& state) { dispatch(state, strategy, options, how); })
              ->UseRealTime()
              ->Unit(benchmark::kMillisecond);
        }
      }
    }
  }
}

}  // namespace
}  // namespace noisefloor::micro

int main(int argc, char** argv) { return noisefloor::micro::run_all(argc, argv, noisefloor::micro::add_all); }
