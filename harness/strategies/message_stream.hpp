// Messages of workers through a stream socket: written whole, read as they come.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "harness/strategies/process_workers.hpp"

namespace noisefloor {

/// The worker's end: collects messages until flush(). A peer that is gone ends the process (with status 0: it was the
/// parent's to go).
class MessageWriter {
 public:
  explicit MessageWriter(int fd) : fd_(fd) {}

  /// A message about the chunk that begins with task `first`, as `kind` says with the runner's results.
  void add(MessageHeader::Kind kind, std::uint32_t first, const ChunkRunner& runner);
  void add(MessageHeader::Kind kind, std::uint32_t first);
  void flush();

 private:
  int fd_;
  std::vector<std::byte> waiting_;
};

/// The parent's end.
class MessageReader {
 public:
  enum class State : std::uint8_t {
    more,     ///< as much as there was room for: there may be more
    some,     ///< all that was there
    drained,  ///< nothing
    closed,   ///< nothing more at all: the worker closed its end, or is gone
  };

  /// Reads what is there, once, without waiting. Throws std::bad_alloc.
  State read(int fd);
  struct Message {
    MessageHeader header;
    std::span<const TaskResult> results;
    std::span<const std::byte> returned;  ///< of the tasks, or a text
  };
  /// The next message that has come as a whole; its spans live until the next read(). False if there is none.
  bool next(Message& message);
  void clear() noexcept { begin_ = end_ = 0; }

 private:
  void make_room();

  std::unique_ptr<std::byte[]> buffer_;
  std::size_t size_ = 0, begin_ = 0, end_ = 0;
  std::size_t wanted_ = 0;  // bytes of the message that is coming
};

}  // namespace noisefloor
