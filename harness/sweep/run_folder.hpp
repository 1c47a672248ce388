// A run's folder: where it is made, how it is called, and which one is the latest.
// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <string>
#include <string_view>

namespace noisefloor {

/// "20260131T235959Z-<first 8 of git_sha>-<first 8 of machine_id>".
std::string run_name(std::chrono::system_clock::time_point now, std::string_view git_sha, std::string_view machine_id);

/// results/runs of the source tree that `folder` lies in or that holds this program; else `folder`.
std::string default_parent(const std::string& folder);

/// Makes `parent`/`name`, and parents as needed; with "-2", "-3", … behind a name that is taken. Returns
/// its absolute path. Throws Error.
std::string make_run_folder(const std::string& parent, const std::string& name);

/// Copies `program`, and the programs of the same folder that it starts ("<its name>-…"), into `folder`, which
/// is made. Returns the copy's path, which ends in "/noisefloor" whatever the program is called, so that arms
/// are started from paths that differ in nothing but `folder`. Throws Error.
std::string copy_program(const std::string& program, const std::string& folder);

/// Where `run_folder` lies in …/results/runs, makes …/results/latest point to it, in one step for whoever
/// reads it meanwhile. Throws Error.
void point_latest_to(const std::string& run_folder);

/// Writes a file in one step: whoever reads it sees the old text or the new one. Throws Error.
void replace_file(const std::string& path, std::string_view text);

}  // namespace noisefloor
