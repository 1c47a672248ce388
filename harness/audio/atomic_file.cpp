// Temporary name, lock, rename: a file is published complete or not at all.
// SPDX-License-Identifier: MIT
#include "harness/audio/atomic_file.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <ctime>
#include <memory>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>

#include "harness/base/error.hpp"
#include "harness/base/host.hpp"

namespace noisefloor {
namespace {

constexpr std::string_view kSuffix = ".noisefloor-tmp";
constexpr int kAttempts = 100;  // far more than collisions of names or with remove_stale() can ask for

bool is_refusal(int error) noexcept { return error == EINVAL || error == ENOSYS || error == EOPNOTSUPP; }

/// Short whatever the target's name, so that it always fits NAME_MAX; different on every machine, in every process,
/// thread and call, and after a pid is used again: `.host.boot.owner.number.noisefloor-tmp`.
std::string temporary_name(Owner owner) {
  static std::atomic<std::uint32_t> serial{0};
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  return fmt::format(".{}.{}.{:x}.{:x}-{:x}-{:x}{}", this_host().name, this_host().boot, owner, ::getpid(),
                     serial.fetch_add(1, std::memory_order_relaxed),
                     static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000U + static_cast<std::uint64_t>(now.tv_nsec),
                     kSuffix);
}

/// Who made a temporary, as its name tells.
struct Maker {
  Host host;
  Owner owner = kNobody;
};

std::optional<Maker> maker_of(std::string_view name) {
  if (!name.starts_with('.') || !name.ends_with(kSuffix)) return std::nullopt;
  name.remove_prefix(1);
  std::array<std::string_view, 3> parts;  // host, boot, owner
  for (std::string_view& part : parts) {
    const std::size_t dot = name.find('.');
    if (dot == 0 || dot == std::string_view::npos) return std::nullopt;
    part = name.substr(0, dot);
    name.remove_prefix(dot + 1);
  }
  Maker maker{.host = {std::string(parts[0]), std::string(parts[1])}};
  const auto [end, error] = std::from_chars(parts[2].data(), parts[2].data() + parts[2].size(), maker.owner, 16);
  if (error != std::errc() || end != parts[2].data() + parts[2].size()) return std::nullopt;
  return maker;
}

}  // namespace

std::string folder_of(const std::string& path) {
  const std::size_t slash = path.find_last_of('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

AtomicFile::AtomicFile(const std::string& target, Owner owner) : target_(target) {
  const std::string folder = folder_of(target);
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    temporary_ = folder + "/" + temporary_name(owner);
    fd_.reset(::open(temporary_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
    if (!fd_) {
      const int error = errno;
      if (error == EEXIST) continue;
      temporary_.clear();
      fail("write", error);
    }
    // Between open and flock another process may have taken it for stale and removed it.
    const bool is_locked = ::flock(fd_.get(), LOCK_EX | LOCK_NB) == 0;
    struct stat status {};
    if ((is_locked || errno != EWOULDBLOCK) && ::fstat(fd_.get(), &status) == 0 && status.st_nlink > 0) return;
    ::unlink(temporary_.c_str());
  }
  temporary_.clear();
  throw Error(fmt::format("cannot make a temporary file for '{}'", target));
}

AtomicFile::AtomicFile(AtomicFile&& other) noexcept
    : target_(std::move(other.target_)),
      temporary_(std::exchange(other.temporary_, {})),
      fd_(std::move(other.fd_)),
      reserved_(other.reserved_) {}

AtomicFile::~AtomicFile() {
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

void AtomicFile::fail(const char* what, int error) const {
  throw system_error(fmt::format("cannot {} '{}'", what, target_), error);
}

void AtomicFile::reserve(std::uint64_t bytes) {
  if (bytes == 0) return;
  // Asked for more than there is, some file systems first take all there is, from everybody.
  struct statvfs space {};
  if (::fstatvfs(fd_.get(), &space) == 0 && space.f_frsize > 0 && bytes / space.f_frsize > space.f_bavail) {
    fail("write", ENOSPC);
  }
  int result = 0;
  do {
    result = ::fallocate(fd_.get(), FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(bytes));
  } while (result != 0 && errno == EINTR);
  if (result == 0) {
    reserved_ = bytes;
  } else if (errno == ENOSPC || errno == EDQUOT || errno == EIO) {
    fail("write", errno);
  }
}

void AtomicFile::publish(Publish mode, std::uint64_t bytes, bool durable) {
  // Blocks set aside beyond the end would stay allocated.
  if (reserved_ > bytes && ::ftruncate(fd_.get(), static_cast<off_t>(bytes)) != 0) fail("write", errno);
  if (durable && ::fsync(fd_.get()) != 0) fail("write", errno);
  // Some file systems tell of a failed write only when a descriptor is closed. Closing a duplicate asks
  // them, and keeps the lock until the file has its name.
  UniqueFd duplicate(::fcntl(fd_.get(), F_DUPFD_CLOEXEC, 0));
  if (!duplicate) fail("write", errno);
  if (::close(duplicate.release()) != 0) fail("write", errno);

  if (mode == Publish::fresh) {
    name_fresh();
  } else {
    name_replacing();
  }
  fd_.reset();
  if (durable) {
    const std::string folder = folder_of(target_);
    const UniqueFd folder_fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!folder_fd || ::fsync(folder_fd.get()) != 0) fail("make durable", errno);
  }
}

void AtomicFile::name_fresh() {
  const char* from = temporary_.c_str();
  const char* to = target_.c_str();
  if (::renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0) {
    temporary_.clear();
    return;
  }
  if (!is_refusal(errno)) fail("write", errno);
  // A link fails on a name that is taken, too.
  if (::link(from, to) == 0) {
    ::unlink(from);
    temporary_.clear();
    return;
  }
  if (errno != EPERM && !is_refusal(errno)) fail("write", errno);
  // Neither is to be had (FAT, some network file systems): what appears between these two is lost.
  struct stat status {};
  if (::lstat(to, &status) == 0) fail("write", EEXIST);
  if (::rename(from, to) != 0) fail("write", errno);
  temporary_.clear();
}

void AtomicFile::name_replacing() {
  const char* from = temporary_.c_str();
  const char* to = target_.c_str();
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    struct stat status {};
    if (::lstat(to, &status) != 0) {
      if (errno != ENOENT) fail("write", errno);
      if (::renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0) {
        temporary_.clear();
        return;
      }
      if (errno == EEXIST) continue;
      if (!is_refusal(errno)) fail("write", errno);
      break;
    }
    if (S_ISDIR(status.st_mode)) fail("write", EISDIR);
    // ext4 flushes a file that is renamed over another, not one that is exchanged with it: 1.4 times
    // faster, and no less durable than a fresh file. The old file goes under the temporary name.
    if (::renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_EXCHANGE) == 0) {
      ::unlink(from);
      temporary_.clear();
      return;
    }
    if (errno == ENOENT) continue;
    if (!is_refusal(errno)) fail("write", errno);
    break;
  }
  if (::rename(from, to) != 0) fail("write", errno);
  temporary_.clear();
}

std::size_t remove_stale(const std::string& folder, Owner owner) {
  struct CloseFolder {
    void operator()(DIR* stream) const noexcept { ::closedir(stream); }
  };
  const std::unique_ptr<DIR, CloseFolder> stream(::opendir(folder.c_str()));
  if (!stream) return 0;
  const int folder_fd = ::dirfd(stream.get());
  const Host& host = this_host();
  std::optional<bool> is_local;  // asked for when somebody else's is met
  std::size_t removed = 0;
  while (const dirent* entry = ::readdir(stream.get())) {
    const std::optional<Maker> maker = maker_of(entry->d_name);
    if (!maker) continue;
    const bool is_known = maker->owner == owner && owner != kNobody;
    if (maker->host != host && !is_known) {
      if (!is_local) is_local = is_local_file_system(folder_fd);
      // One of the two agrees: a container on this kernel, or this machine before it was started anew.
      if (!*is_local || (maker->host.boot != host.boot && maker->host.name != host.name)) continue;
    }
    // O_NONBLOCK, O_NOFOLLOW: the name could be anything. For writing: NFS locks nothing else.
    const UniqueFd fd(::openat(folder_fd, entry->d_name, O_RDWR | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC));
    struct stat status {};
    if (!fd || ::fstat(fd.get(), &status) != 0 || !S_ISREG(status.st_mode)) continue;
    // A file server may keep the lock of a machine that is gone.
    const bool counts_lock = maker->host.boot == host.boot || !is_known;
    if (counts_lock && ::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) continue;
    if (::unlinkat(folder_fd, entry->d_name, 0) == 0) ++removed;
  }
  return removed;
}

}  // namespace noisefloor
