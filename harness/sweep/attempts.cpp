// Chooses attempts by their disturbance, and sums it up.
// SPDX-License-Identifier: MIT
#include "harness/sweep/attempts.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace noisefloor {
namespace {

/// Whether `one` is less disturbed than `other`.
bool is_quieter(const Attempt& one, const Attempt& other) noexcept {
  if (one.overran != other.overran) return other.overran;
  return one.disturbed.value_or(0) < other.disturbed.value_or(0);
}

/// "other work takes 0.9 of these 2 CPUs", and what the hypervisor takes.
std::string taken(double others, double stolen, int cpus, const char* verb) {
  std::string text = fmt::format("other work {} {:.1f} of these {} CPU{}", verb, others, cpus, cpus == 1 ? "" : "s");
  if (stolen >= 0.05) text += fmt::format(", the hypervisor {:.1f}", stolen);
  return text;
}

}  // namespace

bool is_disturbed(const Attempt& attempt) noexcept {
  return attempt.overran || attempt.disturbed.value_or(0) > kLaunchLimit;
}

std::size_t which_counts(std::span<const Attempt> attempts) noexcept {
  std::size_t best = 0;
  for (std::size_t i = 1; i < attempts.size(); ++i) {
    if (!is_disturbed(attempts[i]) || is_quieter(attempts[i], attempts[best])) best = i;
  }
  return best;
}

double taken_share(const MachineUse& seen) noexcept {
  return seen.cpus > 0 ? (seen.others_cpus.value_or(0) + seen.stolen_cpus.value_or(0)) / seen.cpus : 0;
}

std::string describe(const MachineUse& seen) {
  if (taken_share(seen) <= kBusyShare) return {};
  return taken(seen.others_cpus.value_or(0), seen.stolen_cpus.value_or(0), seen.cpus, "takes");
}

void RunDisturbance::add(const KeptLaunch& launch) {
  if (launch.status == "skipped") return;
  ++launches_;
  if (launch.attempt > 0) ++again_;
  if (is_disturbed({.disturbed = launch.disturbed(), .overran = launch.status == "timeout"})) ++disturbed_;
  if (launch.status == "timeout") return;
  wall_ns_ += static_cast<double>(launch.wall_ns);
  stolen_ns_ += static_cast<double>(launch.stolen_ns);
  if (!launch.others_ns) return;
  told_wall_ns_ += static_cast<double>(launch.wall_ns);
  others_ns_ += static_cast<double>(*launch.others_ns);
}

void RunDisturbance::choose(std::span<const Attempt> attempts) {
  const std::size_t counts = which_counts(attempts);
  for (std::size_t i = 0; i < attempts.size(); ++i) {
    for (const std::uint64_t launch : attempts[i].launches) {
      if (i == counts) {
        not_counted_.erase(launch);
      } else {
        not_counted_.insert(launch);
      }
    }
  }
}

std::optional<double> RunDisturbance::others_cpus() const noexcept {
  return told_wall_ns_ > 0 ? std::optional(others_ns_ / told_wall_ns_) : std::nullopt;
}

double RunDisturbance::stolen_cpus() const noexcept { return wall_ns_ > 0 ? stolen_ns_ / wall_ns_ : 0; }

double RunDisturbance::share() const noexcept {
  return cpus_ > 0 ? (others_cpus().value_or(0) + stolen_cpus()) / cpus_ : 0;
}

std::string RunDisturbance::sentence() const {
  if (!busy()) return {};
  return taken(others_cpus().value_or(0), stolen_cpus(), cpus_, "took") +
         " during the run: what follows describes the busy machine";
}

nlohmann::json RunDisturbance::facts() const {
  const auto others = others_cpus();
  return {{"schema", 1},
          {"launch_limit", kLaunchLimit},
          {"run_limit", kBusyShare},
          {"cpus", cpus_},
          {"others_cpus", others ? nlohmann::json(*others) : nlohmann::json()},
          {"stolen_cpus", stolen_cpus()},
          {"busy", busy()},
          {"sentence", sentence()},
          {"launches", launches_},
          {"disturbed", disturbed_},
          {"again", again_},
          {"not_counted", not_counted_}};
}

}  // namespace noisefloor
