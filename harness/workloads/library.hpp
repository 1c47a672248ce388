// A user's function, from a shared library.
// SPDX-License-Identifier: MIT
#pragma once

#include <memory>

#include "harness/workloads/table.hpp"

namespace noisefloor {

/// The work that options.work.library exports, opened anew. Throws UsageError where it cannot be loaded (with the
/// loader's words), is made for another version of the interface, has fewer tasks than options.tasks, or refuses to
/// open; Error where it is not the one that options.work.id tells of.
std::unique_ptr<Workload> make_library(const WorkloadOptions& options);

/// Asks the library in a process of its own, since it may crash. Throws as make_library(), and UsageError if it does.
WorkFacts describe_library(const WorkloadOptions& options);

}  // namespace noisefloor
