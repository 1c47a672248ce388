// Which chunk a rank runs next: a counter that all ranks of a job share.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>

namespace noisefloor {

/// How ranks come by the counter.
enum class CounterKind : std::uint8_t {
  shared,  ///< in memory that all ranks see: one machine
  served,  ///< a thread of rank 0 answers who asks, by messages: any number of machines
};

/// The kind called `name` ("shared" or "served"); "" is `otherwise`. Throws UsageError for another name.
CounterKind counter_kind(std::string_view name, CounterKind otherwise);

/// Hands out chunks 0 … n-1 in order, each once, none further than a window beyond the oldest unfinished one. Made and
/// gone by all ranks together. For the thread of a rank that runs tasks.
class ChunkCounter {
 public:
  ChunkCounter() = default;
  ChunkCounter(const ChunkCounter&) = delete;
  ChunkCounter& operator=(const ChunkCounter&) = delete;
  virtual ~ChunkCounter() = default;

  /// Rank 0, while no other rank takes: all chunks are there again.
  virtual void reset() = 0;

  /// The next chunk for this rank; none when all are taken. Each rank takes until there are none. meanwhile() is called
  /// again and again while the chunk has to be waited for; rank 0 may call advance() in it.
  virtual std::optional<std::uint64_t> take(const std::function<void()>& meanwhile) = 0;

  /// Rank 0: every chunk before `oldest` is finished.
  virtual void advance(std::uint64_t oldest) = 0;
};

/// A counter of `chunks` chunks; `window` as in StrategyOptions. Throws Error where this MPI cannot make it.
std::unique_ptr<ChunkCounter> make_counter(CounterKind kind, std::uint64_t chunks, std::uint32_t window);

}  // namespace noisefloor
