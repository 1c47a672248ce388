// Facts about this machine and this build: what machine.json records and doctor explains.
// SPDX-License-Identifier: MIT
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "harness/base/limits.hpp"  // facts of the machine, too

namespace noisefloor {

/// "NAME=value" of the variable by which OpenMP's runtime pins threads here; empty if none does. It pins
/// the first thread before main(), and with it the threads of every strategy: available_workers() then
/// counts the CPUs of one place, mostly one.
std::string openmp_pinning();

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

/// What makes timings doubtful here, and what to do about it: one sentence each.
std::vector<std::string> doubts(const nlohmann::json& facts);

}  // namespace noisefloor
