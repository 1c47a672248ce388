// A Google Benchmark program with one of each kind of benchmark, for compare_test.py.
// SPDX-License-Identifier: MIT
#include <benchmark/benchmark.h>

#include <cstdint>
#include <iostream>

namespace {

void work(std::int64_t steps) {
  std::uint64_t value = 1;
  for (std::int64_t i = 0; i < steps; ++i) benchmark::DoNotOptimize(value = value * 3 + 1);
}

void BM_plain(benchmark::State& state) {
  std::cout << "text on standard output, where no results are read from\n";
  for ([[maybe_unused]] const auto step : state) work(100);
}
BENCHMARK(BM_plain);

template <class T>
void BM_template(benchmark::State& state) {
  for ([[maybe_unused]] const auto step : state) work(100 * static_cast<std::int64_t>(sizeof(T)));
}
BENCHMARK_TEMPLATE(BM_template, int);

void BM_capture(benchmark::State& state, std::int64_t steps) {
  for ([[maybe_unused]] const auto step : state) work(steps);
}
// NOLINTNEXTLINE(cppcoreguidelines-owning-memory): the library owns what is registered.
const auto* const captured = benchmark::RegisterBenchmark("BM_capture/a+b(c)", BM_capture, 50);

void BM_args(benchmark::State& state) {
  for ([[maybe_unused]] const auto step : state) work(state.range(0));
  state.SetComplexityN(state.range(0));
}
BENCHMARK(BM_args)->Arg(8)->Arg(64)->Complexity(benchmark::oN);

void BM_threads(benchmark::State& state) {
  for ([[maybe_unused]] const auto step : state) work(100);
}
BENCHMARK(BM_threads)->Threads(2);

void BM_own(benchmark::State& state) {
  for ([[maybe_unused]] const auto step : state) work(1000);
}
BENCHMARK(BM_own)->Iterations(7);

void BM_manual(benchmark::State& state) {
  for ([[maybe_unused]] const auto step : state) {
    work(100);
    state.SetIterationTime(1e-4);
  }
}
BENCHMARK(BM_manual)->UseManualTime();

void BM_real(benchmark::State& state) {
  for ([[maybe_unused]] const auto step : state) work(100);
}
BENCHMARK(BM_real)->UseRealTime();

void BM_aggregates(benchmark::State& state) {
  for ([[maybe_unused]] const auto step : state) work(100);
}
BENCHMARK(BM_aggregates)->Repetitions(3)->ReportAggregatesOnly();

void BM_fails(benchmark::State& state) {
  state.SkipWithError("fails on purpose");
  for ([[maybe_unused]] const auto step : state) work(1);
}
BENCHMARK(BM_fails);

}  // namespace

BENCHMARK_MAIN();
