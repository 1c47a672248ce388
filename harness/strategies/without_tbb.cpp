// The strategies on oneTBB where it is not there: named in the table, and refused.
// SPDX-License-Identifier: MIT
#include "harness/base/error.hpp"
#include "harness/strategies/std_par.hpp"
#include "harness/strategies/tbb.hpp"
#include "harness/strategies/tbb_missing.hpp"
#include "harness/strategies/tbb_tasks.hpp"

namespace noisefloor {

std::string refuse_std_par(const StrategyOptions&) { return std::string(kNoTbb); }
std::string refuse_tbb(const StrategyOptions&) { return std::string(kNoTbb); }
std::string refuse_tbb_tasks(const StrategyOptions&) { return std::string(kNoTbb); }

std::unique_ptr<Executor> make_std_par(const Workload&, const StrategyOptions&) {
  throw MissingError(std::string(kNoTbb));
}
std::unique_ptr<Executor> make_tbb(const Workload&, const StrategyOptions&) { throw MissingError(std::string(kNoTbb)); }
std::unique_ptr<Executor> make_tbb_tasks(const Workload&, const StrategyOptions&) {
  throw MissingError(std::string(kNoTbb));
}

}  // namespace noisefloor
