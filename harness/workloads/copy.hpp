// The audio ETL without the noise and without a sound library: the ceiling that the ETL is measured against.
// SPDX-License-Identifier: MIT
#pragma once

#include <memory>

#include "harness/workloads/table.hpp"
#include "harness/workloads/workload.hpp"

namespace noisefloor {

/// One test signal per task: read, pre-allocate, write and publish, through one reused buffer, into the same folders as
/// make_etl(). The digest is that of the inputs' bytes.
std::unique_ptr<Workload> make_copy(const WorkloadOptions& options);

}  // namespace noisefloor
