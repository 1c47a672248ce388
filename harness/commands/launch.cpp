// `noisefloor launch`: measures one cell in this process and prints its rows as CSV.
// SPDX-License-Identifier: MIT
#include "harness/commands/launch.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "benchmarks/pitfalls/table.hpp"
#include "harness/base/error.hpp"
#include "harness/measure/cell.hpp"
#include "harness/measure/columns.hpp"
#include "harness/measure/launch.hpp"
#include "harness/measure/start.hpp"

namespace noisefloor {
namespace {

/// Executes this program anew with the same arguments. Returns only by throwing.
[[noreturn]] void become_again() {
  std::ifstream file("/proc/self/cmdline", std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  std::vector<char*> words;
  for (std::size_t from = 0; from < text.size(); from = text.find('\0', from) + 1) words.push_back(&text[from]);
  words.push_back(nullptr);
  ::execv("/proc/self/exe", words.data());
  throw system_error("cannot start this program again", errno);
}

struct Arguments {
  int protocol = kLaunchProtocol;
  std::string cell;
  std::uint32_t iterations = LaunchOptions{}.iterations;
  int repetitions = LaunchOptions{}.repetitions, warmups = LaunchOptions{}.warmups;
  std::uint64_t seed = LaunchOptions{}.seed;
  std::string expect;
};

std::uint64_t digest_of(const std::string& text) {
  std::uint64_t digest = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), digest, 16);
  if (error != std::errc{} || end != text.data() + text.size() || text.size() != 16) {
    throw UsageError(fmt::format("--expect '{}' is not a digest of 16 hexadecimal digits", text));
  }
  return digest;
}

/// A variable that runtimes read before main() cannot be set any more: this process becomes one that was
/// started with it.
void start_with_environment(const Cell& cell) {
  if (cell.pitfall.empty() || cell.variant.empty()) return;
  const auto missing = missing_environment(select_variant(select_pitfall(pitfalls(), cell.pitfall), cell.variant));
  if (missing.empty()) return;
  for (const std::string& one : missing) {
    const std::size_t equals = one.find('=');
    if (::setenv(one.substr(0, equals).c_str(), one.substr(equals + 1).c_str(), 1) != 0) {
      throw system_error("cannot set " + one, errno);
    }
  }
  become_again();
}

ExitStatus run(const Arguments& arguments, Team* team) {
  if (arguments.protocol != kLaunchProtocol) {
    throw MissingError(
        fmt::format("launch protocol {} is asked for, this build speaks {}: compare builds of the same "
                    "protocol",
                    arguments.protocol, kLaunchProtocol));
  }
  LaunchOptions options{.cell = parse_cell(arguments.cell),
                        .iterations = arguments.iterations,
                        .repetitions = arguments.repetitions,
                        .warmups = arguments.warmups,
                        .seed = arguments.seed,
                        .team = team};
  if (!arguments.expect.empty()) options.expected_digest = digest_of(arguments.expect);
  LaunchStart start;
  if (options.team == nullptr) {
    start_with_environment(options.cell);
    start = how_to_start(options);
    if (!start.command.empty()) become(start);
  }
  const auto rows = start.skipped.empty() ? launch(options, pitfalls())
                                          : skipped_rows(normalised(options.cell), options.seed, start.skipped);
  fmt::print("{}\n", csv_header());
  ExitStatus status = ExitStatus::done;
  for (const Row& row : rows) {
    fmt::print("{}\n", csv_line(row));
    const std::string& outcome = row["status"];
    if (outcome != "ok" && outcome != "skipped") status = ExitStatus::failed;
  }
  if (std::fflush(stdout) != 0) throw system_error("the rows cannot be written to standard output", errno);
  return status;
}

}  // namespace

Command launch_command(Team* team) {
  constexpr long double kMost = 1'000'000;
  return {.name = "launch",
          .help = "Measure one cell in this process; print its rows as CSV",
          .examples = {"noisefloor launch --cell workload=etl,strategy=openmp,workers=2"},
          .arguments = {{"--protocol", &Arguments::protocol, "Launch protocol that the caller speaks"},
                        {"--cell",
                         &Arguments::cell,
                         "See `noisefloor list axes`",
                         {.value = "AXIS=VALUE,...", .required = true}},
                        {"--iterations", &Arguments::iterations,
                         "Iterations per repetition; 0: doubled until a repetition lasts 5 ms"},
                        {"--repetitions", &Arguments::repetitions, "Timed repetitions", {.least = 1, .most = kMost}},
                        {"--warmups", &Arguments::warmups, "Untimed repetitions before them", {.most = kMost}},
                        {"--seed", &Arguments::seed, "Seed of the noise"},
                        {"--expect",
                         &Arguments::expect,
                         "Digest that the output must have; without it, it is computed first (slow)",
                         {.value = "DIGEST"}}},
          .action = std::function<ExitStatus(const Arguments&)>(
              [team](const Arguments& arguments) { return run(arguments, team); })};
}

Command launch_command() { return launch_command(nullptr); }

}  // namespace noisefloor
