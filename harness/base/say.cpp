// One call of the C library for each line: messages of several threads do not mix.
// SPDX-License-Identifier: MIT
#include "harness/base/say.hpp"

#include <fmt/format.h>

#include <cstdio>
#include <string_view>

namespace noisefloor {

void say(std::string_view line) noexcept { std::fprintf(stderr, "%.*s\n", static_cast<int>(line.size()), line.data()); }

std::string format_size(std::uint64_t bytes) {
  constexpr double kThousand = 1000;
  if (bytes < 1000) return fmt::format("{} bytes", bytes);
  auto value = static_cast<double>(bytes) / kThousand;
  for (const std::string_view unit : {"kB", "MB", "GB"}) {
    if (value < kThousand - 0.05) return fmt::format("{:.1f} {}", value, unit);
    value /= kThousand;
  }
  return fmt::format("{:.1f} TB", value);
}

std::string printable(std::string_view text) {
  std::string result;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\n') {
      result += "\\n";
    } else if (byte < 0x20 || byte == 0x7F) {
      result += fmt::format("\\x{:02x}", byte);
    } else {
      result += c;
    }
  }
  return result;
}

}  // namespace noisefloor
