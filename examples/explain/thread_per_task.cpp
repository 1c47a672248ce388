// thread_per_task: a thread for each task, no more at a time than CPUs. Making one costs 10 to 50 µs.
// SPDX-License-Identifier: MIT
// c++ -std=c++20 -O2 thread_per_task.cpp -pthread
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <semaphore>
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
  std::counting_semaphore<> places(workers);
  {
    std::vector<std::jthread> threads;  // joined at the end of this block
    threads.reserve(kTasks);
    for (std::uint32_t i = 0; i < kTasks; ++i) {
      places.acquire();
      threads.emplace_back([&, i] {
        results[i] = task(i);
        places.release();
      });
    }
  }
  std::uint64_t sum = 0;
  for (const std::uint64_t result : results) sum += result;
  std::printf("%016llx\n", static_cast<unsigned long long>(sum));
}
