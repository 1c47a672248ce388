// What the OpenMP strategies share: a team of exactly as many threads as workers.
// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <string_view>

#include "harness/strategies/chunks.hpp"
#include "harness/strategies/strategy.hpp"

namespace noisefloor {

/// The factors that all OpenMP strategies take.
inline constexpr Takes kOpenMpTakes = {.bind = true, .openmp = true};

/// Why OpenMP here is not the one that is asked for: another runtime answers, or OMP_WAIT_POLICY differs; empty if it
/// is.
std::string refuse_other_openmp(std::string_view strategy, const StrategyOptions& options);

/// The team is started when this is made, so that the first run finds it warm, and its threads are tied to their CPUs
/// until it goes. The thread that makes it must be the one that calls run(): it is worker 0.
class OpenMpExecutor : public InProcessExecutor {
 public:
  /// Throws Error if OpenMP grants fewer threads than workers; `strategy`, of static lifetime, is for the message.
  OpenMpExecutor(std::string_view strategy, const Workload& workload, const StrategyOptions& options);
  ~OpenMpExecutor() override;

 protected:
  /// Throws Error if `granted` is not the number of workers: each worker's buffers are those of its thread number.
  void check_team(int granted) const;

 private:
  std::string_view strategy_;
};

/// Those that make OpenMP tasks, which the team runs.
class OpenMpTaskExecutor : public OpenMpExecutor {
 public:
  using OpenMpExecutor::OpenMpExecutor;
  void run(const OnChunk& on_chunk) final;

 private:
  /// Called by one thread of the team: makes the tasks, and returns when they are done.
  virtual void make_tasks(const OnChunk& on_chunk) = 0;
};

}  // namespace noisefloor
