// fork_pool: forked processes that are sent task numbers through socket pairs and send results back.
// SPDX-License-Identifier: MIT
// c++ -std=c++20 -O2 fork_pool.cpp
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

constexpr std::uint32_t kTasks = 1000;

std::uint64_t task(std::uint32_t number) {  // yours goes here
  std::uint64_t x = number;
  for (int i = 0; i < 10'000; ++i) x = x * 6364136223846793005U + 1442695040888963407U;
  return x;
}

struct Worker {
  int socket = -1;
  std::uint32_t task = 0;
};

void stop(const char* what) {
  std::perror(what);
  std::exit(1);
}

[[noreturn]] void serve(int socket) {
  std::uint32_t number = 0;
  while (::read(socket, &number, sizeof number) == sizeof number) {
    const std::uint64_t result = task(number);
    if (::write(socket, &result, sizeof result) != sizeof result) ::_exit(1);
  }
  ::_exit(0);  // the parent has closed its end
}

int main() {
  std::vector<std::uint64_t> results(kTasks);
  const unsigned workers = std::max(1U, std::thread::hardware_concurrency());
  std::vector<Worker> pool(std::min(workers, kTasks));
  for (Worker& worker : pool) {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0) stop("socketpair");
    const pid_t child = ::fork();
    if (child < 0) stop("fork");
    if (child == 0) {
      for (const Worker& other : pool) ::close(other.socket);  // else a dead sibling is not seen
      ::close(ends[0]);
      serve(ends[1]);
    }
    ::close(ends[1]);
    worker.socket = ends[0];
  }
  std::uint32_t next = 0;
  const auto send = [&](Worker& worker) {
    worker.task = next++;
    if (::write(worker.socket, &worker.task, sizeof worker.task) < 0) stop("a worker is gone");
  };
  for (Worker& worker : pool) send(worker);
  for (std::uint32_t left = kTasks; left != 0;) {
    std::vector<pollfd> polled;
    for (const Worker& worker : pool) polled.push_back({worker.socket, POLLIN, 0});
    if (::poll(polled.data(), polled.size(), -1) < 0) stop("poll");
    for (std::size_t i = 0; i < pool.size(); ++i) {
      if (polled[i].revents == 0) continue;
      std::uint64_t result = 0;
      if (::read(pool[i].socket, &result, sizeof result) != sizeof result) stop("a worker died");
      results[pool[i].task] = result;
      --left;
      if (next < kTasks)
        send(pool[i]);
      else
        ::shutdown(pool[i].socket, SHUT_WR), pool[i].socket = -1;  // negative: poll passes it by
    }
  }
  for (std::size_t i = 0; i < pool.size(); ++i) ::wait(nullptr);
  std::uint64_t sum = 0;
  for (const std::uint64_t result : results) sum += result;
  std::printf("%016llx\n", static_cast<unsigned long long>(sum));
}
