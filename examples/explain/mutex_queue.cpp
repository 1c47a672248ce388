// mutex_queue: a bounded queue with a mutex and two condition variables, fed by the caller.
// SPDX-License-Identifier: MIT
// c++ -std=c++20 -O2 mutex_queue.cpp -pthread
#include <algorithm>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

constexpr std::uint32_t kTasks = 1000;

std::uint64_t task(std::uint32_t number) {  // yours goes here
  std::uint64_t x = number;
  for (int i = 0; i < 10'000; ++i) x = x * 6364136223846793005U + 1442695040888963407U;
  return x;
}

class Queue {
 public:
  explicit Queue(std::size_t most) : most_(most) {}
  void push(std::uint32_t number) {
    std::unique_lock lock(mutex_);
    room_.wait(lock, [&] { return numbers_.size() < most_; });
    numbers_.push_back(number);
    filled_.notify_one();
  }
  void close() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    filled_.notify_all();
  }
  std::optional<std::uint32_t> pop() {
    std::unique_lock lock(mutex_);
    filled_.wait(lock, [&] { return closed_ || !numbers_.empty(); });
    if (numbers_.empty()) return std::nullopt;
    const std::uint32_t number = numbers_.front();
    numbers_.pop_front();
    room_.notify_one();
    return number;
  }

 private:
  std::size_t most_;
  std::mutex mutex_;
  std::condition_variable room_, filled_;
  std::deque<std::uint32_t> numbers_;
  bool closed_ = false;
};

int main() {
  std::vector<std::uint64_t> results(kTasks);
  const unsigned workers = std::max(1U, std::thread::hardware_concurrency());
  Queue queue(4 * std::size_t{workers});
  {
    std::vector<std::jthread> threads;
    for (unsigned worker = 0; worker < workers; ++worker) {
      threads.emplace_back([&] {
        while (const auto number = queue.pop()) results[*number] = task(*number);
      });
    }
    for (std::uint32_t i = 0; i < kTasks; ++i) queue.push(i);
    queue.close();
  }
  std::uint64_t sum = 0;
  for (const std::uint64_t result : results) sum += result;
  std::printf("%016llx\n", static_cast<unsigned long long>(sum));
}
