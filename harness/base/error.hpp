// Errors that end a call: what went wrong, with which value, what to do; and the exit status it means.
// SPDX-License-Identifier: MIT
#pragma once

#include <stdexcept>
#include <string>

namespace noisefloor {

/// Exit status of every program and script of the project.
enum class ExitStatus : int {
  done = 0,
  failed = 1,        ///< a confirmed regression, a wrong output or a failed input
  usage = 2,         ///< usage, nothing measured, or runs that may not be compared
  missing = 3,       ///< something needed is missing: a package, a strategy asked for by name, …
  inconclusive = 4,  ///< with --strict
  interrupted = 130,
};

/// Libraries throw it; only main() prints it and exits.
class Error : public std::runtime_error {
 public:
  explicit Error(const std::string& message, ExitStatus status = ExitStatus::failed)
      : std::runtime_error(message), status_(status) {}
  [[nodiscard]] ExitStatus status() const noexcept { return status_; }

 private:
  ExitStatus status_;
};

/// The caller asked for something that cannot be meant: exit status 2.
class UsageError : public Error {
 public:
  explicit UsageError(const std::string& message) : Error(message, ExitStatus::usage) {}
};

/// What was asked for by name cannot be had here: exit status 3.
class MissingError : public Error {
 public:
  explicit MissingError(const std::string& message) : Error(message, ExitStatus::missing) {}
};

/// An error with the text of errno value `error` appended: "<message>: No space left on device".
[[nodiscard]] Error system_error(const std::string& message, int error);

}  // namespace noisefloor
