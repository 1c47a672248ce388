// A ring of bytes in shared memory from one worker process to its parent, and waiting for words of shared memory.
// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "harness/strategies/chunks.hpp"
#include "harness/strategies/process_workers.hpp"

namespace noisefloor {

/// Sleeps while `word` is `value`, until wake_all() or for `timeout`; also returns for no reason. Between processes.
void wait_while(const std::atomic<std::uint32_t>& word, std::uint32_t value,
                std::chrono::milliseconds timeout) noexcept;
void wake_all(const std::atomic<std::uint32_t>& word) noexcept;

/// In shared memory that is zero at first. Positions count bytes and never go back; messages are multiples of 8 bytes.
struct SharedRing {
  static constexpr std::size_t kBytes = std::size_t{256} << 10;

  std::atomic<std::uint64_t> head;                      ///< by the worker: written so far
  std::atomic<std::uint32_t> lacks_room;                ///< by the worker: it sleeps on `room`
  alignas(kLineBytes) std::atomic<std::uint64_t> tail;  ///< by the parent: read so far
  std::atomic<std::uint32_t> room;  ///< by the parent: changes when it has made room for one that sleeps
  alignas(kLineBytes) std::array<std::byte, kBytes> bytes;
};

/// The worker's end.
class RingWriter {
 public:
  explicit RingWriter(SharedRing& ring) noexcept : ring_(ring), head_(ring.head), tail_(ring.tail) {}

  /// Writes a message of a header alone, if there is room as far as is known; the parent sees it when this returns.
  [[nodiscard]] bool write_short(MessageHeader header) noexcept {
    if (head_ - tail_ > SharedRing::kBytes - sizeof header) return false;
    std::memcpy(ring_.bytes.data() + (head_ & (SharedRing::kBytes - 1)), &header, sizeof header);
    head_ += sizeof header;
    ring_.head.store(head_, std::memory_order_release);
    return true;
  }
  /// Writes any message; the parent sees it when this returns. `call` wakes the parent, should the ring be full.
  template <class Call>
  void write(MessageHeader header, const ChunkRunner& runner, const Call& call);
  /// Bytes that the parent has not read, as far as is known here.
  [[nodiscard]] std::uint64_t unread() noexcept {
    tail_ = ring_.tail.load(std::memory_order_relaxed);
    return head_ - tail_;
  }

 private:
  template <class Call>
  void put(std::span<const std::byte> bytes, const Call& call);
  [[nodiscard]] std::size_t wait_for_room() noexcept;
  void copy(std::span<const std::byte> bytes) noexcept;

  SharedRing& ring_;
  std::uint64_t head_, tail_;  // the parent's may have moved on
};

/// The parent's end.
class RingReader {
 public:
  struct Message {
    MessageHeader header;
    std::span<const TaskResult> results;
    std::span<const std::byte> returned;
  };

  /// Calls f(message) for every whole message that is there. Its spans live during the call. Returns how many bytes
  /// were read. Throws what f throws, and std::bad_alloc.
  template <class F>
  std::uint64_t read(SharedRing& ring, const F& f);
  /// Forgets half a message, and begins anew. No worker may be writing.
  void clear(SharedRing& ring) noexcept;
  [[nodiscard]] static bool has_news(const SharedRing& ring) noexcept {
    return ring.head.load(std::memory_order_acquire) != ring.tail.load(std::memory_order_relaxed);
  }

 private:
  /// Whole if all its bytes are in `bytes`; else wanted_ says how many are needed, as far as is known.
  bool parse(std::span<const std::byte> bytes, Message& message) noexcept;
  void collect(const SharedRing& ring, std::uint64_t& tail, std::uint64_t head);
  static void make_room(SharedRing& ring, std::uint64_t tail) noexcept;

  std::vector<std::byte> part_;  // of a message that does not lie in the ring in one piece
  std::size_t wanted_ = 0;       // bytes of the message; 0: no part is held
  std::size_t total_ = 0;        // bytes of the message that parse() has seen
};

// --- Templates ---

template <class Call>
void RingWriter::put(std::span<const std::byte> bytes, const Call& call) {
  while (!bytes.empty()) {
    std::size_t room = SharedRing::kBytes - static_cast<std::size_t>(head_ - tail_);
    if (room == 0) {
      ring_.head.store(head_, std::memory_order_release);
      call();
      room = wait_for_room();
      if (room == 0) continue;
    }
    const std::size_t count = std::min(room, bytes.size());
    copy(bytes.first(count));
    bytes = bytes.subspan(count);
  }
}

template <class Call>
void RingWriter::write(MessageHeader header, const ChunkRunner& runner, const Call& call) {
  put(std::as_bytes(std::span(&header, 1)), call);
  const auto kind = header.kind & MessageHeader::kKindMask;
  if (kind == MessageHeader::results || kind == MessageHeader::broken) {
    constexpr std::array<std::byte, 8> kPadding{};
    const auto results =
        kind == MessageHeader::results ? std::as_bytes(runner.results()) : std::span<const std::byte>();
    const auto returned = runner.returned();
    const MessageSize size{static_cast<std::uint32_t>(results.size() / sizeof(TaskResult)), 0, returned.size()};
    put(std::as_bytes(std::span(&size, 1)), call);
    for (const auto part : {results, returned}) {
      put(part, call);
      put(std::span(kPadding).first(padded(part.size()) - part.size()), call);
    }
  }
  ring_.head.store(head_, std::memory_order_release);
}

template <class F>
std::uint64_t RingReader::read(SharedRing& ring, const F& f) {
  const std::uint64_t head = ring.head.load(std::memory_order_acquire);
  const std::uint64_t before = ring.tail.load(std::memory_order_relaxed);
  std::uint64_t tail = before;
  Message message;
  while (tail != head) {
    if (wanted_ == 0) {
      const std::size_t at = static_cast<std::size_t>(tail) & (SharedRing::kBytes - 1);
      std::memcpy(&message.header, ring.bytes.data() + at, sizeof(MessageHeader));
      if ((message.header.kind & MessageHeader::kKindMask) == MessageHeader::done) {
        f(message);
        tail += sizeof(MessageHeader);
        continue;
      }
      const std::size_t there = static_cast<std::size_t>(head - tail);
      if (parse(std::span(ring.bytes).subspan(at, std::min(there, SharedRing::kBytes - at)), message)) {
        f(message);
        message = {};
        tail += total_;
        continue;
      }
    }
    collect(ring, tail, head);
    if (part_.size() < wanted_ || !parse(part_, message)) continue;
    f(message);
    message = {};
    part_.clear();
    wanted_ = 0;
  }
  if (tail != before) make_room(ring, tail);
  return tail - before;
}

}  // namespace noisefloor
