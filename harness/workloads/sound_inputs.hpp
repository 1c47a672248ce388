// The sound files that etl and copy run over: test signals, or the user's own.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "harness/workloads/file_tasks.hpp"
#include "harness/workloads/table.hpp"

namespace noisefloor {

struct SoundInputs {
  std::vector<std::string> paths;
  std::vector<OutputFolders::Output> outputs;  ///< one for each, under a name of its own
  std::optional<std::uint64_t> samples;        ///< of all; empty: not known
};

/// The first options.tasks files of options.work.inputs, or as many test signals of options.task_size samples where
/// there are none. Throws UsageError where there are fewer files, and Error where signals cannot be made.
[[nodiscard]] SoundInputs sound_inputs(const WorkloadOptions& options);

/// Of the user's files: those with a sound file's name.
[[nodiscard]] WorkFacts describe_sound_inputs(const WorkloadOptions& options);

}  // namespace noisefloor
