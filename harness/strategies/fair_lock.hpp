// A lock that is held in the order in which it was asked for.
// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "harness/strategies/chunks.hpp"

namespace noisefloor {

/// First come, first served: tickets, and for each ticket a place of its own to sleep at, so that unlock() wakes the
/// one whose turn it is and nobody else. For at most as many threads at a time as it was made for. A BasicLockable.
class FairLock {
 public:
  explicit FairLock(std::size_t threads) : places_(std::bit_ceil(threads)) {
    // Place k waits for tickets k, k + size, …: the turn before its first is none that was given out.
    const auto size = static_cast<std::uint32_t>(places_.size());
    for (std::uint32_t place = 1; place < size; ++place) places_[place].turn.store(place - size);
  }

  void lock() noexcept {
    const std::uint32_t ticket = next_.fetch_add(1, std::memory_order_relaxed);
    std::atomic<std::uint32_t>& turn = place_of(ticket).turn;
    for (std::uint32_t now = turn.load(std::memory_order_acquire); now != ticket;
         now = turn.load(std::memory_order_acquire)) {
      turn.wait(now, std::memory_order_acquire);
    }
    held_ = ticket;
  }
  void unlock() noexcept {
    const std::uint32_t ticket = held_ + 1;
    std::atomic<std::uint32_t>& turn = place_of(ticket).turn;
    turn.store(ticket, std::memory_order_release);
    turn.notify_one();
  }

 private:
  struct alignas(kLineBytes) Place {
    std::atomic<std::uint32_t> turn{0};
  };

  Place& place_of(std::uint32_t ticket) noexcept { return places_[ticket & (places_.size() - 1)]; }

  std::vector<Place> places_;
  alignas(kLineBytes) std::atomic<std::uint32_t> next_{0};
  std::uint32_t held_ = 0;  // by the thread that holds the lock
};

}  // namespace noisefloor
