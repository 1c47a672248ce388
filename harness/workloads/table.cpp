// The table of workloads, and the choice of a kernel by name.
// SPDX-License-Identifier: MIT
#include "harness/workloads/table.hpp"

#include <fmt/format.h>

#include <array>
#include <cstdlib>
#include <vector>

#include "harness/base/error.hpp"
#include "harness/base/names.hpp"
#include "harness/workloads/command.hpp"
#include "harness/workloads/copy.hpp"
#include "harness/workloads/etl.hpp"
#include "harness/workloads/library.hpp"
#include "harness/workloads/multiply.hpp"
#include "harness/workloads/noise.hpp"
#include "harness/workloads/payload.hpp"
#include "harness/workloads/sound_inputs.hpp"
#include "harness/workloads/spin.hpp"
#include "harness/workloads/wait.hpp"

namespace noisefloor {
namespace {

// One row per workload: name, help, why not here, unit of task_size, uses a kernel, uses files, maker.
constexpr std::array kWorkloads = {
    WorkloadRow{"etl",
                "read sound files, add noise, write them back",
                "",
                "samples",
                true,
                true,
                make_etl,
                describe_sound_inputs,
                {},
                "inputs"},
    WorkloadRow{"copy",
                "the ETL without the noise and without a sound library: its ceiling",
                "",
                "samples",
                false,
                true,
                make_copy,
                describe_sound_inputs,
                {},
                "inputs"},
    WorkloadRow{"noise", "the same in memory: noise added to consecutive slices of one signal", "", "samples", true,
                false, make_noise},
    WorkloadRow{"spin", "a dependent chain of fixed length: pure computing, no memory", "", "steps", false, false,
                make_spin},
    WorkloadRow{"wait", "blocked, not busy: a sleep", "", "ns", false, false, make_wait},
    WorkloadRow{"multiply", "numbers times ten: tasks so small that handing them out is all", "", "items", false, false,
                make_multiply},
    WorkloadRow{"payload", "bytes made and returned: what bringing results back costs", "", "bytes", false, false,
                make_payload},
    WorkloadRow{"library", "your own function, from a shared library", "", "its own unit", false, false, make_library,
                describe_library, "library"},
    WorkloadRow{"command", "your own command, run over files", "", "inputs of their own sizes", false, false,
                make_command, describe_command, "command inputs"},
};

constexpr const char* kKernelVariable = "NOISEFLOOR_KERNEL";
constexpr std::string_view kAuto = "auto";

const Kernel& widest_kernel() {
  std::string reasons;
  for (const Kernel& kernel : kernels()) {
    if (kernel.unavailable.empty()) return kernel;
    reasons += fmt::format("; {}: {}", kernel.name, kernel.unavailable);
  }
  throw MissingError("no kernel can run here" + reasons);
}

const Kernel& named_kernel(std::string_view name) {
  for (const Kernel& kernel : kernels()) {
    if (kernel.name != name) continue;
    if (kernel.unavailable.empty()) return kernel;
    throw MissingError(
        fmt::format("kernel {} cannot run here: {}; `auto` takes the widest that can", name, kernel.unavailable));
  }
  std::vector<std::string_view> choices = {kAuto};
  for (const Kernel& kernel : kernels()) choices.push_back(kernel.name);
  throw_unknown("kernel", name, choices);
}

}  // namespace

std::span<const WorkloadRow> workloads() noexcept { return kWorkloads; }

const WorkloadRow& select_workload(std::string_view name) { return find_by_name(kWorkloads, name, "workload"); }

const Kernel& select_kernel(std::string_view name) {
  if (name != kAuto) return named_kernel(name);
  const char* forced = std::getenv(kKernelVariable);
  if (forced == nullptr || *forced == '\0' || forced == kAuto) return widest_kernel();
  try {
    return named_kernel(forced);
  } catch (const MissingError& error) {
    throw MissingError(fmt::format("{} is set: {}", kKernelVariable, error.what()));
  } catch (const UsageError& error) {
    throw UsageError(fmt::format("{} is set: {}", kKernelVariable, error.what()));
  }
}

std::string_view kernel_defining(std::string_view name) {
  if (name == kAuto) return select_kernel(name).bytes_of;
  for (const Kernel& kernel : kernels()) {
    if (kernel.name == name) return kernel.bytes_of;
  }
  return name;
}

}  // namespace noisefloor
