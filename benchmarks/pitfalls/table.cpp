// The table of pitfalls.
// SPDX-License-Identifier: MIT
#include "benchmarks/pitfalls/table.hpp"

#include <array>

#include "benchmarks/pitfalls/sources.hpp"

namespace noisefloor {
namespace {

constexpr std::array kPitfalls{
    // The five of the talk; chunk size has two faces.
    &kTinyTasks,
    &kUnsendable,
    &kPayloadCopies,
    &kFibonacci,
    &kChunkSize,
    &kCollectedResults,
    // What else users meet.
    &kSerialisedTransform,
    &kThreadsForTheWrongWork,
    &kFalseSharing,
    &kAtomicPerSample,
    &kThreadPerTask,
    &kForkLargeParent,
    &kOversubscription,
    &kNestedParallelism,
    &kWaitPolicy,
    &kLoadImbalance,
    &kHeadOfLine,
    &kUnboundedQueue,
    &kForkAfterOpenmp,
    &kForkHoldingLock,
    &kPipeDeadlock,
    &kPageFaultStorm,
    &kAllocatorContention,
    &kBandwidth,
    &kDenormals,
    &kScalarGenerator,
    &kSharedGenerator,
    &kCopiedGenerator,
    &kMisalignedVectors,
    &kInterleavedChannels,
    &kWrongReadConversion,
    &kReplaceByTruncation,
    &kNoWarmUp,
};

/// The next line of `text`, which is taken off it.
std::string_view next_line(std::string_view& text) {
  const std::size_t end = text.find('\n');
  const std::string_view line = text.substr(0, end);
  text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
  return line;
}

bool names(std::string_view list, std::string_view name) {
  while (!list.empty()) {
    const std::size_t blank = list.find(' ');
    if (list.substr(0, blank) == name) return true;
    list = blank == std::string_view::npos ? std::string_view() : list.substr(blank + 1);
  }
  return false;
}

}  // namespace

Pitfalls pitfalls() noexcept { return kPitfalls; }

std::vector<std::string> code_of(const Pitfall& pitfall, const Variant& variant) {
  constexpr std::string_view kBegin = "// variant: ";
  constexpr std::string_view kEnd = "// end";
  std::vector<std::string> blocks;
  for (const PitfallSource& source : pitfall_sources()) {
    if (source.name != pitfall.name) continue;
    bool inside = false;
    for (std::string_view left = source.text; !left.empty();) {
      const std::string_view line = next_line(left);
      if (line.starts_with(kBegin)) {
        inside = names(line.substr(kBegin.size()), variant.name);
        if (inside) blocks.emplace_back();
      } else if (line == kEnd) {
        inside = false;
      } else if (inside) {
        blocks.back().append(line).append("\n");
      }
    }
  }
  return blocks;
}

}  // namespace noisefloor
