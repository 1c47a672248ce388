// A user's command, run over files.
// SPDX-License-Identifier: MIT
#pragma once

#include <memory>
#include <string>

#include "harness/workloads/table.hpp"

namespace noisefloor {

/// Task t is input t of options.work.inputs (user_inputs()), for which options.work.command (split_words()) is started
/// with posix_spawn and waited for. Of its words, "{}" in a word becomes the input; the word "{...}" becomes as many
/// inputs as the worker takes at a time, all in one process; "{out}" becomes an empty folder of that iteration.
/// Standard input is /dev/null. The output of a task is what the process wrote to standard output, and the files in
/// {out}. It fails, with the end of standard error, if the exit status is not 0, a signal ends it, or it runs longer
/// than kCommandPatience for each of its inputs. Throws UsageError for a command without a place for its inputs, a
/// program or inputs that are not there.
std::unique_ptr<Workload> make_command(const WorkloadOptions& options);

WorkFacts describe_command(const WorkloadOptions& options);

/// The words of `sh -c TEXT`, where {} and {...} in TEXT stand for "$1" and "$@".
[[nodiscard]] std::string shell_command(std::string_view text);

}  // namespace noisefloor
