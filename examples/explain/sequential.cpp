// sequential: one task after the other. What all others are measured against.
// SPDX-License-Identifier: MIT
// c++ -std=c++20 -O2 sequential.cpp
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
  for (std::uint32_t i = 0; i < kTasks; ++i) results[i] = task(i);
  std::uint64_t sum = 0;
  for (const std::uint64_t result : results) sum += result;
  std::printf("%016llx\n", static_cast<unsigned long long>(sum));
}
