// std_thread: threads that take the next task from an atomic counter. The shortest good answer.
// SPDX-License-Identifier: MIT
// c++ -std=c++20 -O2 std_thread.cpp -pthread
#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <thread>
#include <vector>

constexpr std::uint32_t kTasks = 1000;

std::uint64_t task(std::uint32_t number) {  // yours goes here
  std::uint64_t x = number;
  for (int i = 0; i < 10'000; ++i) x = x * 6364136223846793005U + 1442695040888963407U;
  return x;
}

int main() {
  std::vector<std::uint64_t> results(kTasks);
  const unsigned workers = std::max(1U, std::thread::hardware_concurrency());
  std::atomic<std::uint32_t> next{0};
  {
    std::vector<std::jthread> threads;  // kept for the next batch in a real program: making them costs
    for (unsigned worker = 0; worker < workers; ++worker) {
      threads.emplace_back([&] {
        for (std::uint32_t i = next.fetch_add(1); i < kTasks; i = next.fetch_add(1)) results[i] = task(i);
      });
    }
  }
  std::uint64_t sum = 0;
  for (const std::uint64_t result : results) sum += result;
  std::printf("%016llx\n", static_cast<unsigned long long>(sum));
}
