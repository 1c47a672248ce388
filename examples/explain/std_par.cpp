// std_par: a policy as the first argument. libstdc++ gives the work to oneTBB.
// SPDX-License-Identifier: MIT
// c++ -std=c++20 -O2 std_par.cpp -ltbb
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <execution>
#include <numeric>
#include <vector>

constexpr std::uint32_t kTasks = 1000;

std::uint64_t task(std::uint32_t number) {  // yours goes here
  std::uint64_t x = number;
  for (int i = 0; i < 10'000; ++i) x = x * 6364136223846793005U + 1442695040888963407U;
  return x;
}

int main() {
  std::vector<std::uint64_t> results(kTasks);
  std::vector<std::uint32_t> numbers(kTasks);
  std::iota(numbers.begin(), numbers.end(), 0U);
  std::for_each(std::execution::par, numbers.begin(), numbers.end(),
                [&](std::uint32_t i) { results[i] = task(i); });  // an exception here ends the program
  std::uint64_t sum = 0;
  for (const std::uint64_t result : results) sum += result;
  std::printf("%016llx\n", static_cast<unsigned long long>(sum));
}
