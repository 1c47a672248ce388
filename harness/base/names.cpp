// Nearest names, for messages that help.
// SPDX-License-Identifier: MIT
#include "harness/base/names.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstddef>

#include "harness/base/error.hpp"

namespace noisefloor {
namespace {

// Names are ASCII: no locale.
char folded(char c) {
  if (c >= 'A' && c <= 'Z') return static_cast<char>(c - 'A' + 'a');
  return c == '-' ? '_' : c;
}

std::string folded(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(), [](char c) { return folded(c); });
  return result;
}

}  // namespace

// Optimal string alignment: Damerau's four edits, no part edited twice.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before_previous(b.size() + 1), previous(b.size() + 1), current(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) current[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::swap(before_previous, previous);
    std::swap(previous, current);
    current[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const bool same = folded(a[i - 1]) == folded(b[j - 1]);
      current[j] = std::min({previous[j] + 1, current[j - 1] + 1, previous[j - 1] + (same ? 0 : 1)});
      if (i > 1 && j > 1 && folded(a[i - 1]) == folded(b[j - 2]) && folded(a[i - 2]) == folded(b[j - 1])) {
        current[j] = std::min(current[j], before_previous[j - 2] + 1);
      }
    }
  }
  return current[b.size()];
}

std::string_view nearest_name(std::string_view name, std::span<const std::string_view> choices) {
  if (name.empty()) return {};
  std::string_view best;
  std::size_t best_distance = std::max<std::size_t>(1, name.size() / 3) + 1;
  for (const std::string_view choice : choices) {
    const std::size_t distance = edit_distance(name, choice);
    if (distance < best_distance && distance < choice.size()) {
      best = choice;
      best_distance = distance;
    }
  }
  if (!best.empty() || name.size() < 3) return best;
  const std::string part = folded(name);
  for (const std::string_view choice : choices) {
    const std::string whole = folded(choice);
    if (whole.find(part) != std::string::npos) return choice;
    if (whole.size() >= 3 && part.find(whole) != std::string::npos) return choice;
  }
  return {};
}

std::string unknown_name(std::string_view kind, std::string_view name, std::span<const std::string_view> choices) {
  std::string message = fmt::format("unknown {} '{}'", kind, name);
  if (choices.empty()) return message + ": there is none to choose from";
  const std::string_view suggestion = nearest_name(name, choices);
  if (suggestion.empty()) return message + fmt::format(". Choices: {}", fmt::join(choices, ", "));
  return message + fmt::format(": did you mean '{}'? Choices: {}", suggestion, fmt::join(choices, ", "));
}

void throw_unknown(std::string_view kind, std::string_view name, std::span<const std::string_view> choices) {
  throw UsageError(unknown_name(kind, name, choices));
}

}  // namespace noisefloor
