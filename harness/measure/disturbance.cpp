// The arithmetic of disturbance.
// SPDX-License-Identifier: MIT
#include "harness/measure/disturbance.hpp"

#include <algorithm>
#include <cmath>

namespace noisefloor {
namespace {

double positive(double value) { return std::max(value, 0.0); }

/// Differences of counters may be a little below 0 where threads have ended.
double signed_ns(std::uint64_t difference) { return static_cast<double>(static_cast<std::int64_t>(difference)); }

std::uint64_t whole(double ns) { return static_cast<std::uint64_t>(std::llround(positive(ns))); }

/// Threads or processes ended without telling how long they had waited, and they matter.
bool is_incomplete(const Usage& usage) {
  constexpr double kMatters = 0.01;  // of the CPU time
  return static_cast<double>(usage.untold_cpu_ns) > kMatters * static_cast<double>(usage.cpu_ns());
}

}  // namespace

std::vector<Disturbance> disturbances(std::span<const DisturbanceReading> repetitions, const TimedPart& part,
                                      const std::string& unavailable) {
  std::vector<Disturbance> all(repetitions.size());
  const bool cpus_known = part.cpus.cpus > 0;
  const double cpus = part.cpus.cpus;
  std::vector<double> wanted(repetitions.size());
  double wall_ns = 0, wanted_ns = 0;
  for (std::size_t i = 0; i < all.size(); ++i) {
    const DisturbanceReading& read = repetitions[i];
    wall_ns += static_cast<double>(read.wall_ns);
    if (!unavailable.empty()) continue;
    all[i].run_delay_ns = whole(signed_ns(read.usage.run_delay_ns));
    double delay_ns = static_cast<double>(*all[i].run_delay_ns);
    if (is_incomplete(read.usage)) {
      all[i].note = "threads or processes ended that told no run delay: run_delay_ns is a lower bound";
      if (read.pressure_ns && cpus_known) {
        delay_ns = std::max(delay_ns, cpus * static_cast<double>(*read.pressure_ns));
        all[i].note += ", disturbed_ns an upper one, by pressure stall information";
      } else {
        all[i].note += ", and so is disturbed_ns";
      }
    }
    const double free_ns =
        positive(cpus * static_cast<double>(read.wall_ns) - static_cast<double>(read.usage.cpu_ns()));
    wanted[i] = std::min(delay_ns, free_ns);
    wanted_ns += wanted[i];
  }
  if (!cpus_known) {
    for (Disturbance& one : all) one.note = "what the CPUs did is not known: /proc/stat does not tell of each CPU";
    return all;
  }
  const double span_ns = static_cast<double>(part.cpus.available_ns) / cpus;
  const double own_ns = static_cast<double>(part.own_cpu_ns), stolen_ns = signed_ns(part.cpus.stolen_ns);
  const double others_ns =
      positive(static_cast<double>(part.cpus.available_ns) - signed_ns(part.cpus.idle_ns) - stolen_ns - own_ns);
  const double rounding_ns = std::sqrt(cpus) * static_cast<double>(tick_ns());
  const double lost_ns = std::min(wanted_ns, positive(others_ns - rounding_ns));
  // What lies between the repetitions has its share of what others used, and of what was stolen: never more than the
  // CPUs had in the repetitions themselves.
  const double timed = span_ns > 0 ? std::min(wall_ns / span_ns, 1.0) : 1.0;
  const double rest_ns = positive(others_ns * timed - lost_ns);
  const double stolen_of_ours_ns = own_ns > 0 ? stolen_ns * timed * own_ns / (own_ns + others_ns) : 0;
  for (std::size_t i = 0; i < all.size(); ++i) {
    const double share = wall_ns > 0 ? static_cast<double>(repetitions[i].wall_ns) / wall_ns : 0;
    const double lost_here_ns = wanted_ns > 0 ? lost_ns * wanted[i] / wanted_ns : 0;
    all[i].others_cpu_ns = whole(lost_here_ns + rest_ns * share);
    if (unavailable.empty()) {
      all[i].disturbed_ns = whole(lost_here_ns + stolen_of_ours_ns * share);
    } else {
      all[i].note = unavailable;
    }
  }
  return all;
}

}  // namespace noisefloor
