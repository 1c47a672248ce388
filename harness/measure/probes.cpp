// Probes: /proc/stat, /proc/pressure and /proc/loadavg.
// SPDX-License-Identifier: MIT
#include "harness/measure/probes.hpp"

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <string>

#include "harness/base/limits.hpp"

namespace noisefloor {

std::optional<std::uint64_t> steal_ticks() { return number_after(read_proc("/proc/stat"), "cpu ", 7); }

std::optional<std::uint64_t> cpu_pressure_ns() {
  const std::string text = read_proc("/proc/pressure/cpu");
  const auto total_us = number_after(text.substr(0, text.find('\n')), "total=", 0);  // of the line "some …"
  if (!total_us) return std::nullopt;
  return *total_us * 1000;
}

MachineUse look(std::chrono::milliseconds time) {
  const CpuTimes cpus_before = cpu_times(given_cpus());
  const Usage used_before = process_usage();
  const auto pressure_before = cpu_pressure_ns();
  const auto start = std::chrono::steady_clock::now();
  const timespec rest{static_cast<time_t>(time.count() / 1000), static_cast<long>(time.count() % 1000) * 1'000'000};
  ::nanosleep(&rest, nullptr);
  const std::chrono::duration<double, std::nano> lasted = std::chrono::steady_clock::now() - start;
  const auto pressure_after = cpu_pressure_ns();
  const Usage used = process_usage() - used_before;
  const CpuTimes cpus = cpu_times(given_cpus()) - cpus_before;

  MachineUse seen{.seconds = lasted.count() / 1e9, .cpus = allowed_cpus()};
  if (cpus.cpus > 0 && cpus.available_ns > 0) {
    const double span_ns = static_cast<double>(cpus.available_ns) / cpus.cpus;
    const auto signed_ns = [](std::uint64_t ns) { return static_cast<double>(static_cast<std::int64_t>(ns)); };
    const double busy_ns = static_cast<double>(cpus.available_ns) - signed_ns(cpus.idle_ns) - signed_ns(cpus.stolen_ns);
    seen.others_cpus = std::max(busy_ns - static_cast<double>(used.cpu_ns()), 0.0) / span_ns;
    seen.stolen_cpus = std::max(signed_ns(cpus.stolen_ns), 0.0) / span_ns;
  }
  if (pressure_before && pressure_after && *pressure_after >= *pressure_before) {
    seen.pressure = std::min(static_cast<double>(*pressure_after - *pressure_before) / lasted.count(), 1.0);
  }
  const std::string load = read_proc("/proc/loadavg");
  if (!load.empty()) seen.load = std::strtod(load.c_str(), nullptr);
  return seen;
}

}  // namespace noisefloor
