// Where workers run, by hwloc.
// SPDX-License-Identifier: MIT
#include "harness/strategies/binding.hpp"

#include <fmt/format.h>
#include <hwloc.h>

#include <algorithm>
#include <cerrno>
#include <climits>

#include "harness/base/error.hpp"

namespace noisefloor {
namespace {

struct Free {
  void operator()(hwloc_topology* topology) const noexcept { hwloc_topology_destroy(topology); }
  void operator()(hwloc_bitmap_s* set) const noexcept { hwloc_bitmap_free(set); }
};
using Topology = std::unique_ptr<hwloc_topology, Free>;
using CpuSet = std::unique_ptr<hwloc_bitmap_s, Free>;

/// The CPUs that this process could use when it was first asked; loading them takes milliseconds.
hwloc_topology* here() {
  static const Topology topology = [] {
    hwloc_topology* loaded = nullptr;
    if (hwloc_topology_init(&loaded) != 0) throw system_error("bind: cannot ask for the CPUs", errno);
    Topology owned(loaded);
    if (hwloc_topology_set_flags(loaded,
                                 HWLOC_TOPOLOGY_FLAG_IS_THISSYSTEM | HWLOC_TOPOLOGY_FLAG_RESTRICT_TO_CPUBINDING) != 0 ||
        hwloc_topology_load(loaded) != 0) {
      throw system_error("bind: cannot ask for the CPUs", errno);
    }
    return owned;
  }();
  return topology.get();
}

/// All CPUs, package by package: first hardware threads of all cores, then second ones, …
std::vector<unsigned> cpus_by_package(hwloc_topology* topology) {
  std::vector<hwloc_obj_t> packages;
  for (hwloc_obj_t package = nullptr;
       (package = hwloc_get_next_obj_by_type(topology, HWLOC_OBJ_PACKAGE, package)) != nullptr;) {
    packages.push_back(package);
  }
  if (packages.empty()) packages.push_back(hwloc_get_root_obj(topology));

  std::vector<unsigned> cpus;
  for (const hwloc_obj_t package : packages) {
    struct Place {
      int sibling;
      unsigned cpu;
    };
    std::vector<Place> places;
    const int count = hwloc_get_nbobjs_inside_cpuset_by_type(topology, package->cpuset, HWLOC_OBJ_PU);
    hwloc_obj_t last_core = nullptr;
    int sibling = 0;
    for (int i = 0; i < count; ++i) {
      const hwloc_obj_t cpu =
          hwloc_get_obj_inside_cpuset_by_type(topology, package->cpuset, HWLOC_OBJ_PU, static_cast<unsigned>(i));
      const hwloc_obj_t core = hwloc_get_ancestor_obj_by_type(topology, HWLOC_OBJ_CORE, cpu);
      sibling = core != nullptr && core == last_core ? sibling + 1 : 0;
      last_core = core;
      places.push_back({sibling, cpu->os_index});
    }
    std::stable_sort(places.begin(), places.end(),
                     [](const Place& a, const Place& b) { return a.sibling < b.sibling; });
    for (const Place& place : places) cpus.push_back(place.cpu);
  }
  return cpus;
}

/// `count` CPUs, at most as many as there are, as far apart as can be.
std::vector<unsigned> distant_cpus(hwloc_topology* topology, std::size_t count) {
  std::vector<hwloc_bitmap_t> sets(count, nullptr);
  hwloc_obj_t root = hwloc_get_root_obj(topology);
  if (hwloc_distrib(topology, &root, 1, sets.data(), static_cast<unsigned>(count), INT_MAX, 0) != 0) {
    throw Error("bind: hwloc cannot spread the workers over the CPUs");
  }
  std::vector<unsigned> cpus;
  for (const hwloc_bitmap_t set : sets) {
    const CpuSet owned(set);
    cpus.push_back(static_cast<unsigned>(hwloc_bitmap_first(set)));
  }
  return cpus;
}

}  // namespace

std::vector<unsigned> worker_cpus(hwloc_topology* topology, int workers, Bind bind) {
  std::vector<unsigned> cpus = cpus_by_package(topology);
  if (cpus.empty()) throw Error("bind: the system tells of no CPU that this process may use");
  const auto wanted = static_cast<std::size_t>(workers);
  if (bind == Bind::spread && wanted < cpus.size()) cpus = distant_cpus(topology, wanted);
  const std::size_t distinct = cpus.size();
  cpus.resize(wanted);
  for (std::size_t worker = distinct; worker < wanted; ++worker) cpus[worker] = cpus[worker - distinct];
  return cpus;
}

Binding::Binding(int workers, Bind bind) {
  if (bind != Bind::none) cpus_ = worker_cpus(here(), workers, bind);
}

void Binding::tie(std::size_t worker) const {
  if (is_none()) return;
  const CpuSet set(hwloc_bitmap_alloc());
  if (!set || hwloc_bitmap_only(set.get(), cpus_[worker]) != 0) throw std::bad_alloc();
  if (hwloc_set_cpubind(here(), set.get(), HWLOC_CPUBIND_THREAD | HWLOC_CPUBIND_STRICT) != 0) {
    throw system_error(fmt::format("bind: worker {} cannot be tied to CPU {}", worker, cpus_[worker]), errno);
  }
}

void Binding::untie() const noexcept {
  if (is_none()) return;
  // What cannot be undone stays: the thread goes on where it is.
  static_cast<void>(hwloc_set_cpubind(here(), hwloc_topology_get_topology_cpuset(here()), HWLOC_CPUBIND_THREAD));
}

void bind_worker(int index, int workers, Bind bind) { Binding(workers, bind).tie(static_cast<std::size_t>(index)); }

}  // namespace noisefloor
