// Which machine this is and since when it runs: between processes of one machine and boot, locks and process ids mean
// something.
// SPDX-License-Identifier: MIT
#pragma once

#include <string>

namespace noisefloor {

struct Host {
  std::string name;  ///< at most 32 characters of letters, digits, '_' and '-'
  std::string boot;  ///< 12 hexadecimal digits, other ones after every start of the system

  friend bool operator==(const Host&, const Host&) = default;
};

/// This one. Thread-safe.
[[nodiscard]] const Host& this_host();

/// Whether the open file lies on a file system that one kernel alone writes to, so that everybody sees a lock on it. A
/// kind of file system that is not known counts as shared.
[[nodiscard]] bool is_local_file_system(int fd);

}  // namespace noisefloor
