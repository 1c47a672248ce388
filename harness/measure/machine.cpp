// Machine facts from /proc, /sys, hwloc and the build.
// SPDX-License-Identifier: MIT
#include "harness/measure/machine.hpp"

#include <fmt/format.h>
#include <gnu/libc-version.h>
#include <hwloc.h>
#include <link.h>
#include <sndfile.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>

#include "harness/audio/signals.hpp"
#include "harness/base/error.hpp"
#include "harness/base/limits.hpp"
#include "harness/base/say.hpp"
#include "harness/measure/counters.hpp"
#include "harness/strategies/openmp.hpp"
#include "harness/strategies/openmp_settings.hpp"
#include "kernels/kernel.hpp"
#include "noisefloor_version.hpp"

namespace noisefloor {
namespace {

using nlohmann::json;

constexpr const char* kUnavailable = "unavailable";

/// What the files of the default corpus hold, made or not.
constexpr double kFullCorpusBytes = 2.0 * static_cast<double>(kCorpusTasks * kCorpusFrames);

/// The facts that make times comparable. What drifts (load, clock, free memory) and what is another build's
/// matter (compiler, commit) is left out.
constexpr const char* kComparable[] = {"/cpu/model",   "/cpu/flags",      "/workers", "/memory/bytes",
                                       "/file_system", "/kernel/release", "/topology"};

/// No fact of the machine, but one run has one only.
constexpr const char* kEnvironment = "/environment";

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

/// The value of "key: N kB" in /proc/meminfo, in bytes.
std::optional<std::uint64_t> meminfo(std::string_view key) {
  std::ifstream file("/proc/meminfo");
  for (std::string line; std::getline(file, line);) {
    if (line.size() <= key.size() || !line.starts_with(key) || line[key.size()] != ':') continue;
    const auto kib = whole(line.substr(key.size() + 1));
    return kib ? std::optional(*kib * 1024) : std::nullopt;
  }
  return std::nullopt;
}

/// How much unwritten data there may be before the kernel begins to write it back, and before writers must wait:
/// a number of bytes, or a share of the memory that is available.
json write_back(const char* what) {
  const std::string folder = "/proc/sys/vm/";
  if (const auto bytes = whole(first_line(folder + what + "_bytes")); bytes && *bytes != 0) return *bytes;
  const auto ratio = whole(first_line(folder + what + "_ratio"));
  const auto available = meminfo("MemAvailable");
  if (!ratio || !available) return kUnavailable;
  return *available / 100 * *ratio;
}

/// The largest corpus of test signals below `folder`, in bytes.
std::uint64_t largest_corpus(const std::string& folder) {
  namespace fs = std::filesystem;
  std::uint64_t largest = 0;
  std::error_code error;
  for (fs::directory_iterator corpus(folder + "/signals", error), end; !error && corpus != end;
       corpus.increment(error)) {
    std::uint64_t bytes = 0;
    std::error_code ignored;
    for (fs::directory_iterator file(corpus->path(), ignored), last; !ignored && file != last;
         file.increment(ignored)) {
      std::error_code gone;
      if (const auto size = file->file_size(gone); !gone) bytes += size;
    }
    largest = std::max(largest, bytes);
  }
  return largest;
}

/// The share of CPU time since boot that the hypervisor took, in percent.
json steal_percent() {
  std::stringstream line(first_line("/proc/stat"));
  std::string cpu;
  line >> cpu;
  double total = 0;
  double stolen = 0;
  double ticks = 0;
  for (int column = 0; column < 8 && line >> ticks;
       ++column) {  // user, nice, system, idle, iowait, irq, softirq, steal
    total += ticks;
    if (column == 7) stolen = ticks;
  }
  return total > 0 ? json(std::round(10'000.0 * stolen / total) / 100.0) : json(kUnavailable);
}

json hardware_counters() {
  const Counter counter(kInstructions);
  return {{"unavailable", counters_unavailable()}, {"in_kernel", counter.counts_kernel()}};
}

std::string version_or_absent(const char* version) { return *version == '\0' ? "absent" : version; }

constexpr std::size_t kBuildIdDigits = 16;

/// What the linker noted in this program: a hash of all that it holds, in hexadecimal; empty where it noted none.
/// Every launch tells its build: this costs nothing, reading three megabytes does.
std::string linker_build_id() {
  std::string id;
  ::dl_iterate_phdr(
      [](dl_phdr_info* object, std::size_t, void* result) {
        for (int i = 0; i < object->dlpi_phnum; ++i) {
          const auto& header = object->dlpi_phdr[i];
          if (header.p_type != PT_NOTE) continue;
          // The linker gives addresses as numbers, and there is no pointer into the segment to start from.
          const auto* note =  // NOLINTNEXTLINE(performance-no-int-to-ptr)
              reinterpret_cast<const unsigned char*>(object->dlpi_addr + header.p_vaddr);
          const std::size_t align = header.p_align == 8 ? 8 : 4;
          const auto padded = [&](std::size_t size) { return (size + align - 1) / align * align; };
          for (const unsigned char* end = note + header.p_memsz; note + sizeof(ElfW(Nhdr)) <= end;) {
            ElfW(Nhdr) head;
            std::memcpy(&head, note, sizeof head);
            const unsigned char* name = note + sizeof head;
            const unsigned char* content = name + padded(head.n_namesz);
            if (head.n_type == NT_GNU_BUILD_ID && head.n_namesz == 4 && std::memcmp(name, "GNU", 4) == 0) {
              for (std::size_t k = 0; k < head.n_descsz; ++k) {
                *static_cast<std::string*>(result) += fmt::format("{:02x}", content[k]);
              }
              return 1;
            }
            note = content + padded(head.n_descsz);
          }
        }
        return 1;  // the first object is the program; the libraries' notes do not concern us
      },
      &id);
  return id;
}

std::string hash_of_own_file() {
  std::ifstream file("/proc/self/exe", std::ios::binary);
  std::unique_ptr<XXH3_state_t, XXH_errorcode (*)(XXH3_state_t*)> state(XXH3_createState(), XXH3_freeState);
  if (!file || !state) throw Error("the program's own file /proc/self/exe cannot be read");
  XXH3_64bits_reset(state.get());
  std::vector<char> buffer(1 << 16);
  while (file.read(buffer.data(), static_cast<std::streamsize>(buffer.size())) || file.gcount() > 0) {
    XXH3_64bits_update(state.get(), buffer.data(), static_cast<std::size_t>(file.gcount()));
  }
  return fmt::format("{:016x}", XXH3_64bits_digest(state.get()));
}

}  // namespace

std::string build_id() {
  static const std::string id = [] {
    const std::string noted = linker_build_id();
    return noted.size() >= kBuildIdDigits ? noted.substr(0, kBuildIdDigits) : hash_of_own_file();
  }();
  return id;
}

std::string describe_differences(const nlohmann::json& before, const nlohmann::json& now) {
  std::string text;
  std::vector<const char*> paths(std::begin(kComparable), std::end(kComparable));
  paths.push_back(kEnvironment);
  for (const char* path : paths) {
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
  facts["cpus_allowed"] = allowed_cpus();
  facts["cgroup_quota_cpus"] = quota ? json(*quota) : json(nullptr);
  facts["topology"] = topology();
  facts["memory"] = {
      {"bytes", memory_bytes()},
      {"transparent_huge_pages", first_line_or_unavailable("/sys/kernel/mm/transparent_hugepage/enabled")},
      {"dirty_background_ratio", first_line_or_unavailable("/proc/sys/vm/dirty_background_ratio")},
      {"dirty_ratio", first_line_or_unavailable("/proc/sys/vm/dirty_ratio")},
      {"available_bytes", meminfo("MemAvailable").value_or(0)},
      {"write_back_begins_bytes", write_back("dirty_background")},
      {"writers_wait_bytes", write_back("dirty")}};
  const auto limit = cgroup_memory_limit();
  facts["memory"]["cgroup_limit_bytes"] = limit ? json(*limit) : json(nullptr);
  facts["kernel"] = {{"release", system.release}, {"version", system.version}};
  facts["virtual_machine"] = facts["cpu"]["flags"].get<std::string>().find("hypervisor") != std::string::npos;
  facts["governor"] = first_line_or_unavailable("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor");
  facts["clock_source"] = first_line_or_unavailable("/sys/devices/system/clocksource/clocksource0/current_clocksource");
  facts["smt"] = first_line_or_unavailable("/sys/devices/system/cpu/smt/control");
  facts["boost"] = first_line_or_unavailable("/sys/devices/system/cpu/cpufreq/boost");
  facts["steal_percent"] = steal_percent();
  facts["hardware_counters"] = hardware_counters();
  facts["load_average"] = first_line_or_unavailable("/proc/loadavg");
  facts["corpus_folder"] = corpus_folder;
  facts["file_system"] = file_system_type(corpus_folder);
  facts["corpus_bytes"] = largest_corpus(corpus_folder);
  json kernels_here = json::array();
  for (const Kernel& kernel : kernels()) {
    if (kernel.unavailable.empty()) kernels_here.push_back(kernel.name);
  }
  facts["kernels"] = kernels_here;
  facts["openmp_runtime"] = openmp_runtime();
  facts["openmp"] = json::object();
  for (const auto& [name, value] : openmp_settings()) facts["openmp"][name] = value;
  facts["environment"] = environment();
  facts["libraries"] = {{"libsndfile", sf_version_string()},
                        {"hwloc", HWLOC_VERSION},
                        {"fmt", FMT_VERSION},
                        {"benchmark", NOISEFLOOR_BENCHMARK_VERSION},
                        {"tbb", version_or_absent(NOISEFLOOR_TBB_VERSION)},
                        {"open_mpi", version_or_absent(NOISEFLOOR_MPI_VERSION)},
                        {"libc", gnu_get_libc_version()}};
  facts["build"] = {{"version", kVersion},   {"git_sha", kGitSha},      {"dirty", kGitDirty},
                    {"compiler", kCompiler}, {"flags", kCompilerFlags}, {"type", kBuildType}};
  facts["build_id"] = build_id();
  facts["machine_id"] = machine_id(facts);
  return facts;
}

nlohmann::json facts_of(const MachineUse& seen) {
  const auto value = [](const std::optional<double>& known) { return known ? json(*known) : json(nullptr); };
  return {{"seconds", seen.seconds},
          {"cpus", seen.cpus},
          {"others_cpus", value(seen.others_cpus)},
          {"stolen_cpus", value(seen.stolen_cpus)},
          {"pressure", value(seen.pressure)},
          {"load", value(seen.load)}};
}

std::vector<Doubt> doubts(const nlohmann::json& facts) {
  std::vector<Doubt> said;
  const auto add = [&](std::string sentence, Doubt::Of of = Doubt::Of::machine) {
    said.push_back({std::move(sentence), of});
  };
  const int workers = facts.at("workers");
  const auto text = [&](const char* path) {
    const json& value = facts.at(json::json_pointer(path));
    return value.is_string() ? value.get<std::string>() : value.dump();
  };
  if (facts.at("virtual_machine").get<bool>()) {
    add("This is a virtual machine: neighbours take time (steal_ticks counts what the hypervisor admits). Trust ratios "
        "of interleaved runs, not absolute times.");
  }
  if (const json& steal = facts.at("steal_percent"); steal.is_number() && steal.get<double>() >= 0.5) {
    add(
        fmt::format("The hypervisor took {:.1f}% of the CPU time since boot. Measure at another hour or on another "
                    "machine; more rounds (--rounds) narrow the intervals.",
                    steal.get<double>()));
  }
  if (const std::string governor = text("/governor"); governor == kUnavailable) {
    add("The CPU governor cannot be read: the clock may change during a run, unseen. Compare within rounds only.");
  } else if (governor != "performance") {
    add(fmt::format(
        "The CPU governor is '{}': set it to 'performance' (cpupower frequency-set -g performance) for steadier times.",
        governor));
  }
  if (text("/boost") == "1") {
    add("The CPU may boost its clock, the more the fewer CPUs are busy: one worker looks faster than it is beside "
        "many. Write 0 into /sys/devices/system/cpu/cpufreq/boost to measure scaling.");
  }
  if (facts.at("topology").value("smt", false)) {
    add("Hyper-threads share cores: two workers on one core are not two cores. Choose one CPU of each core with "
        "taskset, or turn them off (/sys/devices/system/cpu/smt/control).");
  }
  if (facts.at("topology").value("numa_nodes", 1) > 1) {
    add(fmt::format(
        "{} NUMA nodes: memory is near for some workers and far for others. Keep to one node (numactl --cpunodebind=0 "
        "--membind=0), or measure with bind=spread and bind=close.",
        facts.at("topology").value("numa_nodes", 1)));
  }
  if (facts.at("cgroup_quota_cpus").is_number()) {
    add(
        fmt::format("A cgroup quota of {:.2f} CPUs throttles: {} workers are the most that make sense, and even those "
                    "may be stopped for part of each period. Raise the quota, or give whole CPUs (cpuset).",
                    facts.at("cgroup_quota_cpus").get<double>(), workers));
  }
  if (const json& limit = facts.at("memory").at("cgroup_limit_bytes"); limit.is_number()) {
    add(fmt::format(
        "A cgroup limits memory to {}, the page cache included: files beyond it are read from the disk again.",
        format_size(limit.get<std::uint64_t>())));
  }
  if (workers < 4) {
    add(fmt::format("Only {} CPU{} here: scaling beyond that cannot be seen.", workers,
                    workers == 1 ? " is" : "s are"));
  }
  const json use = facts.value("use", json::object());
  if (const json others = use.value("others_cpus", json()); others.is_number()) {
    const int cpus = use.value("cpus", 1);
    if (others.get<double>() > kBusyShare * cpus) {
      add(fmt::format("Other work took {:.1f} of these {} CPU{} while {:.2g} s were looked at. Wait until it ends (top "
                      "shows it).",
                      others.get<double>(), cpus, cpus == 1 ? "" : "s", use.value("seconds", 0.0)),
          Doubt::Of::run);
    }
    if (const json stolen = use.value("stolen_cpus", json());
        stolen.is_number() && stolen.get<double>() > kBusyShare * cpus) {
      add(fmt::format("The hypervisor took {:.1f} of these {} CPU{} meanwhile. Measure at another hour or on another "
                      "machine.",
                      stolen.get<double>(), cpus, cpus == 1 ? "" : "s"),
          Doubt::Of::run);
    }
  } else {
    std::stringstream load(text("/load_average"));
    if (double average = 0; load >> average && average > 0.5 * workers) {
      add(fmt::format("The load average is {:.2f} with {} CPUs: other work runs. Wait until it ends.", average,
                      workers),
          Doubt::Of::run);
    }
  }
  if (const std::string clock = text("/clock_source"); clock != "tsc" && clock != "arch_sys_counter") {
    add(
        fmt::format("The clock source is {}: reading the time may cost microseconds and enter the kernel. Where the "
                    "CPU has a steady "
                    "time stamp counter, boot with clocksource=tsc.",
                    clock));
  }
  if (text("/memory/transparent_huge_pages").find("[always]") != std::string::npos) {
    add("Transparent huge pages are always given: a run may get them or not, as memory happens to lie. Write madvise "
        "into "
        "/sys/kernel/mm/transparent_hugepage/enabled.");
  }
  for (const auto& [name, value] : facts.at("environment").items()) {
    add(fmt::format("{}={} is set and may change how launches run: unset it, or compare only with runs whose "
                    "machine.json has it "
                    "too.",
                    name, value.get<std::string>()),
        Doubt::Of::run);
  }
  if (const json& begins = facts.at("memory").at("write_back_begins_bytes"); begins.is_number()) {
    // An ETL launch writes its corpus in every repetition; what was removed again is not written.
    const double corpus = std::max(facts.at("corpus_bytes").get<double>(), kFullCorpusBytes);
    if (const double bytes = begins.get<double>(); bytes < 2 * corpus) {
      add(fmt::format(
          "Write-back starts at {} of unwritten data, and the largest corpus has {}: outputs are written to the disk "
          "while they are measured. Measure fewer or shorter files, or raise vm.dirty_background_bytes.",
          format_size(static_cast<std::uint64_t>(bytes)), format_size(static_cast<std::uint64_t>(corpus))));
    }
  }
  if (text("/corpus_folder").empty()) {
    add("There is no place for test signals, and nothing can be measured on files: set NOISEFLOOR_CACHE to a folder.",
        Doubt::Of::run);
  }
  if (const std::string type = text("/file_system"); type == "tmpfs" || type == "overlay" || type == "nfs") {
    add(
        fmt::format("Test signals lie on {}: set NOISEFLOOR_CACHE to a folder on a local disk to measure files as they "
                    "usually are.",
                    type));
  }
  if (const std::string reason = text("/hardware_counters/unavailable"); !reason.empty()) {
    add(fmt::format("Instructions and cycles are not counted: {}. Only times tell.", reason));
  }
  if (facts.at("build").at("type") != "Release") {
    add(fmt::format("This is a {} build: measure with the release preset.", text("/build/type")), Doubt::Of::run);
  }
  if (facts.at("build").at("dirty").get<bool>()) {
    add("The program was built from changed files: its commit does not tell what it does. Commit, and build again.",
        Doubt::Of::run);
  }
  return said;
}

}  // namespace noisefloor
