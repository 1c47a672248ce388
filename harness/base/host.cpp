// Host name and boot id, and file systems by their magic numbers.
// SPDX-License-Identifier: MIT
#include "harness/base/host.hpp"

#include <linux/magic.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>

#include "harness/base/usage.hpp"

namespace noisefloor {
namespace {

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

Host look() {
  constexpr std::size_t kMostName = 32, kBootDigits = 12;
  Host host;
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) == 0) host.name = name.data();
  std::ranges::replace_if(
      host.name, [](char c) { return !is_letter(c) && !is_digit(c) && c != '_' && c != '-'; }, '-');
  host.name = host.name.empty() ? "unnamed" : host.name.substr(0, kMostName);
  for (const char c : read_proc("/proc/sys/kernel/random/boot_id")) {
    if (host.boot.size() < kBootDigits && (is_letter(c) || is_digit(c))) host.boot += c;
  }
  host.boot.resize(kBootDigits, '0');
  return host;
}

}  // namespace

const Host& this_host() {
  static const Host host = look();
  return host;
}

bool is_local_file_system(int fd) {
  constexpr std::uint32_t kXfs = 0x58465342, kF2fs = 0xF2F52010, kZfs = 0x2FC12FC1, kBcachefs = 0xCA451A4E;
  constexpr std::array<std::uint32_t, 10> kLocal = {EXT4_SUPER_MAGIC /* ext2 and ext3, too */,
                                                    kXfs,
                                                    BTRFS_SUPER_MAGIC,
                                                    TMPFS_MAGIC,
                                                    RAMFS_MAGIC,
                                                    kF2fs,
                                                    kZfs,
                                                    kBcachefs,
                                                    MSDOS_SUPER_MAGIC,
                                                    OVERLAYFS_SUPER_MAGIC};
  struct statfs status {};
  if (::fstatfs(fd, &status) != 0) return false;
  return std::ranges::find(kLocal, static_cast<std::uint32_t>(status.f_type)) != kLocal.end();
}

}  // namespace noisefloor
