// tbb: parallel_for over a range that splits itself; who has nothing to do steals.
// SPDX-License-Identifier: MIT
// c++ -std=c++20 -O2 tbb.cpp -ltbb
#include <tbb/blocked_range.h>
#include <tbb/parallel_for.h>
#include <tbb/partitioner.h>

#include <cstdint>
#include <cstdio>
#include <vector>

constexpr std::uint32_t kTasks = 1000;

std::uint64_t task(std::uint32_t number) {  // yours goes here
  std::uint64_t x = number;
  for (int i = 0; i < 10'000; ++i) x = x * 6364136223846793005U + 1442695040888963407U;
  return x;
}

int main() {
  std::vector<std::uint64_t> results(kTasks);
  using Range = tbb::blocked_range<std::uint32_t>;
  tbb::parallel_for(
      Range(0, kTasks, 1),  // 1: the least number of tasks in a piece
      [&](const Range& some) {
        for (std::uint32_t i = some.begin(); i != some.end(); ++i) results[i] = task(i);
      },
      tbb::simple_partitioner());
  std::uint64_t sum = 0;
  for (const std::uint64_t result : results) sum += result;
  std::printf("%016llx\n", static_cast<unsigned long long>(sum));
}
