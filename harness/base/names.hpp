// Looking a name up in a table, with a message that helps when it is not there.
// SPDX-License-Identifier: MIT
#pragma once

#include <iterator>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace noisefloor {

/// Edit distance (insert, delete, replace, swap of neighbours), ignoring case and '-' against '_'.
[[nodiscard]] std::size_t edit_distance(std::string_view a, std::string_view b);

/// The choice that was probably meant: the one with the fewest edits if they are at most a third of the name's letters
/// (one for short names); else the first choice that contains the name or is contained in it; else empty.
[[nodiscard]] std::string_view nearest_name(std::string_view name, std::span<const std::string_view> choices);

/// "unknown strategy 'opnmp': did you mean 'openmp'? Choices: sequential, std_thread, openmp".
/// The suggestion is left out where nothing is near.
[[nodiscard]] std::string unknown_name(std::string_view kind, std::string_view name,
                                       std::span<const std::string_view> choices);

/// The row of `table` whose `.name` is `name`. Throws UsageError(unknown_name(…)).
template <class Table>
const auto& find_by_name(const Table& table, std::string_view name, std::string_view kind);

[[noreturn]] void throw_unknown(std::string_view kind, std::string_view name,
                                std::span<const std::string_view> choices);

template <class Table>
const auto& find_by_name(const Table& table, std::string_view name, std::string_view kind) {
  for (const auto& row : table) {
    if (row.name == name) return row;
  }
  std::vector<std::string_view> choices;
  choices.reserve(std::size(table));
  for (const auto& row : table) choices.push_back(row.name);
  throw_unknown(kind, name, choices);
}

}  // namespace noisefloor
