// Messages through a stream socket.
// SPDX-License-Identifier: MIT
#include "harness/strategies/message_stream.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace noisefloor {
namespace {

constexpr std::size_t kReadBytes = std::size_t{64} << 10;
constexpr std::size_t kKeptBytes = std::size_t{1} << 20;  // a larger buffer is given back once it is empty
constexpr std::size_t kFlushBytes = std::size_t{32} << 10;
constexpr std::array<std::byte, 8> kPadding{};

void send_all(int fd, std::span<iovec> parts) {
  msghdr message{};
  while (!parts.empty()) {
    message.msg_iov = parts.data();
    message.msg_iovlen = parts.size();
    const ssize_t sent = ::sendmsg(fd, &message, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) ::_exit(0);
    std::size_t left = static_cast<std::size_t>(sent);
    while (!parts.empty() && left >= parts.front().iov_len) {
      left -= parts.front().iov_len;
      parts = parts.subspan(1);
    }
    if (!parts.empty()) {
      parts.front().iov_base = static_cast<std::byte*>(parts.front().iov_base) + left;
      parts.front().iov_len -= left;
    }
  }
}

iovec part_of(const void* data, std::size_t bytes) { return {const_cast<void*>(data), bytes}; }

}  // namespace

void MessageWriter::add(MessageHeader::Kind kind, std::uint32_t first) {
  const MessageHeader header{first, kind};
  const auto* bytes = reinterpret_cast<const std::byte*>(&header);
  waiting_.insert(waiting_.end(), bytes, bytes + sizeof header);
  if (waiting_.size() >= kFlushBytes) flush();
}

void MessageWriter::add(MessageHeader::Kind kind, std::uint32_t first, const ChunkRunner& runner) {
  add(kind, first);
  if (kind != MessageHeader::results && kind != MessageHeader::broken) return;
  const auto results = kind == MessageHeader::results ? std::as_bytes(runner.results()) : std::span<const std::byte>();
  const auto returned = runner.returned();
  const MessageSize size{static_cast<std::uint32_t>(results.size() / sizeof(TaskResult)), 0, returned.size()};
  const std::size_t padding_1 = padded(results.size()) - results.size();
  const std::size_t padding_2 = padded(returned.size()) - returned.size();
  const auto* size_bytes = reinterpret_cast<const std::byte*>(&size);
  waiting_.insert(waiting_.end(), size_bytes, size_bytes + sizeof size);
  if (results.size() + returned.size() < kFlushBytes) {
    waiting_.insert(waiting_.end(), results.begin(), results.end());
    waiting_.insert(waiting_.end(), padding_1, std::byte{});
    waiting_.insert(waiting_.end(), returned.begin(), returned.end());
    waiting_.insert(waiting_.end(), padding_2, std::byte{});
    if (waiting_.size() >= kFlushBytes) flush();
    return;
  }
  // Large: from where it is.
  std::array parts = {part_of(waiting_.data(), waiting_.size()), part_of(results.data(), results.size()),
                      part_of(kPadding.data(), padding_1), part_of(returned.data(), returned.size()),
                      part_of(kPadding.data(), padding_2)};
  send_all(fd_, parts);
  waiting_.clear();
}

void MessageWriter::flush() {
  if (waiting_.empty()) return;
  std::array parts = {part_of(waiting_.data(), waiting_.size())};
  send_all(fd_, parts);
  waiting_.clear();
}

void MessageReader::make_room() {
  if (begin_ == end_) {
    begin_ = end_ = 0;
    if (size_ > kKeptBytes && wanted_ < kKeptBytes) {
      buffer_.reset();
      size_ = 0;
    }
  }
  const std::size_t held = end_ - begin_;
  const std::size_t needed = wanted_ > held ? wanted_ : held + kReadBytes;
  if (size_ - begin_ >= needed) return;
  if (size_ < needed) {
    auto larger = std::make_unique_for_overwrite<std::byte[]>(needed);
    if (held > 0) std::memcpy(larger.get(), buffer_.get() + begin_, held);
    buffer_ = std::move(larger);
    size_ = needed;
  } else if (held > 0) {
    std::memmove(buffer_.get(), buffer_.get() + begin_, held);
  }
  begin_ = 0;
  end_ = held;
}

MessageReader::State MessageReader::read(int fd) {
  make_room();
  for (;;) {
    const std::size_t room = size_ - end_;
    const ssize_t got = ::recv(fd, buffer_.get() + end_, room, MSG_DONTWAIT);
    if (got > 0) {
      end_ += static_cast<std::size_t>(got);
      return static_cast<std::size_t>(got) == room ? State::more : State::some;
    }
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOMEM)) return State::drained;
    return State::closed;
  }
}

bool MessageReader::next(Message& message) {
  const std::size_t held = end_ - begin_;
  const std::byte* at = buffer_.get() + begin_;
  wanted_ = 0;
  if (held < sizeof(MessageHeader)) return false;
  std::memcpy(&message.header, at, sizeof(MessageHeader));
  message.results = {};
  message.returned = {};
  std::size_t total = sizeof(MessageHeader);
  if (message.header.kind == MessageHeader::results || message.header.kind == MessageHeader::broken) {
    MessageSize size;
    if (held < total + sizeof size) return false;
    std::memcpy(&size, at + total, sizeof size);
    total += sizeof size;
    const std::size_t results_bytes = std::size_t{size.results} * sizeof(TaskResult);
    const std::size_t results_at = total;
    total += padded(results_bytes);
    const std::size_t returned_at = total;
    total += padded(static_cast<std::size_t>(size.bytes));
    if (held < total) {
      wanted_ = total;
      return false;
    }
    message.results = {reinterpret_cast<const TaskResult*>(at + results_at), size.results};
    message.returned = {at + returned_at, static_cast<std::size_t>(size.bytes)};
  }
  begin_ += total;
  return true;
}

}  // namespace noisefloor
