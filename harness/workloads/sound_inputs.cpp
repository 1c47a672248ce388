// Lists the sound files of etl and copy.
// SPDX-License-Identifier: MIT
#include "harness/workloads/sound_inputs.hpp"

#include <fmt/format.h>

#include <utility>

#include "harness/audio/signals.hpp"
#include "harness/audio/sound_names.hpp"
#include "harness/base/error.hpp"
#include "harness/workloads/user_inputs.hpp"

namespace noisefloor {
namespace {

std::vector<std::string> sound_files(const WorkloadOptions& options) {
  std::vector<std::string> files = user_inputs(split_words(options.work.inputs));
  std::erase_if(files, [](const std::string& path) { return !has_sound_name(path); });
  if (files.empty()) {
    throw UsageError(
        fmt::format("inputs {}: there is no sound file among them, going by their names", options.work.inputs));
  }
  return files;
}

}  // namespace

SoundInputs sound_inputs(const WorkloadOptions& options) {
  SoundInputs inputs;
  const bool own = !options.work.inputs.empty();
  if (own) {
    inputs.paths = sound_files(options);
    if (options.tasks > inputs.paths.size()) {
      throw UsageError(fmt::format("inputs {}: {} sound files are asked for, there are {}", options.work.inputs,
                                   options.tasks, inputs.paths.size()));
    }
    inputs.paths.resize(options.tasks);
  } else {
    inputs.paths = test_signals(options.tasks, options.task_size, options.format);
    inputs.samples = options.tasks * options.task_size;
  }
  inputs.outputs.reserve(inputs.paths.size());
  for (const std::string& path : inputs.paths) {
    std::string name = path.substr(path.find_last_of('/') + 1);
    if (own) name = fmt::format("{:06}-{}", inputs.outputs.size(), name);  // folders may hold files of the same name
    inputs.outputs.push_back({std::move(name), file_bytes(path)});
  }
  return inputs;
}

WorkFacts describe_sound_inputs(const WorkloadOptions& options) {
  const std::vector<std::string> files = sound_files(options);
  return {.tasks = static_cast<std::uint32_t>(files.size()),
          .sized = false,
          .id = fmt::format("{:016x}", digest_of_inputs(files))};
}

}  // namespace noisefloor
