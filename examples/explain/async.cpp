// async: std::async for each task, at most one per CPU in flight. The library makes a thread for each.
// SPDX-License-Identifier: MIT
// c++ -std=c++20 -O2 async.cpp -pthread
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <deque>
#include <future>
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
  std::deque<std::pair<std::uint32_t, std::future<std::uint64_t>>> flying;
  const auto land = [&] {
    results[flying.front().first] = flying.front().second.get();  // get() throws what the task threw
    flying.pop_front();
  };
  for (std::uint32_t i = 0; i < kTasks; ++i) {
    if (flying.size() == workers) land();
    flying.emplace_back(i, std::async(std::launch::async, task, i));
  }
  while (!flying.empty()) land();
  std::uint64_t sum = 0;
  for (const std::uint64_t result : results) sum += result;
  std::printf("%016llx\n", static_cast<unsigned long long>(sum));
}
