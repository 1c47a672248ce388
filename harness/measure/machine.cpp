// Machine facts from /proc, /sys, hwloc and the build.
// SPDX-License-Identifier: MIT
#include "harness/measure/machine.hpp"

#include <fmt/format.h>
#include <hwloc.h>
#include <sched.h>
#include <sndfile.h>
#include <strings.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>

#include "harness/base/error.hpp"
#include "harness/strategies/openmp.hpp"
#include "kernels/kernel.hpp"
#include "noisefloor_version.hpp"

namespace noisefloor {
namespace {

using nlohmann::json;

constexpr const char* kUnavailable = "unavailable";

/// The facts that make times comparable. What drifts (load, clock, free memory) and what is another build's
/// matter (compiler, commit) is left out.
constexpr const char* kComparable[] = {"/cpu/model",   "/cpu/flags",      "/workers", "/memory/bytes",
                                       "/file_system", "/kernel/release", "/topology"};

std::string first_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

std::string first_line_or_unavailable(const std::string& path) {
  std::string line = first_line(path);
  return line.empty() ? kUnavailable : line;
}

/// The value of the first "key : value" line of /proc/cpuinfo whose key is `key`.
std::string cpuinfo(std::string_view key) {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with(key)) continue;
    const std::size_t colon = line.find(':');
    if (colon == std::string::npos || line.find_last_not_of(" \t", colon - 1) + 1 != key.size()) continue;
    const std::size_t start = line.find_first_not_of(' ', colon + 1);
    return start == std::string::npos ? std::string() : line.substr(start);
  }
  return {};
}

int affinity_count() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
  const long online = sysconf(_SC_NPROCESSORS_ONLN);
  return online > 0 ? static_cast<int>(online) : 1;
}

/// This process's folder in the hierarchy that has controller `controller` (empty: the unified one).
std::optional<std::string> cgroup_path(std::string_view controller) {
  std::ifstream file("/proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {
    const std::size_t first = line.find(':');
    const std::size_t second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    std::stringstream names(line.substr(first + 1, second - first - 1));
    if (controller.empty() && second == first + 1) return line.substr(second + 1);
    for (std::string name; std::getline(names, name, ',');) {
      if (name == controller) return line.substr(second + 1);
    }
  }
  return std::nullopt;
}

/// CPUs granted by the tightest quota from `folder` up to `root`; `read` gives one folder's quota.
template <class Read>
std::optional<double> tightest(const std::string& root, std::string path, Read read) {
  std::optional<double> least;
  while (true) {
    if (const std::optional<double> quota = read(root + path); quota && (!least || *quota < *least)) least = quota;
    if (path.empty() || path == "/") return least;
    path.resize(path.find_last_of('/'));
  }
}

std::optional<double> quota_v2(const std::string& folder) {
  std::stringstream line(first_line(folder + "/cpu.max"));
  std::string quota;
  double period = 0;
  if (!(line >> quota >> period) || quota == "max" || period <= 0) return std::nullopt;
  return std::stod(quota) / period;
}

std::optional<double> quota_v1(const std::string& folder) {
  std::stringstream quota_line(first_line(folder + "/cpu.cfs_quota_us"));
  std::stringstream period_line(first_line(folder + "/cpu.cfs_period_us"));
  double quota = 0;
  double period = 0;
  if (!(quota_line >> quota) || !(period_line >> period) || quota <= 0 || period <= 0) return std::nullopt;
  return quota / period;
}

/// CPUs that the cgroups grant, of version 1 and 2; empty without a quota.
std::optional<double> cgroup_quota() {
  std::optional<double> least;
  const auto take = [&](std::optional<double> quota) {
    if (quota && (!least || *quota < *least)) least = quota;
  };
  if (const auto path = cgroup_path("")) {
    for (const char* root : {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"}) take(tightest(root, *path, quota_v2));
  }
  if (const auto path = cgroup_path("cpu")) {
    for (const char* root : {"/sys/fs/cgroup/cpu", "/sys/fs/cgroup/cpu,cpuacct"}) {
      take(tightest(root, *path, quota_v1));
    }
  }
  return least;
}

json topology() {
  json facts = json::object();
  hwloc_topology_t raw = nullptr;
  if (hwloc_topology_init(&raw) != 0) return facts;
  const std::unique_ptr<std::remove_pointer_t<hwloc_topology_t>, void (*)(hwloc_topology_t)> topology(
      raw, hwloc_topology_destroy);
  if (hwloc_topology_load(raw) != 0) return facts;
  const auto count = [&](hwloc_obj_type_t type) { return hwloc_get_nbobjs_by_type(raw, type); };
  facts["packages"] = count(HWLOC_OBJ_PACKAGE);
  facts["numa_nodes"] = count(HWLOC_OBJ_NUMANODE);
  facts["cores"] = count(HWLOC_OBJ_CORE);
  facts["cpus"] = count(HWLOC_OBJ_PU);
  facts["smt"] = count(HWLOC_OBJ_PU) > count(HWLOC_OBJ_CORE);
  json caches = json::array();
  for (const auto type : {HWLOC_OBJ_L1CACHE, HWLOC_OBJ_L2CACHE, HWLOC_OBJ_L3CACHE}) {
    const hwloc_obj_t cache = hwloc_get_obj_by_type(raw, type, 0);
    if (cache == nullptr || cache->attr == nullptr) continue;
    caches.push_back({{"level", cache->attr->cache.depth},
                      {"size_bytes", cache->attr->cache.size},
                      {"line_bytes", cache->attr->cache.linesize},
                      {"count", count(type)}});
  }
  facts["caches"] = caches;
  return facts;
}

std::string file_system_type(const std::string& folder) {
  struct statfs stats {};
  std::filesystem::path path = folder;
  while (statfs(path.c_str(), &stats) != 0) {
    if (!path.has_parent_path() || path == path.parent_path()) return kUnavailable;
    path = path.parent_path();
  }
  switch (static_cast<std::uint32_t>(stats.f_type)) {
    case 0xEF53:
      return "ext4";
    case 0x58465342:
      return "xfs";
    case 0x9123683E:
      return "btrfs";
    case 0x01021994:
      return "tmpfs";
    case 0x794C7630:
      return "overlay";
    case 0x6969:
      return "nfs";
    case 0x2FC12FC1:
      return "zfs";
    case 0xF2F52010:
      return "f2fs";
    default:
      return fmt::format("{:#x}", static_cast<std::uint32_t>(stats.f_type));
  }
}

std::uint64_t memory_bytes() {
  return static_cast<std::uint64_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
}

/// Variables that change how a launch runs and are no factor of any cell: those of OpenMP's runtimes, of the
/// C library's allocator and of the dynamic linker, and ours.
json environment() {
  constexpr std::string_view kBeginnings[] = {"OMP_", "GOMP_",   "KMP_",           "LIBOMP_",          "TBB_",
                                              "LD_",  "MALLOC_", "GLIBC_TUNABLES", "NOISEFLOOR_KERNEL"};
  json set = json::object();
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const std::size_t equals = text.find('=');
    if (equals == std::string_view::npos || equals + 1 == text.size()) continue;
    if (std::any_of(std::begin(kBeginnings), std::end(kBeginnings),
                    [&](std::string_view beginning) { return text.starts_with(beginning); })) {
      set[std::string(text.substr(0, equals))] = text.substr(equals + 1);
    }
  }
  return set;
}

std::optional<std::uint64_t> whole(const std::string& text) {
  try {
    return std::stoull(text);
  } catch (const std::exception&) {
    return std::nullopt;
  }
}

}  // namespace

int available_workers() {
  int workers = affinity_count();
  if (const auto quota = cgroup_quota()) workers = std::min(workers, static_cast<int>(std::ceil(*quota)));
  return std::max(workers, 1);
}

std::string openmp_pinning() {
  const auto value_of = [](const char* name) {
    const char* value = std::getenv(name);
    return std::string(value != nullptr ? value : "");
  };
  const std::string bind = value_of("OMP_PROC_BIND");
  if (::strcasecmp(bind.c_str(), "false") == 0) return {};  // the others are not asked
  for (const char* name : {"OMP_PROC_BIND", "OMP_PLACES", "GOMP_CPU_AFFINITY", "KMP_AFFINITY"}) {
    const std::string value = value_of(name);
    if (!value.empty() && value != "none" && value != "disabled") return fmt::format("{}={}", name, value);
  }
  return {};
}

std::string build_id() {
  static const std::string id = [] {
    std::ifstream file("/proc/self/exe", std::ios::binary);
    std::unique_ptr<XXH3_state_t, XXH_errorcode (*)(XXH3_state_t*)> state(XXH3_createState(), XXH3_freeState);
    if (!file || !state) throw Error("the program's own file /proc/self/exe cannot be read");
    XXH3_64bits_reset(state.get());
    std::vector<char> buffer(1 << 16);
    while (file.read(buffer.data(), static_cast<std::streamsize>(buffer.size())) || file.gcount() > 0) {
      XXH3_64bits_update(state.get(), buffer.data(), static_cast<std::size_t>(file.gcount()));
    }
    return fmt::format("{:016x}", XXH3_64bits_digest(state.get()));
  }();
  return id;
}

std::string describe_differences(const nlohmann::json& before, const nlohmann::json& now) {
  std::string text;
  for (const char* path : kComparable) {
    const json::json_pointer pointer(path);
    if (!before.contains(pointer) || before.at(pointer) == now.at(pointer)) continue;
    text += fmt::format("{} {} was {}, is {}", text.empty() ? ":" : ";", path + 1, before.at(pointer).dump(),
                        now.at(pointer).dump());
  }
  return text;
}

std::string machine_id(const nlohmann::json& facts) {
  json comparable = json::array();
  for (const char* path : kComparable) comparable.push_back(facts.at(json::json_pointer(path)));
  const std::string text = comparable.dump();
  return fmt::format("{:016x}", XXH3_64bits(text.data(), text.size())).substr(0, 8);
}

nlohmann::json machine_facts(const std::string& corpus_folder) {
  utsname system{};
  uname(&system);
  json facts;
  facts["cpu"] = {{"model", cpuinfo("model name")}, {"flags", cpuinfo("flags")}};
  const auto quota = cgroup_quota();
  facts["workers"] = available_workers();
  facts["cpus_allowed"] = affinity_count();
  facts["cgroup_quota_cpus"] = quota ? json(*quota) : json(nullptr);
  facts["topology"] = topology();
  facts["memory"] = {
      {"bytes", memory_bytes()},
      {"transparent_huge_pages", first_line_or_unavailable("/sys/kernel/mm/transparent_hugepage/enabled")},
      {"dirty_background_ratio", first_line_or_unavailable("/proc/sys/vm/dirty_background_ratio")},
      {"dirty_ratio", first_line_or_unavailable("/proc/sys/vm/dirty_ratio")}};
  facts["kernel"] = {{"release", system.release}, {"version", system.version}};
  facts["virtual_machine"] = facts["cpu"]["flags"].get<std::string>().find("hypervisor") != std::string::npos;
  facts["governor"] = first_line_or_unavailable("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor");
  facts["clock_source"] = first_line_or_unavailable("/sys/devices/system/clocksource/clocksource0/current_clocksource");
  facts["load_average"] = first_line_or_unavailable("/proc/loadavg");
  facts["corpus_folder"] = corpus_folder;
  facts["file_system"] = file_system_type(corpus_folder);
  json kernels_here = json::array();
  for (const Kernel& kernel : kernels()) {
    if (kernel.unavailable.empty()) kernels_here.push_back(kernel.name);
  }
  facts["kernels"] = kernels_here;
  facts["openmp_runtime"] = openmp_runtime();
  facts["environment"] = environment();
  facts["libraries"] = {{"libsndfile", sf_version_string()}, {"hwloc", HWLOC_VERSION}, {"fmt", FMT_VERSION}};
  facts["build"] = {{"version", kVersion},   {"git_sha", kGitSha},      {"dirty", kGitDirty},
                    {"compiler", kCompiler}, {"flags", kCompilerFlags}, {"type", kBuildType}};
  facts["build_id"] = build_id();
  facts["machine_id"] = machine_id(facts);
  return facts;
}

std::vector<std::string> doubts(const nlohmann::json& facts) {
  std::vector<std::string> said;
  const int workers = facts.at("workers");
  if (facts.at("virtual_machine").get<bool>()) {
    said.emplace_back(
        "This is a virtual machine: neighbours take time (steal_ticks counts what the hypervisor admits). Trust ratios "
        "of interleaved runs, not absolute times.");
  }
  if (const std::string governor = facts.at("governor"); governor == kUnavailable) {
    said.emplace_back("The CPU governor cannot be read: the clock may change during a run, unseen.");
  } else if (governor != "performance") {
    said.emplace_back(fmt::format("The CPU governor is '{}': set it to 'performance' for steadier times.", governor));
  }
  if (facts.at("topology").value("smt", false)) {
    said.emplace_back("Hyper-threads share cores: two workers on one core are not two cores. Pin with taskset.");
  }
  if (facts.at("cgroup_quota_cpus").is_number()) {
    said.emplace_back(fmt::format("A cgroup quota of {:.2f} CPUs throttles: {} workers are the most that make sense.",
                                  facts.at("cgroup_quota_cpus").get<double>(), workers));
  }
  if (workers < 4) {
    said.emplace_back(fmt::format("Only {} CPU{} here: scaling beyond that cannot be seen.", workers,
                                  workers == 1 ? " is" : "s are"));
  }
  std::stringstream load(facts.at("load_average").get<std::string>());
  if (double average = 0; load >> average && average > 0.5 * workers) {
    said.emplace_back(
        fmt::format("The load average is {:.2f} with {} CPUs: other work runs. Wait until it ends.", average, workers));
  }
  for (const auto& [name, value] : facts.at("environment").items()) {
    said.emplace_back(fmt::format(
        "{}={} is set and may change how launches run, which no column of a run tells: unset it, or compare only with "
        "runs whose machine.json has it too.",
        name, value.get<std::string>()));
  }
  if (const auto ratio = whole(facts.at("memory").at("dirty_background_ratio").get<std::string>())) {
    const double bytes = facts.at("memory").at("bytes").get<double>() * static_cast<double>(*ratio) / 100.0;
    if (bytes < 2e9) {
      said.emplace_back(fmt::format(
          "Write-back starts at about {:.1f} GB of unwritten data: larger outputs are written during the measurement.",
          bytes / 1e9));
    }
  }
  if (const std::string type = facts.at("file_system"); type == "tmpfs" || type == "overlay" || type == "nfs") {
    said.emplace_back(
        fmt::format("Test signals lie on {}: set NOISEFLOOR_CACHE to a folder on a local disk to measure files as they "
                    "usually are.",
                    type));
  }
  if (facts.at("build").at("type") != "Release") {
    said.emplace_back(fmt::format("This is a {} build: measure with the release preset.",
                                  facts.at("build").at("type").get<std::string>()));
  }
  if (facts.at("build").at("dirty").get<bool>()) {
    said.emplace_back("The program was built from changed files: its commit does not tell what it does.");
  }
  return said;
}

}  // namespace noisefloor
