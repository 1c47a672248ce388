// Looks into a file here and there, with few reads.
// SPDX-License-Identifier: MIT
#pragma once

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace noisefloor {

/// How far the next page or frame is looked for behind what is none: files with holes may be without end.
inline constexpr std::uint64_t kMostJunk = std::uint64_t{1} << 24;

/// A piece of a file in memory, replaced where it does not hold what is asked for. For one thread.
class FileWindow {
 public:
  explicit FileWindow(int fd) : fd_(fd) {}

  /// `count` bytes at `at`, at most size(); fewer at the end of the file. Valid until the next call.
  std::string_view at(std::uint64_t at, std::size_t count) {
    if (at < begin_ || at + count > begin_ + held_) fill(at);
    const auto from = static_cast<std::size_t>(at - begin_);
    return std::string_view(buffer_.data(), held_).substr(std::min(from, held_), count);
  }
  [[nodiscard]] std::size_t size() const noexcept { return buffer_.size(); }

 private:
  void fill(std::uint64_t at) {
    begin_ = at;
    held_ = 0;
    while (held_ < buffer_.size()) {
      const ssize_t got =
          ::pread(fd_, buffer_.data() + held_, buffer_.size() - held_, static_cast<off_t>(begin_ + held_));
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) return;
      held_ += static_cast<std::size_t>(got);
    }
  }

  int fd_;
  std::vector<char> buffer_ = std::vector<char>(std::size_t{1} << 15);
  std::uint64_t begin_ = 0;
  std::size_t held_ = 0;
};

}  // namespace noisefloor
