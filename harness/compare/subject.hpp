// What is compared: two versions of something with cases, each of which can be launched.
// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace noisefloor::compare {

enum class Arm : std::uint8_t { base, head, control };  ///< old, new, and old again under another name
inline constexpr std::size_t kArms = 3;

enum class End : std::uint8_t {
  ok,
  failed,   ///< crashed, wrote torn results, says so itself, overran its deadline
  skipped,  ///< says itself that it cannot run here
  absent,   ///< this version has no such case
  no_time,  ///< ran, but its time is 0 or no number
  interrupted,
};

/// One launch.
struct Reading {
  End end = End::failed;
  std::vector<double> values;           ///< one of each measure, in ns; nan where that one cannot be used. Only if ok
  std::string message;                  ///< why it is not ok
  double cpu_share = 0;                 ///< CPU time over real time; nan where unknown
  std::chrono::nanoseconds duration{};  ///< of the launch, and what came before it
  std::optional<std::chrono::nanoseconds> measured{};  ///< the part of it that its author times
  std::optional<std::uint64_t> output{};               ///< a digest, where outputs are compared
};

struct Case {
  std::string name;
  bool in_base = true;
  bool in_head = true;
};

/// Not thread-safe.
class Subject {
 public:
  Subject() = default;
  Subject(const Subject&) = delete;
  Subject& operator=(const Subject&) = delete;
  virtual ~Subject() = default;

  [[nodiscard]] virtual const std::vector<Case>& cases() const = 0;
  /// Names of the measures, the preferred one first. One of CPU time has "CPU" in front.
  [[nodiscard]] virtual const std::vector<std::string>& measures() const = 0;
  /// Launches one case of one arm in a fresh process. The first launch of a case and arm, which is not a round's, may
  /// find out how it is to be measured. Throws Error only for what makes all further launches pointless.
  virtual Reading launch(std::size_t number, Arm arm, std::size_t padding_bytes) = 0;
  /// To be called when the first launches of a case are over: equal counts in all arms are settled now.
  virtual void settle(std::size_t /*number*/) {}
  /// What a reader should know of the whole: different libraries, counts that cannot be equal …
  [[nodiscard]] virtual std::vector<std::string> notes() const { return {}; }
};

}  // namespace noisefloor::compare
