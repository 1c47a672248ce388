// fork_pool_shm: forked processes that take the next task from a counter in shared memory.
// SPDX-License-Identifier: MIT
// c++ -std=c++20 -O2 fork_pool_shm.cpp
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <span>
#include <thread>
#include <vector>

constexpr std::uint32_t kTasks = 1000;

std::uint64_t task(std::uint32_t number) {  // yours goes here
  std::uint64_t x = number;
  for (int i = 0; i < 10'000; ++i) x = x * 6364136223846793005U + 1442695040888963407U;
  return x;
}

/// Waits for one child; a task that crashed takes its process with it, and only that.
void reap() {
  int status = 0;
  if (::wait(&status) < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    std::fprintf(stderr, "a worker failed\n");
    std::exit(1);
  }
}

int main() {
  struct Shared {
    std::atomic<std::uint32_t> next{0};  // lock-free, so it works between processes
    std::uint64_t results[kTasks] = {};
  };
  void* memory = ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return std::perror("mmap"), 1;
  Shared& shared = *new (memory) Shared;
  const unsigned workers = std::max(1U, std::thread::hardware_concurrency());
  for (unsigned worker = 0; worker < workers; ++worker) {
    const pid_t child = ::fork();
    if (child < 0) return std::perror("fork"), 1;
    if (child == 0) {
      for (std::uint32_t i = shared.next.fetch_add(1); i < kTasks; i = shared.next.fetch_add(1)) {
        shared.results[i] = task(i);
      }
      ::_exit(0);
    }
  }
  for (unsigned worker = 0; worker < workers; ++worker) reap();
  std::uint64_t sum = 0;
  for (const std::uint64_t result : shared.results) sum += result;
  std::printf("%016llx\n", static_cast<unsigned long long>(sum));
}
