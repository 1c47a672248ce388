// `noisefloor doctor`: prints the machine's facts and doubts.
// SPDX-License-Identifier: MIT
#include <fmt/format.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <string>

#include "harness/audio/signals.hpp"
#include "harness/base/say.hpp"
#include "harness/commands/command.hpp"
#include "harness/measure/machine.hpp"
#include "harness/measure/probes.hpp"
#include "harness/measure/start.hpp"
#include "harness/strategies/strategy.hpp"
#include "harness/workloads/table.hpp"

namespace noisefloor {
namespace {

std::string size_of(const nlohmann::json& bytes) { return format_size(bytes.get<std::uint64_t>()); }

template <class Table>
void print_unavailable(const Table& table, std::string_view kind) {
  for (const auto& row : table) {
    if (!row.unavailable.empty()) fmt::print("  {} {}: not here: {}\n", kind, row.name, row.unavailable);
  }
}

void print(const nlohmann::json& facts) {
  const auto& topology = facts.at("topology");
  fmt::print("machine {}\n", facts.at("machine_id").get<std::string>());
  fmt::print("  CPU       {}\n", facts.at("cpu").at("model").get<std::string>());
  fmt::print("  CPUs      {} ours of {} allowed, {} cores, {} NUMA nodes\n", facts.at("workers").get<int>(),
             facts.at("cpus_allowed").get<int>(), topology.value("cores", 0), topology.value("numa_nodes", 0));
  for (const auto& cache : topology.value("caches", nlohmann::json::array())) {
    fmt::print("  L{}        {} KiB × {}\n", cache.at("level").get<int>(),
               cache.at("size_bytes").get<std::uint64_t>() / 1024, cache.at("count").get<int>());
  }
  const auto& memory = facts.at("memory");
  const auto text = [](const nlohmann::json& value) {
    return value.is_string() ? value.get<std::string>() : value.dump();
  };
  fmt::print("  memory    {}, {} available; huge pages {}\n", size_of(memory.at("bytes")),
             size_of(memory.at("available_bytes")), text(memory.at("transparent_huge_pages")));
  fmt::print("  clock     {}; governor {}, boost {}, SMT {}\n", text(facts.at("clock_source")),
             text(facts.at("governor")), text(facts.at("boost")), text(facts.at("smt")));
  fmt::print("  load      {}; steal {}% since boot\n", text(facts.at("load_average")), text(facts.at("steal_percent")));
  if (const auto others = facts.at("use").at("others_cpus"); others.is_number()) {
    fmt::print("  others    {:.2f} of these CPUs in use by other work, seen for {:.0f} s\n", others.get<double>(),
               facts.at("use").at("seconds").get<double>());
  }
  if (memory.at("write_back_begins_bytes").is_number()) {
    fmt::print(
        "  disk      write-back begins at {} unwritten, writers wait at {}; largest corpus here "
        "{}\n",
        size_of(memory.at("write_back_begins_bytes")), size_of(memory.at("writers_wait_bytes")),
        size_of(facts.at("corpus_bytes")));
  }
  const std::string counters = text(facts.at("hardware_counters").at("unavailable"));
  fmt::print("  counters  {}\n", counters.empty() ? "instructions and cycles" : counters);
  fmt::print("  kernel    Linux {}\n", facts.at("kernel").at("release").get<std::string>());
  fmt::print("  signals   {} ({})\n", facts.at("corpus_folder").get<std::string>(),
             facts.at("file_system").get<std::string>());
  fmt::print("  build     {} {}, {}, {}\n", facts.at("build").at("version").get<std::string>(),
             facts.at("build").at("git_sha").get<std::string>().substr(0, 8),
             facts.at("build").at("compiler").get<std::string>(), facts.at("build").at("type").get<std::string>());
  const auto& openmp = facts.at("openmp");
  fmt::print("  OpenMP    {}, specification {}, up to {} threads, proc_bind {}\n",
             facts.at("openmp_runtime").get<std::string>(), text(openmp.at("specification")),
             text(openmp.at("max_threads")), text(openmp.at("proc_bind")));
  std::string libraries;
  for (const auto& [name, version] : facts.at("libraries").items()) {
    libraries += fmt::format("{}{} {}", libraries.empty() ? "" : ", ", name, text(version));
  }
  fmt::print("  libraries {}\n", libraries);
  fmt::print("  kernel    {} is the widest noise kernel that runs here\n", select_kernel("auto").name);
  print_unavailable(kernels(), "kernel");
  for (const Strategy& strategy : strategies()) {
    if (const std::string missing = missing_here(strategy); !missing.empty()) {
      fmt::print("  strategy {}: not here: {}\n", strategy.name, missing);
    }
  }
  if (find_libomp().empty()) fmt::print("  runtime libomp: not here: libomp.so.5 is not found (Debian: libomp5)\n");
  fmt::print("what makes timings doubtful here\n");
  const auto said = doubts(facts);
  for (const Doubt& doubt : said) fmt::print("  - {}\n", doubt.text);
  if (said.empty()) fmt::print("  nothing that can be seen\n");
}

struct Arguments {
  bool json = false;
};

ExitStatus doctor(const Arguments& arguments) {
  auto facts = machine_facts(cache_folder_if_any());
  if (arguments.json) {  // names of folders may hold anything: JSON takes UTF-8 only
    fmt::print("{}\n", facts.dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
    return ExitStatus::done;
  }
  constexpr std::chrono::seconds kLook{2};
  facts["use"] = facts_of(look(kLook));
  print(facts);
  return ExitStatus::done;
}

}  // namespace

Command doctor_command() {
  return {.name = "doctor",
          .help = "What this machine offers, and what makes its timings doubtful",
          .examples = {"noisefloor doctor"},
          .arguments = {{"--json", &Arguments::json, "The facts as machine.json records them"}},
          .action = Action(doctor)};
}

}  // namespace noisefloor
