// The columns of observations.csv: one table for the writer, the dictionary and `list columns`.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace noisefloor {

inline constexpr int kCsvSchema = 2;

struct Column {
  std::string_view name;
  std::string_view help;         ///< meaning, with its unit
  std::string_view unavailable;  ///< why it is always empty here; empty if it is measured
  std::string_view unit;         ///< "ns", "bytes", …; empty for texts and plain numbers
};

/// In file order: identity, factors (one per axis, in the order of axes()), measures, outcome.
std::span<const Column> columns() noexcept;

/// One CSV row as texts, one per column. Empty: not applicable or not available.
class Row {
 public:
  Row();
  /// Throws Error for a name that is no column (a programming error).
  [[nodiscard]] const std::string& operator[](std::string_view column) const;
  std::string& operator[](std::string_view column);
  [[nodiscard]] const std::vector<std::string>& fields() const noexcept { return fields_; }

 private:
  std::vector<std::string> fields_;
};

/// Header line, RFC 4180, without the line end.
std::string csv_header();
/// One line, quoted where needed, without the line end. Line breaks inside a field become spaces: a row
/// is always one line.
std::string csv_line(const Row& row);
/// Splits one CSV line. Throws Error for an unterminated quote.
std::vector<std::string> csv_split(std::string_view line);
/// The row of `line` under `header` (column names of another build allowed: unknown ones are dropped).
/// Throws Error if the number of fields differs.
Row csv_row(const std::vector<std::string>& header, std::string_view line);

}  // namespace noisefloor
