// The strategy on io_uring where liburing is not there: named in the table, and refused.
// SPDX-License-Identifier: MIT
#include "harness/base/error.hpp"
#include "harness/strategies/async_io.hpp"
#include "harness/strategies/uring_missing.hpp"

namespace noisefloor {

std::string_view no_io_uring() noexcept { return kNoUring; }
std::string refuse_async_io(const StrategyOptions&) { return std::string(kNoUring); }
std::unique_ptr<Executor> make_async_io(const Workload&, const StrategyOptions&) {
  throw MissingError(std::string(kNoUring));
}

}  // namespace noisefloor
