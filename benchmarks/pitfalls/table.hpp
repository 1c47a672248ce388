// The pitfall lab: one file per pitfall, and their table.
// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "harness/measure/pitfall.hpp"

namespace noisefloor {

/// In the order of help, documents and figures: the five of the talk first.
Pitfalls pitfalls() noexcept;

/// What benchmarks/pitfalls/<pitfall>.cpp holds of `variant`, block by block: the lines between
/// "// variant: <names>" and "// end", where the names, separated by blanks, hold it. A block may belong to
/// several variants. The text was taken when the program was built.
std::vector<std::string> code_of(const Pitfall& pitfall, const Variant& variant);

// Defined in the file of their name.
extern const Pitfall kTinyTasks;
extern const Pitfall kUnsendable;
extern const Pitfall kPayloadCopies;
extern const Pitfall kFibonacci;
extern const Pitfall kChunkSize;
extern const Pitfall kCollectedResults;
extern const Pitfall kSerialisedTransform;
extern const Pitfall kThreadsForTheWrongWork;
extern const Pitfall kFalseSharing;
extern const Pitfall kAtomicPerSample;
extern const Pitfall kThreadPerTask;
extern const Pitfall kForkLargeParent;
extern const Pitfall kOversubscription;
extern const Pitfall kNestedParallelism;
extern const Pitfall kWaitPolicy;
extern const Pitfall kLoadImbalance;
extern const Pitfall kHeadOfLine;
extern const Pitfall kUnboundedQueue;
extern const Pitfall kForkAfterOpenmp;
extern const Pitfall kForkHoldingLock;
extern const Pitfall kPipeDeadlock;
extern const Pitfall kPageFaultStorm;
extern const Pitfall kAllocatorContention;
extern const Pitfall kBandwidth;
extern const Pitfall kDenormals;
extern const Pitfall kScalarGenerator;
extern const Pitfall kSharedGenerator;
extern const Pitfall kCopiedGenerator;
extern const Pitfall kMisalignedVectors;
extern const Pitfall kInterleavedChannels;
extern const Pitfall kWrongReadConversion;
extern const Pitfall kReplaceByTruncation;
extern const Pitfall kNoWarmUp;

}  // namespace noisefloor
