// MPI ranks as workers: rank 0 measures and runs tasks too, the others do what it tells them.
// SPDX-License-Identifier: MIT
#pragma once

#include <memory>

#include "harness/measure/team.hpp"

namespace noisefloor {

/// One MPI job, from MPI_Init to MPI_Finalize: one object per process, made and gone in its main thread. A rank that
/// dies ends the job, and with it this process.
class Ranks : public Team {
 public:
  Ranks(int* argc, char*** argv);
  ~Ranks() override;

  [[nodiscard]] int rank() const noexcept;

  // Rank 0 only.
  [[nodiscard]] int size() const override;
  [[nodiscard]] std::unique_ptr<Workload> share(const Cell& cell, std::uint64_t seed,
                                                std::unique_ptr<Workload> mine) override;
  [[nodiscard]] std::unique_ptr<Executor> make(const Workload& workload, const StrategyOptions& options) override;
  /// Lets the other ranks return from follow(). If they are not waiting for rank 0's word, because an exception left a
  /// command half done, the whole job is ended with `status` instead, and this does not return.
  void dismiss(int status);

  /// The other ranks: does what rank 0 says until it dismisses them. Throws what only this rank has met, as a workload
  /// that cannot be made here; then abort() is what remains.
  void follow();

  /// Ends all ranks at once.
  [[noreturn]] static void abort(int status);

 private:
  struct Job;
  std::unique_ptr<Job> job_;
};

}  // namespace noisefloor
