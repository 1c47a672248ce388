// Walks chunks by their headers.
// SPDX-License-Identifier: MIT
#include "harness/audio/chunk_walk.hpp"

#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace noisefloor {
namespace {

constexpr std::uint64_t kOnes32 = 0xffffffffU;
constexpr std::string_view kW64Riff("\x72\x69\x66\x66\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00", 16);
constexpr std::string_view kW64Tail("\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a", 12);  // of other chunks' names

}  // namespace

HeaderBytes::HeaderBytes(int fd, std::uint64_t offset) noexcept {
  ssize_t got = 0;
  do {
    got = ::pread(fd, bytes_.data(), bytes_.size(), static_cast<off_t>(offset));
  } while (got < 0 && errno == EINTR);
  size_ = got < 0 ? 0 : static_cast<std::size_t>(got);
}

bool HeaderBytes::is(std::size_t at, std::string_view id) const noexcept {
  return at + id.size() <= size_ && std::memcmp(bytes_.data() + at, id.data(), id.size()) == 0;
}

std::uint64_t HeaderBytes::number(std::size_t at, std::size_t width, bool big_endian) const noexcept {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < width && at + width <= size_; ++i) {
    value = value << 8 | bytes_[at + (big_endian ? i : width - 1 - i)];
  }
  return value;
}

const ChunkForm* chunk_form(const HeaderBytes& head) noexcept {
  if (head.is(8, "WAVE")) {
    if (head.is(0, "RIFF")) return &kRiff;
    if (head.is(0, "RIFX")) return &kRifx;
    if (head.is(0, "RF64")) return &kRf64;
  }
  if (head.is(0, kW64Riff)) return &kW64;
  if (head.is(0, "FORM")) return &kAiff;  // IFF, too
  if (head.is(0, "caff")) return &kCaf;
  return nullptr;
}

bool is_chunk_name(std::string_view name) noexcept {
  return name.size() == 4 && std::ranges::all_of(name, [](char c) { return c >= 0x20 && c <= 0x7e; });
}

std::optional<Chunk> ChunkWalk::next() noexcept {
  const std::size_t header = form_.header_bytes();
  if (at_ > end_ || end_ - at_ < header || seen_++ == kMostChunks) return std::nullopt;
  const HeaderBytes bytes(fd_, at_);
  if (bytes.size() < header) return std::nullopt;
  std::uint64_t size = bytes.number(form_.name_bytes, form_.size_bytes, form_.big_endian);
  if (form_.counts_header && size < header) {
    // The samples of a file that was never completed; nothing can be behind them.
    const bool is_standard = bytes.is(4, kW64Tail);
    const Chunk last{bytes, at_, at_ + header, 0, is_standard};
    at_ = end_;
    return is_standard && last.is("data") ? std::optional(last) : std::nullopt;
  }
  if (form_.counts_header) size -= header;
  if (form_.has_long_sizes) {
    if (bytes.is(0, "ds64") && size >= 24) long_bytes_ = bytes.number(16, 8, false);
    if (bytes.is(0, "data") && size == kOnes32 && long_bytes_ > 0) size = long_bytes_;
  }
  const Chunk chunk{bytes, at_, at_ + header, size, form_.name_bytes == 4 || bytes.is(4, kW64Tail)};
  constexpr std::uint64_t kFar = std::uint64_t{1} << 62;
  const bool is_far = chunk.body > kFar || size > kFar;
  at_ = is_far ? kFar : chunk.body + (size + form_.alignment - 1) / form_.alignment * form_.alignment;
  return chunk;
}

}  // namespace noisefloor
