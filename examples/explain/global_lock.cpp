// global_lock: threads that compute under one lock, as Python's do, and wait without it.
// SPDX-License-Identifier: MIT
// c++ -std=c++20 -O2 global_lock.cpp -pthread
#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <mutex>
#include <thread>
#include <vector>

constexpr std::uint32_t kTasks = 1000;

std::uint64_t task(std::uint32_t number) {  // yours goes here
  std::uint64_t x = number;
  for (int i = 0; i < 10'000; ++i) x = x * 6364136223846793005U + 1442695040888963407U;
  return x;
}

std::mutex lock;  // the interpreter's. std::mutex is not fair: a waiter may be passed by for long

std::uint32_t read_input(std::uint32_t number) { return number; }  // waits for a disk or a peer in a real program
void write_output(std::uint64_t& to, std::uint64_t result) { to = result; }

int main() {
  std::vector<std::uint64_t> results(kTasks);
  const unsigned workers = std::max(1U, std::thread::hardware_concurrency());
  std::atomic<std::uint32_t> next{0};
  {
    std::vector<std::jthread> threads;
    for (unsigned worker = 0; worker < workers; ++worker) {
      threads.emplace_back([&] {
        for (std::uint32_t i = next.fetch_add(1); i < kTasks; i = next.fetch_add(1)) {
          const std::uint32_t input = read_input(i);
          std::uint64_t result = 0;
          {
            const std::lock_guard held(lock);
            result = task(input);
          }
          write_output(results[i], result);
        }
      });
    }
  }
  std::uint64_t sum = 0;
  for (const std::uint64_t result : results) sum += result;
  std::printf("%016llx\n", static_cast<unsigned long long>(sum));
}
