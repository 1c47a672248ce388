// mpi: ranks that take the next task from a counter on rank 0, also on other machines. Run it under mpirun.
// SPDX-License-Identifier: MIT
// c++ -std=c++20 -O2 mpi.cpp -DOMPI_SKIP_MPICXX $(pkg-config --cflags --libs ompi)
#include <mpi.h>

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
  MPI_Init(nullptr, nullptr);
  int rank = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  std::uint32_t* counter = nullptr;
  MPI_Win window;
  MPI_Win_allocate(rank == 0 ? sizeof *counter : 0, sizeof *counter, MPI_INFO_NULL, MPI_COMM_WORLD, &counter, &window);
  if (rank == 0) *counter = 0;
  MPI_Barrier(MPI_COMM_WORLD);
  const std::uint32_t one = 1;
  const auto take = [&] {
    std::uint32_t number = 0;
    MPI_Fetch_and_op(&one, &number, MPI_UINT32_T, 0, 0, MPI_SUM, window);
    MPI_Win_flush(0, window);
    return number;
  };
  MPI_Win_lock_all(0, window);
  std::uint64_t own = 0;
  for (std::uint32_t i = take(); i < kTasks; i = take()) own += task(i);
  MPI_Win_unlock_all(window);
  std::uint64_t sum = 0;
  MPI_Reduce(&own, &sum, 1, MPI_UINT64_T, MPI_SUM, 0, MPI_COMM_WORLD);
  if (rank == 0) std::printf("%016llx\n", static_cast<unsigned long long>(sum));
  MPI_Win_free(&window);
  MPI_Finalize();
}
