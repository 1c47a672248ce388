// async_io: one thread, many tasks in flight: io_uring waits for all of them at once.
// SPDX-License-Identifier: MIT
// c++ -std=c++20 -O2 async_io.cpp -luring
#include <fcntl.h>
#include <liburing.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

constexpr std::uint32_t kTasks = 1000;

std::uint64_t task(std::uint32_t number) {  // yours goes here
  std::uint64_t x = number;
  for (int i = 0; i < 10'000; ++i) x = x * 6364136223846793005U + 1442695040888963407U;
  return x;
}

struct Flight {  // a task that waits for its input
  std::uint32_t number = 0;
  std::uint32_t input = 0;
};

int main() {
  // The inputs: task numbers in a file, 4 bytes each.
  char path[] = "/tmp/async_io-XXXXXX";
  const int file = ::mkstemp(path);
  if (file < 0) return std::perror("mkstemp"), 1;
  ::unlink(path);
  for (std::uint32_t i = 0; i < kTasks; ++i) {
    if (::pwrite(file, &i, sizeof i, i * sizeof i) != sizeof i) return std::perror("pwrite"), 1;
  }
  std::vector<std::uint64_t> results(kTasks);
  constexpr unsigned kInFlight = 32;
  io_uring ring;
  if (const int error = ::io_uring_queue_init(kInFlight, &ring, 0); error < 0)
    return std::printf("no io_uring: %d\n", error), 1;
  std::vector<Flight> flights(kInFlight);
  std::uint32_t next = 0;
  const auto start = [&](Flight& flight) {
    if (next == kTasks) return;
    flight.number = next++;
    io_uring_sqe* request = ::io_uring_get_sqe(&ring);
    ::io_uring_prep_read(request, file, &flight.input, sizeof flight.input, flight.number * sizeof flight.input);
    ::io_uring_sqe_set_data(request, &flight);
  };
  for (Flight& flight : flights) start(flight);
  for (std::uint32_t done = 0; done < kTasks; ++done) {
    io_uring_cqe* answer = nullptr;
    ::io_uring_submit(&ring);
    if (::io_uring_wait_cqe(&ring, &answer) < 0 || answer->res != sizeof(std::uint32_t))
      return std::printf("a read failed\n"), 1;
    Flight& flight = *static_cast<Flight*>(::io_uring_cqe_get_data(answer));
    ::io_uring_cqe_seen(&ring, answer);
    results[flight.number] = task(flight.input);
    start(flight);
  }
  ::io_uring_queue_exit(&ring);
  std::uint64_t sum = 0;
  for (const std::uint64_t result : results) sum += result;
  std::printf("%016llx\n", static_cast<unsigned long long>(sum));
}
