// Facts about this machine and this build: what machine.json records and doctor explains.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "harness/base/limits.hpp"  // facts of the machine, too
#include "harness/measure/probes.hpp"

namespace noisefloor {

/// Everything that machine.json holds, with `machine_id` and `build_id` in it. `corpus_folder` is where
/// the test signals and outputs lie: its file system is part of the facts. Empty: there is no such place.
nlohmann::json machine_facts(const std::string& corpus_folder);

/// 8 hexadecimal digits: a hash of the facts that make times comparable (CPU model and flags, CPUs that
/// are ours, memory, file system type, kernel release), not of those that drift (load, clock).
std::string machine_id(const nlohmann::json& facts);

/// ": cpu.model was 'A', is 'B'; …": what differs between the facts of two runs, of those that make machine_id() and
/// of the environment; empty where nothing does or `before` holds none of them.
std::string describe_differences(const nlohmann::json& before, const nlohmann::json& now);

/// 16 hexadecimal digits: the linker's hash of this program, or a hash of its file where the linker noted none.
std::string build_id();

/// What look() saw, as facts["use"] for doubts(): seconds, cpus, and others_cpus, stolen_cpus, pressure and load, null
/// where unknown.
nlohmann::json facts_of(const MachineUse& seen);

/// Others take more than this share of the CPUs' time: the machine is not idle, and a run whose launches had them
/// beside them is called busy.
inline constexpr double kBusyShare = 0.05;

/// What makes timings doubtful, and what to do about it, in a sentence.
struct Doubt {
  enum class Of : std::uint8_t {
    machine,  ///< true of every run on this machine as it is set up
    run,      ///< of what happens now: other work, the environment, this build
  };
  std::string text;
  Of of;
};

/// What makes timings doubtful here. `facts` may hold facts_of() as "use": it then tells of other work, else the load
/// average does.
std::vector<Doubt> doubts(const nlohmann::json& facts);

}  // namespace noisefloor
