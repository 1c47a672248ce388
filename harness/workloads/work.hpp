// What a user brings: what it is called, what it is, and what is known of it before it runs.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>

namespace noisefloor {

/// Empty texts are not given.
struct UserWork {
  std::string name;     ///< in rows and figures
  std::string library;  ///< a shared library that exports noisefloor_work() (include/noisefloor/work.h): absolute path
  std::string command;  ///< words (split_words()) with a place for inputs: "{}" or "{...}"
  std::string inputs;   ///< words: folders, files, globs, @lists (user_inputs())
  std::string unchecked;  ///< "yes": its output differs from run to run, and is not compared
  std::string id;         ///< 16 hexadecimal digits: of what is run and what it runs on; never set by a user

  [[nodiscard]] bool given() const noexcept { return !(library.empty() && command.empty() && inputs.empty()); }
  friend bool operator==(const UserWork&, const UserWork&) = default;
};

/// What a workload of the user's says of itself.
struct WorkFacts {
  std::uint32_t tasks = 0;  ///< that there are; a cell may take the first of them
  bool sized = false;       ///< task_size means something
  std::string id = {};      ///< UserWork::id
};

}  // namespace noisefloor
