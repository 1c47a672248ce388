// Messages for people, on standard error.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace noisefloor {

/// Writes a line to standard error. A line that cannot be written is lost, and changes nothing else: no exception, no
/// exit status.
void say(std::string_view line) noexcept;

/// "1.5 GB", "20.0 MB", "300 bytes": powers of 1000.
[[nodiscard]] std::string format_size(std::uint64_t bytes);

/// `text` with control characters escaped, for a terminal.
[[nodiscard]] std::string printable(std::string_view text);

}  // namespace noisefloor
