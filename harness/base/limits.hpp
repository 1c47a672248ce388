// What this process may use of the machine: CPUs and memory that affinity mask and control groups leave it.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace noisefloor {

/// The numbers of the CPUs that the process was given when it was started: its affinity mask (taskset, the cpuset, a
/// batch system) before any library was initialised. OpenMP's runtimes may narrow it before main() to the first place
/// of OMP_PLACES (OMP_PROC_BIND, GOMP_CPU_AFFINITY, KMP_AFFINITY). In ascending order; at least one.
const std::vector<int>& given_cpus();

/// Lets the calling thread, and threads and processes that it starts from now on, use all of given_cpus() again. What
/// binds OpenMP's threads then binds the threads that its runtime makes, and those alone.
void use_given_cpus() noexcept;

/// How many given_cpus() there are.
int allowed_cpus();

/// CPUs that the cgroups of this process grant, by the tightest quota of its own group and all above it, of version
/// 1 and 2; empty without a quota. /proc and /sys are looked for under `root`.
std::optional<double> cgroup_quota(const std::string& root = "");

/// The memory limit of the same groups in bytes; empty without one.
std::optional<std::uint64_t> cgroup_memory_limit(const std::string& root = "");

/// How many workers make sense on so many allowed CPUs under this quota: it is rounded up, and at least 1.
int workers_within(int cpus_allowed, const std::optional<double>& quota);

/// CPUs that really are ours: affinity mask (which holds the cpuset) ∩ cgroup quota.
int available_workers();

}  // namespace noisefloor
