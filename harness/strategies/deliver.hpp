// How results come back: one function for all strategies.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string_view>

#include "harness/strategies/strategy.hpp"

namespace noisefloor {

enum class Delivery : std::uint8_t {
  collected,  ///< all results in task order, in one call, after the last task is done (map)
  ordered,    ///< in task order, as early as that order allows (imap)
  unordered,  ///< as they come (imap_unordered)
};

struct DeliveryRow {
  std::string_view name;
  std::string_view help;
  std::string_view unavailable;
  Delivery delivery;
};
std::span<const DeliveryRow> deliveries() noexcept;
Delivery select_delivery(std::string_view name);

/// Takes results and their returned bytes (in the order of the results). Never called concurrently; may
/// be called by any worker's thread; must not throw.
using Consumer = std::function<void(std::span<const TaskResult> results, std::span<const std::byte> returned)>;

/// What deliver() saw.
struct DeliveryCount {
  std::uint64_t results = 0;    ///< handed to the consumer
  std::uint64_t failed = 0;     ///< of these, status != 0
  std::uint64_t peak_held = 0;  ///< most results held back at any time
};

/// Runs `executor` once and hands every result to `consume` as `delivery` says. Memory held for ordered
/// delivery is bounded by StrategyOptions::window where the strategy takes tasks in order.
DeliveryCount deliver(Executor& executor, std::uint32_t task_count, Delivery delivery, const Consumer& consume);

}  // namespace noisefloor
