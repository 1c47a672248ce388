// Where workers run: CPUs next to each other or far apart, among those that this process may use.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "harness/strategies/strategy.hpp"

struct hwloc_topology;  // hwloc's own type, which only those who look at CPUs need

namespace noisefloor {

/// CPUs (numbers of the system) for `workers` >= 1 workers in `topology`; worker i gets element i. `close` fills one
/// package after the other: the first hardware thread of each core, then the second ones. `spread` divides the workers
/// among packages, then among what shares a cache, then among cores. Workers beyond the CPUs begin again at the first.
/// Throws Error for a topology without a CPU. `bind` is not none.
[[nodiscard]] std::vector<unsigned> worker_cpus(hwloc_topology* topology, int workers, Bind bind);

/// Ties workers to CPUs. The CPUs are those that this process may use when the first binding of the process is made: of
/// its cpuset and its own affinity. Thread-safe, also in processes forked afterwards.
class Binding {
 public:
  /// With Bind::none nothing is asked for and tie() does nothing. Throws Error if the system does not tell its CPUs.
  Binding(int workers, Bind bind);

  /// Ties the calling thread to the CPU of worker `worker`. Throws Error if the system refuses.
  void tie(std::size_t worker) const;
  /// Lets the calling thread run on all CPUs of the process again.
  void untie() const noexcept;
  [[nodiscard]] bool is_none() const noexcept { return cpus_.empty(); }

 private:
  std::vector<unsigned> cpus_;
};

/// Ties the calling thread, as long as this lives. With Bind::none it does nothing.
class Tied {
 public:
  Tied(const Binding& binding, std::size_t worker) : binding_(binding) { binding.tie(worker); }
  Tied(const Tied&) = delete;
  Tied& operator=(const Tied&) = delete;
  ~Tied() { binding_.untie(); }

 private:
  const Binding& binding_;
};

/// For a worker process after its fork: ties it to the CPU that it gets as worker `index` of `workers`. Make a Binding
/// before the fork, so that the CPUs are looked at once and in the parent. Throws Error.
void bind_worker(int index, int workers, Bind bind);

}  // namespace noisefloor
