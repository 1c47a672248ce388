// Two command lines: how long each takes from start to end.
// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <chrono>
#include <string>
#include <vector>

#include "harness/base/child.hpp"
#include "harness/base/unique_fd.hpp"
#include "harness/compare/subject.hpp"

namespace noisefloor::compare {

struct CommandOptions {
  std::array<std::string, 2> commands = {};  ///< old, new
  std::string prepare = {};                  ///< runs before each launch, outside the clock; empty: nothing
  bool same_output = false;                  ///< standard output must be the same in both
  bool shell = false;                        ///< /bin/sh reads the commands; else they are split at blanks
  std::chrono::nanoseconds timeout = std::chrono::seconds(60);  ///< of a launch
};

/// The words of a command line: blanks separate, quotes and backslashes keep together as in a POSIX shell. Throws
/// UsageError for an open quote, and for what only a shell understands.
std::vector<std::string> words_of_command(const std::string& command);

/// The path of a program: what has a slash as it is, else what PATH has. Throws UsageError where there is none.
std::string find_program(const std::string& name);

/// One case. Measures are the wall time and the CPU time of the process and the descendants that it waited for.
class CommandLines : public Subject {
 public:
  /// Throws UsageError where a command cannot be started. `children` outlives it.
  CommandLines(CommandOptions options, ChildRunner& children);

  [[nodiscard]] const std::vector<Case>& cases() const override { return cases_; }
  [[nodiscard]] const std::vector<std::string>& measures() const override;
  Reading launch(std::size_t number, Arm arm, std::size_t padding_bytes) override;
  [[nodiscard]] std::vector<std::string> notes() const override { return notes_; }

 private:
  [[nodiscard]] std::vector<std::string> words(const std::string& command) const;

  CommandOptions options_;
  ChildRunner& children_;
  std::array<std::vector<std::string>, 2> words_;  ///< program first
  std::vector<std::string> prepare_;
  UniqueFd output_;
  std::vector<Case> cases_;
  std::vector<std::string> notes_;
};

}  // namespace noisefloor::compare
