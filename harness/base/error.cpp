// The text of errno values.
// SPDX-License-Identifier: MIT
#include "harness/base/error.hpp"

#include <system_error>

namespace noisefloor {

Error system_error(const std::string& message, int error) {
  return Error(message + ": " + std::generic_category().message(error));
}

}  // namespace noisefloor
