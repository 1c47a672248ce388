// Takes out of a finished sound file what would differ from call to call.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

namespace noisefloor {

/// Rewrites, in the file of `bytes` bytes behind `fd` (open for reading and writing), what libsndfile took from the
/// clock: the serial numbers of an Ogg stream (they become 1, 2, …, in the order of appearance, with the pages'
/// checksums) and the text of a MATLAB 5 file. `format` is libsndfile's number; other files are not touched. Returns 0,
/// or the errno value of what failed.
[[nodiscard]] int steady_bytes(int fd, int format, std::uint64_t bytes) noexcept;

}  // namespace noisefloor
