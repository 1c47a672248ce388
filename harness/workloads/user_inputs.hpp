// The files that a user's work runs over.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace noisefloor {

/// The regular files that `entries` name, as absolute paths, sorted, each once. An entry is a folder (all files below
/// it, but those whose name begins with '.'), a file, "@FILE" (a list: one entry on each line of it), or a glob as in a
/// shell. Throws UsageError for an entry that names nothing, and for a list that cannot be read.
[[nodiscard]] std::vector<std::string> user_inputs(std::span<const std::string> entries);

/// 64-bit digest of the names and the bytes of files. Throws Error for one that cannot be read.
[[nodiscard]] std::uint64_t digest_of_inputs(std::span<const std::string> paths);

/// Words as a shell would take them apart, without expanding anything: blanks part them, quotes and backslashes keep
/// blanks. Throws UsageError for a quote without its end, and for what only a shell does (| & ; < > ( ) $ `), unquoted.
[[nodiscard]] std::vector<std::string> split_words(std::string_view text);
/// The inverse of split_words().
[[nodiscard]] std::string join_words(std::span<const std::string> words);

}  // namespace noisefloor
