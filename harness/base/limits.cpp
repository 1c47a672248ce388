// Reads affinity mask and control groups.
// SPDX-License-Identifier: MIT
#include "harness/base/limits.hpp"

#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <initializer_list>
#include <sstream>
#include <string_view>

namespace noisefloor {
namespace {

// --- CPUs ---

std::array<cpu_set_t, 8> given{};  // of 1024 CPUs each
long given_bytes = 0;              // that the kernel wrote; none: it has no such call

/// Called by the dynamic linker when all libraries are loaded and none is initialised: what libgomp's initialiser does
/// to the affinity of the first thread comes later. Sanitizers are not ready yet either.
__attribute__((no_sanitize("address", "thread", "undefined"))) void keep_given_cpus(int /*argc*/, char** /*argv*/,
                                                                                    char** /*environment*/) {
  given_bytes = ::syscall(SYS_sched_getaffinity, 0, sizeof given, given.data());
}

using Initialiser = void (*)(int, char**, char**);
__attribute__((section(".preinit_array"), used)) const Initialiser kKeepGivenCpus = keep_given_cpus;

// --- Control groups ---

/// This process's folder in the hierarchy that has controller `controller` (empty: the unified one).
std::optional<std::string> cgroup_path(const std::string& root, std::string_view controller) {
  std::ifstream file(root + "/proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {
    const std::size_t first = line.find(':');
    const std::size_t second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    std::stringstream names(line.substr(first + 1, second - first - 1));
    if (controller.empty() && second == first + 1) return line.substr(second + 1);
    for (std::string name; std::getline(names, name, ',');) {
      if (name == controller) return line.substr(second + 1);
    }
  }
  return std::nullopt;
}

/// The least of what `read` gives for the folders from `path` up to `root`.
template <class Read>
auto tightest(const std::string& root, std::string path, Read read) {
  decltype(read(root)) least;
  while (true) {
    if (const auto limit = read(root + path); limit && (!least || *limit < *least)) least = limit;
    if (path.empty() || path == "/") return least;
    path.resize(path.find_last_of('/'));
  }
}

std::optional<double> quota_v2(const std::string& folder) {
  std::ifstream line(folder + "/cpu.max");
  std::string quota;
  double period = 0;
  if (!(line >> quota >> period) || quota == "max" || period <= 0) return std::nullopt;
  const double granted = std::strtod(quota.c_str(), nullptr);
  return granted > 0 ? std::optional(granted / period) : std::nullopt;
}

std::optional<double> quota_v1(const std::string& folder) {
  std::ifstream quota_line(folder + "/cpu.cfs_quota_us");
  std::ifstream period_line(folder + "/cpu.cfs_period_us");
  double quota = 0;
  double period = 0;
  if (!(quota_line >> quota) || !(period_line >> period) || quota <= 0 || period <= 0) return std::nullopt;
  return quota / period;
}

std::optional<std::uint64_t> memory_limit(const std::string& file) {
  std::ifstream line(file);
  std::uint64_t bytes = 0;
  constexpr std::uint64_t kNoLimit = std::uint64_t{1} << 60U;  // version 1 says "all" by a very large number
  if (!(line >> bytes) || bytes >= kNoLimit) return std::nullopt;
  return bytes;
}

/// The tightest limit over both versions: of the groups of `controller` and of the unified ones.
template <class ReadOne, class ReadTwo>
auto tightest_of_both(const std::string& root, std::string_view controller, std::initializer_list<const char*> folders,
                      ReadOne read_v1, ReadTwo read_v2) {
  decltype(read_v1(root)) least;
  const auto take = [&](const auto& limit) {
    if (limit && (!least || *limit < *least)) least = limit;
  };
  if (const auto path = cgroup_path(root, "")) {
    for (const char* folder : {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"}) {
      take(tightest(root + folder, *path, read_v2));
    }
  }
  if (const auto path = cgroup_path(root, controller)) {
    for (const char* folder : folders) take(tightest(root + folder, *path, read_v1));
  }
  return least;
}

}  // namespace

const std::vector<int>& given_cpus() {
  static const std::vector<int> cpus = [] {
    std::vector<int> numbers;
    const std::size_t bytes = given_bytes > 0 ? static_cast<std::size_t>(given_bytes) : 0;
    for (std::size_t cpu = 0; cpu < 8 * bytes; ++cpu) {
      if (CPU_ISSET_S(cpu, bytes, given.data())) numbers.push_back(static_cast<int>(cpu));
    }
    if (numbers.empty()) {
      const long online = sysconf(_SC_NPROCESSORS_ONLN);
      for (int cpu = 0; cpu < std::max(static_cast<int>(online), 1); ++cpu) numbers.push_back(cpu);
    }
    return numbers;
  }();
  return cpus;
}

void use_given_cpus() noexcept {
  if (given_bytes > 0) ::syscall(SYS_sched_setaffinity, 0, static_cast<std::size_t>(given_bytes), given.data());
}

int allowed_cpus() { return static_cast<int>(given_cpus().size()); }

std::optional<double> cgroup_quota(const std::string& root) {
  return tightest_of_both(root, "cpu", {"/sys/fs/cgroup/cpu", "/sys/fs/cgroup/cpu,cpuacct"}, quota_v1, quota_v2);
}

std::optional<std::uint64_t> cgroup_memory_limit(const std::string& root) {
  return tightest_of_both(
      root, "memory", {"/sys/fs/cgroup/memory"},
      [](const std::string& folder) { return memory_limit(folder + "/memory.limit_in_bytes"); },
      [](const std::string& folder) { return memory_limit(folder + "/memory.max"); });
}

int workers_within(int cpus_allowed, const std::optional<double>& quota) {
  int workers = cpus_allowed;
  if (quota && *quota < workers) workers = static_cast<int>(std::ceil(*quota));
  return std::max(workers, 1);
}

int available_workers() { return workers_within(allowed_cpus(), cgroup_quota()); }

}  // namespace noisefloor
