// Counters of the kernel's performance events: instructions and cycles, where the machine lets us read them.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "harness/base/unique_fd.hpp"

namespace noisefloor {

/// An event as perf_event_open() names it: `type` and `config` of perf_event_attr.
struct CounterEvent {
  std::uint32_t type;
  std::uint64_t config;
};

extern const CounterEvent kInstructions;
extern const CounterEvent kCycles;

/// Counts an event in this thread and in all threads and processes that it starts after the counter was made,
/// and they in turn. In user mode and in the kernel where that is allowed, else in user mode only. Counts from
/// its making on: differences are what counts.
class Counter {
 public:
  explicit Counter(const CounterEvent& event);

  /// Empty: it counts. Else why it cannot.
  [[nodiscard]] const std::string& unavailable() const noexcept { return unavailable_; }
  [[nodiscard]] bool counts_kernel() const noexcept { return counts_kernel_; }
  /// The count so far; where the CPU had to share its counters between more events than it has, extrapolated
  /// from the time that this one was counted. Empty where it does not count.
  [[nodiscard]] std::optional<std::uint64_t> read() const;

 private:
  UniqueFd fd_;
  std::string unavailable_;
  bool counts_kernel_ = false;
};

/// Why `instructions` and `cycles` stay empty on this machine; empty if they are counted.
const std::string& counters_unavailable();

}  // namespace noisefloor
