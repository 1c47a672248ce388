// A file that appears under its name complete or not at all.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "harness/base/unique_fd.hpp"

namespace noisefloor {

/// How a name that is already taken is met.
enum class Publish : std::uint8_t {
  fresh,    ///< fails if the name is taken, also by another process in the last moment
  replace,  ///< takes the old file's place at once; readers see the old one or the new one
};

/// A number for a piece of work that may be tried again on another machine, of which never two attempts run at once.
using Owner = std::uint64_t;
inline constexpr Owner kNobody = 0;

/// A temporary file `.<host>.<boot>.<owner>.<number>.noisefloor-tmp` beside its target, locked while it is written, so
/// that remove_stale() can tell it from one whose writer died. Destroyed without publish(), it is removed.
/// For one thread.
class AtomicFile {
 public:
  /// Makes the temporary in the folder of `target`. Throws Error if it cannot.
  explicit AtomicFile(const std::string& target, Owner owner = kNobody);
  AtomicFile(AtomicFile&& other) noexcept;
  AtomicFile& operator=(AtomicFile&& other) = delete;
  ~AtomicFile();

  /// Open for reading and writing, empty at first.
  [[nodiscard]] int fd() const noexcept { return fd_.get(); }
  [[nodiscard]] const std::string& temporary() const noexcept { return temporary_; }

  /// Sets `bytes` of disk aside without changing the file's size, where the file system can. Throws
  /// Error if the disk has not that much: now, not after the work.
  void reserve(std::uint64_t bytes);

  /// Gives the file, of `bytes` bytes, its name. With `durable`, file and folder are on the disk when this
  /// returns. Throws Error, and leaves nothing new under the name. Once only.
  void publish(Publish mode, std::uint64_t bytes, bool durable = false);

 private:
  void name_fresh();
  void name_replacing();
  [[noreturn]] void fail(const char* what, int error) const;

  std::string target_;
  std::string temporary_;  // empty once it is gone
  UniqueFd fd_;
  std::uint64_t reserved_ = 0;
};

/// Removes temporaries in `folder` whose writer is certainly gone, and returns how many: those of this machine that
/// nobody has locked, and those of an earlier attempt of `owner`, wherever it ran. Those of other machines are left, on
/// file systems of one machine unless they are of its containers or of the time before it was started anew. What cannot
/// be removed or locked is left.
std::size_t remove_stale(const std::string& folder, Owner owner = kNobody);

/// The folder part of `path`: "." if it has none.
[[nodiscard]] std::string folder_of(const std::string& path);

}  // namespace noisefloor
