// perf_event_open().
// SPDX-License-Identifier: MIT
#include "harness/measure/counters.hpp"

#include <fmt/format.h>
#include <linux/perf_event.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>

namespace noisefloor {
namespace {

int open_event(const CounterEvent& event, bool with_kernel) {
  perf_event_attr attributes = {};
  attributes.size = sizeof attributes;
  attributes.type = event.type;
  attributes.config = event.config;
  attributes.inherit = 1;
  attributes.exclude_hv = 1;
  attributes.exclude_kernel = with_kernel ? 0 : 1;
  attributes.read_format = PERF_FORMAT_TOTAL_TIME_ENABLED | PERF_FORMAT_TOTAL_TIME_RUNNING;
  return static_cast<int>(::syscall(SYS_perf_event_open, &attributes, 0, -1, -1, PERF_FLAG_FD_CLOEXEC));
}

std::string explain(int error) {
  switch (error) {
    case ENOENT:
    case ENODEV:
    case EOPNOTSUPP:
      return "this CPU, or the virtual machine, has no such counter";
    case EACCES:
    case EPERM: {
      std::ifstream file("/proc/sys/kernel/perf_event_paranoid");
      std::string level;
      std::getline(file, level);
      return fmt::format("not permitted: /proc/sys/kernel/perf_event_paranoid is {}, 2 or less would do",
                         level.empty() ? "not readable" : level);
    }
    case ENOSYS:
      return "this kernel has no perf_event_open";
    default:
      return fmt::format("perf_event_open: {}", std::strerror(error));
  }
}

}  // namespace

const CounterEvent kInstructions{PERF_TYPE_HARDWARE, PERF_COUNT_HW_INSTRUCTIONS};
const CounterEvent kCycles{PERF_TYPE_HARDWARE, PERF_COUNT_HW_CPU_CYCLES};

Counter::Counter(const CounterEvent& event) : fd_(open_event(event, true)), counts_kernel_(static_cast<bool>(fd_)) {
  if (!fd_ && (errno == EACCES || errno == EPERM)) fd_.reset(open_event(event, false));
  if (!fd_) unavailable_ = explain(errno);
}

std::optional<std::uint64_t> Counter::read() const {
  if (!fd_) return std::nullopt;
  struct {
    std::uint64_t value, enabled_ns, running_ns;
  } seen{};
  if (::read(fd_.get(), &seen, sizeof seen) != static_cast<ssize_t>(sizeof seen) || seen.running_ns == 0) {
    return std::nullopt;
  }
  if (seen.running_ns == seen.enabled_ns) return seen.value;
  return static_cast<std::uint64_t>(static_cast<double>(seen.value) * static_cast<double>(seen.enabled_ns) /
                                    static_cast<double>(seen.running_ns));
}

const std::string& counters_unavailable() {
  static const std::string reason = [] {
    for (const CounterEvent& event : {kInstructions, kCycles}) {
      const Counter counter(event);
      if (!counter.unavailable().empty()) return counter.unavailable();
    }
    return std::string();
  }();
  return reason;
}

}  // namespace noisefloor
