// Shards by number, or by the variables of a job array.
// SPDX-License-Identifier: MIT
#include "harness/commands/process/shard.hpp"

#include <fmt/format.h>

#include <charconv>
#include <cstdlib>
#include <system_error>

#include "harness/base/error.hpp"

namespace noisefloor {
namespace {

template <class Number>
std::optional<Number> number_of(std::string_view text) {
  Number value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<std::int64_t> variable(const char* name) {
  const char* text = std::getenv(name);
  if (text == nullptr || *text == '\0') return std::nullopt;
  const auto value = number_of<std::int64_t>(text);
  if (!value) throw UsageError(fmt::format("{} is '{}': it must be a number", name, text));
  return value;
}

/// The member's number in its array, from 1.
Shard member_of_array(std::uint32_t count, std::string_view option,
                      const std::function<std::optional<std::int64_t>(std::uint32_t count)>& first_recorded) {
  const auto id = variable("SLURM_ARRAY_TASK_ID"), smallest = variable("SLURM_ARRAY_TASK_MIN");
  if (!id || !smallest) {
    throw UsageError(
        fmt::format("--shard {}: SLURM_ARRAY_TASK_ID and SLURM_ARRAY_TASK_MIN are not set: this is no member of a job "
                    "array; start it with sbatch --array=1-{}, or name the shard: --shard K/{}",
                    option, count, count));
  }
  std::int64_t first = *smallest, step = 1;
  const auto largest = variable("SLURM_ARRAY_TASK_MAX"), members = variable("SLURM_ARRAY_TASK_COUNT");
  if (largest && members && *members > 1) {
    // Slurm tells the step of the last range of a list, too: it counts where it explains all members.
    const std::int64_t told = variable("SLURM_ARRAY_TASK_STEP").value_or(1);
    if (told > 0 && *largest - *smallest == told * (*members - 1)) step = told;
  }
  if (members && *members != count) {
    const auto recorded = *members < count ? first_recorded(count) : std::nullopt;
    if (!recorded) {
      throw UsageError(
          fmt::format("--shard {}: the job array has {} members, and nothing in OUT tells where the array of {} began: "
                      "submit an array of {}, or name the shard: --shard K/{}",
                      option, *members, count, count, count));
    }
    first = *recorded;
    step = 1;
  }
  const std::int64_t number = (*id - first) / step + 1;
  if (*id < first || number > count) {
    throw UsageError(fmt::format(
        "--shard {}: SLURM_ARRAY_TASK_ID {} is member {} of an array that begins at {}: there are {} shards", option,
        *id, number, first, count));
  }
  return {static_cast<std::uint32_t>(number), count, step == 1 ? std::optional(first) : std::nullopt};
}

}  // namespace

bool Shard::holds(std::uint64_t stream) const noexcept {
  stream = (stream ^ (stream >> 33)) * 0xff51afd7ed558ccdU;
  stream = (stream ^ (stream >> 33)) * 0xc4ceb9fe1a85ec53U;
  stream ^= stream >> 33;
  return stream % count == number - 1;
}

std::string Shard::text() const { return fmt::format("{}/{}", number, count); }

Shard shard_of(std::string_view text,
               const std::function<std::optional<std::int64_t>(std::uint32_t count)>& first_recorded) {
  constexpr std::uint32_t kMost = 1'000'000;
  const std::size_t slash = text.find('/');
  const auto count = slash == std::string_view::npos ? std::nullopt : number_of<std::uint32_t>(text.substr(slash + 1));
  if (!count || *count < 1 || *count > kMost) {
    throw UsageError(fmt::format(
        "--shard {}: give K/N, part K of N, or auto/N in a Slurm job array, with N from 1 to {}", text, kMost));
  }
  if (text.substr(0, slash) == "auto") return member_of_array(*count, text, first_recorded);
  const auto number = number_of<std::uint32_t>(text.substr(0, slash));
  if (!number || *number < 1 || *number > *count) {
    throw UsageError(fmt::format("--shard {}: K must lie between 1 and {}, or be 'auto'", text, *count));
  }
  return {.number = *number, .count = *count};
}

}  // namespace noisefloor
