// The subcommand `process`: adds noise to sound files, in parallel, with the code that is measured.
// SPDX-License-Identifier: MIT
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <string_view>

namespace noisefloor {

/// Adds the subcommand `process` to `app`. When it was chosen, its callback runs it and sets `status`
/// to the exit status. The callback throws UsageError before anything is written, and Error or
/// MissingError where the call as a whole cannot go on; `status` outlives the parsing.
void add_process(CLI::App& app, int& status);

/// `text` with control characters escaped, for a terminal.
[[nodiscard]] std::string printable(std::string_view text);

}  // namespace noisefloor
