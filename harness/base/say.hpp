// Messages for people, on standard error.
// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <string_view>

namespace noisefloor {

/// Writes a line to standard error. A line that cannot be written is lost, and changes nothing else: no exception, no
/// exit status.
void say(std::string_view line) noexcept;

/// `text` with control characters escaped, for a terminal.
[[nodiscard]] std::string printable(std::string_view text);

}  // namespace noisefloor
