// Where the examples lie that init copies from and explain prints.
// SPDX-License-Identifier: MIT
#pragma once

#include <string>

namespace noisefloor {

/// The path of `name` in the source tree that holds this program, or in what was installed beside it: "examples/…",
/// "include/…". Throws MissingError where it is in neither.
[[nodiscard]] std::string example_path(const std::string& name);

/// Throws Error if the file cannot be read.
[[nodiscard]] std::string example_text(const std::string& name);

}  // namespace noisefloor
