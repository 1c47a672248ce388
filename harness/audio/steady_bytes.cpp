// Ogg pages (RFC 3533) and the MATLAB 5 header, made to depend on the sound alone.
// SPDX-License-Identifier: MIT
#include "harness/audio/steady_bytes.hpp"

#include <sndfile.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>

namespace noisefloor {
namespace {

/// The checksum of Ogg pages: polynomial 0x04c11db7, most significant bit first, from 0, not inverted.
constexpr std::array<std::uint32_t, 256> kCrcOfByte = [] {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t crc = byte << 24;
    for (int bit = 0; bit < 8; ++bit) crc = (crc << 1) ^ ((crc >> 31) * 0x04c11db7U);
    table[byte] = crc;
  }
  return table;
}();

constexpr std::size_t kPageHeader = 27, kSerialAt = 14, kCrcAt = 22, kSegmentsAt = 26;
constexpr std::size_t kLargestPage = kPageHeader + 255 + std::size_t{255} * 255;

void put_number(unsigned char* to, std::uint32_t value) noexcept {
  for (int i = 0; i < 4; ++i) to[i] = static_cast<unsigned char>(value >> (8 * i));
}

std::uint32_t number_at(const unsigned char* from) noexcept {
  std::uint32_t value = 0;
  for (int i = 3; i >= 0; --i) value = value << 8 | from[i];
  return value;
}

/// All of `size` bytes, or an errno value.
int read_at(int fd, unsigned char* to, std::size_t size, std::uint64_t at) noexcept {
  for (std::size_t done = 0; done < size;) {
    const ssize_t got = ::pread(fd, to + done, size - done, static_cast<off_t>(at + done));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return got < 0 ? errno : EIO;
    done += static_cast<std::size_t>(got);
  }
  return 0;
}

int write_at(int fd, const void* from, std::size_t size, std::uint64_t at) noexcept {
  const auto* bytes = static_cast<const unsigned char*>(from);
  for (std::size_t done = 0; done < size;) {
    const ssize_t written = ::pwrite(fd, bytes + done, size - done, static_cast<off_t>(at + done));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return written < 0 ? errno : EIO;
    done += static_cast<std::size_t>(written);
  }
  return 0;
}

int steady_ogg(int fd, std::uint64_t bytes) noexcept {
  static thread_local std::array<unsigned char, kLargestPage> page;
  std::array<std::uint32_t, 16> serials{};  // libsndfile writes one stream
  std::size_t known = 0;
  for (std::uint64_t at = 0; at < bytes;) {
    if (bytes - at < kPageHeader) return EIO;
    if (const int error = read_at(fd, page.data(), kPageHeader, at)) return error;
    const std::size_t segments = page[kSegmentsAt];
    if (std::memcmp(page.data(), "OggS", 4) != 0) return EIO;
    if (const int error = read_at(fd, page.data() + kPageHeader, segments, at + kPageHeader)) return error;
    std::size_t size = kPageHeader + segments;
    for (std::size_t i = 0; i < segments; ++i) size += page[kPageHeader + i];
    const std::size_t head = kPageHeader + segments;
    if (const int error = read_at(fd, page.data() + head, size - head, at + head)) return error;

    const std::uint32_t serial = number_at(page.data() + kSerialAt);
    const auto* const end = serials.begin() + known;
    const auto* const found = std::find<const std::uint32_t*>(serials.begin(), end, serial);
    if (found == end) {
      if (known == serials.size()) return EIO;
      serials[known++] = serial;
    }
    put_number(page.data() + kSerialAt, static_cast<std::uint32_t>(found - serials.begin()) + 1);
    put_number(page.data() + kCrcAt, 0);
    std::uint32_t crc = 0;
    for (std::size_t i = 0; i < size; ++i) crc = (crc << 8) ^ kCrcOfByte[(crc >> 24) ^ page[i]];
    put_number(page.data() + kCrcAt, crc);
    if (const int error = write_at(fd, page.data() + kSerialAt, kSegmentsAt - kSerialAt, at + kSerialAt)) return error;
    at += size;
  }
  return 0;
}

/// The header begins with 124 bytes of text for people: the library, its version, a comma, the time in numbers.
/// libsndfile reads files with a text like its own only, so the digits of the time become zeros, and no more.
int steady_mat5(int fd, std::uint64_t bytes) noexcept {
  std::array<unsigned char, 124> text;
  if (bytes < text.size()) return EIO;
  if (const int error = read_at(fd, text.data(), text.size(), 0)) return error;
  auto* const comma = std::find(text.begin(), text.end(), ',');
  std::replace_if(
      comma, text.end(), [](unsigned char c) { return c >= '0' && c <= '9'; }, '0');
  return write_at(fd, text.data(), text.size(), 0);
}

}  // namespace

int steady_bytes(int fd, int format, std::uint64_t bytes) noexcept {
  switch (format & SF_FORMAT_TYPEMASK) {
    case SF_FORMAT_OGG:
      return steady_ogg(fd, bytes);
    case SF_FORMAT_MAT5:
      return steady_mat5(fd, bytes);
    default:
      return 0;
  }
}

}  // namespace noisefloor
