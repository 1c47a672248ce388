// The parts of the ring that are not in its header, and futexes.
// SPDX-License-Identifier: MIT
#include "harness/strategies/shared_ring.hpp"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <cstring>
#include <ctime>

namespace noisefloor {
namespace {

constexpr std::chrono::milliseconds kLookAgain(100);
constexpr std::size_t kKeptBytes = std::size_t{1} << 20;
constexpr std::size_t kSizesBytes = sizeof(MessageHeader) + sizeof(MessageSize);

static_assert((SharedRing::kBytes & (SharedRing::kBytes - 1)) == 0, "positions are taken modulo the size");
static_assert(std::atomic<std::uint32_t>::is_always_lock_free && std::atomic<std::uint64_t>::is_always_lock_free &&
                  sizeof(std::atomic<std::uint32_t>) == sizeof(std::uint32_t),
              "shared by processes, and a futex is 32 bits");

}  // namespace

void wait_while(const std::atomic<std::uint32_t>& word, std::uint32_t value,
                std::chrono::milliseconds timeout) noexcept {
  constexpr long kNsPerMs = 1'000'000;
  const timespec time{static_cast<std::time_t>(timeout.count() / 1000),
                      static_cast<long>(timeout.count() % 1000) * kNsPerMs};
  ::syscall(SYS_futex, &word, FUTEX_WAIT, value, &time, nullptr, 0);
}

void wake_all(const std::atomic<std::uint32_t>& word) noexcept {
  ::syscall(SYS_futex, &word, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
}

std::size_t RingWriter::wait_for_room() noexcept {
  const std::uint32_t room = ring_.room.load(std::memory_order_acquire);
  ring_.lacks_room.store(1, std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_seq_cst);  // against the parent, which stores `tail` and then looks here
  if (unread() == SharedRing::kBytes) wait_while(ring_.room, room, kLookAgain);
  ring_.lacks_room.store(0, std::memory_order_relaxed);
  return SharedRing::kBytes - static_cast<std::size_t>(unread());
}

void RingWriter::copy(std::span<const std::byte> bytes) noexcept {
  const std::size_t at = static_cast<std::size_t>(head_) & (SharedRing::kBytes - 1);
  const std::size_t first = std::min(bytes.size(), SharedRing::kBytes - at);
  std::memcpy(ring_.bytes.data() + at, bytes.data(), first);
  if (first < bytes.size()) std::memcpy(ring_.bytes.data(), bytes.data() + first, bytes.size() - first);
  head_ += bytes.size();
}

bool RingReader::parse(std::span<const std::byte> bytes, Message& message) noexcept {
  if (bytes.size() < sizeof(MessageHeader)) return false;
  std::memcpy(&message.header, bytes.data(), sizeof(MessageHeader));
  message.results = {};
  message.returned = {};
  total_ = sizeof(MessageHeader);
  const auto kind = message.header.kind & MessageHeader::kKindMask;
  if (kind != MessageHeader::results && kind != MessageHeader::broken) return true;
  if (bytes.size() < kSizesBytes) return false;
  MessageSize size;
  std::memcpy(&size, bytes.data() + sizeof(MessageHeader), sizeof size);
  const std::size_t results_bytes = padded(std::size_t{size.results} * sizeof(TaskResult));
  total_ = kSizesBytes + results_bytes + padded(static_cast<std::size_t>(size.bytes));
  if (bytes.size() < total_) return false;
  message.results = {reinterpret_cast<const TaskResult*>(bytes.data() + kSizesBytes), size.results};
  message.returned = bytes.subspan(kSizesBytes + results_bytes, static_cast<std::size_t>(size.bytes));
  return true;
}

void RingReader::collect(const SharedRing& ring, std::uint64_t& tail, std::uint64_t head) {
  if (wanted_ == 0) {
    if (part_.capacity() > kKeptBytes) std::vector<std::byte>().swap(part_);
    wanted_ = kSizesBytes;  // only a message with sizes is ever in two pieces: all others are 8 bytes
  }
  const std::size_t at = static_cast<std::size_t>(tail) & (SharedRing::kBytes - 1);
  const std::size_t there = std::min(static_cast<std::size_t>(head - tail), SharedRing::kBytes - at);
  const std::size_t count = std::min(there, wanted_ - part_.size());
  part_.insert(part_.end(), ring.bytes.begin() + static_cast<std::ptrdiff_t>(at),
               ring.bytes.begin() + static_cast<std::ptrdiff_t>(at + count));
  tail += count;
  if (wanted_ == kSizesBytes && part_.size() == kSizesBytes) {
    Message ignored;
    static_cast<void>(parse(part_, ignored));
    wanted_ = total_;
    part_.reserve(wanted_);
  }
}

void RingReader::make_room(SharedRing& ring, std::uint64_t tail) noexcept {
  ring.tail.store(tail, std::memory_order_release);
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (ring.lacks_room.load(std::memory_order_relaxed) == 0) return;
  ring.room.fetch_add(1, std::memory_order_release);
  wake_all(ring.room);
}

void RingReader::clear(SharedRing& ring) noexcept {
  ring.head.store(0, std::memory_order_relaxed);
  ring.tail.store(0, std::memory_order_relaxed);
  ring.lacks_room.store(0, std::memory_order_relaxed);
  part_.clear();
  wanted_ = 0;
}

}  // namespace noisefloor
