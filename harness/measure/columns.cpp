// The column table, and CSV lines.
// SPDX-License-Identifier: MIT
#include "harness/measure/columns.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "harness/base/error.hpp"
#include "harness/base/usage.hpp"
#include "harness/measure/cell.hpp"
#include "harness/measure/counters.hpp"

namespace noisefloor {
namespace {

constexpr Column kIdentity[] = {
    {"schema", "version of these columns", "", ""},
    {"run_id", "the run's folder: <utc>-<commit>-<machine>", "", ""},
    {"machine_id", "hash of what makes times comparable: machine.json", "", ""},
    {"build_id", "hash of the program", "", ""},
    {"git_sha", "commit that the program was built from", "", ""},
    {"arm", "which build ran: head, base, or base2 (a byte copy of base)", "", ""},
    {"round", "pass over all cells, from 0", "", ""},
    {"attempt", "0 for the first launch of a cell in a round; 1, 2 where it was measured again at the round's end", "",
     ""},
    {"order", "place of the launch in the run, from 0", "", ""},
    {"launch", "number of the launch: one fresh process that measured one cell", "", ""},
    {"repetition", "timed repetition within the launch, from 0; each is one row", "", ""},
    {"cell_id", "hash of the factors, without task_ns", "", ""},
};

constexpr std::string_view kInstructionsColumn = "instructions";
constexpr std::string_view kCyclesColumn = "cycles";
constexpr std::string_view kRunDelayColumn = "run_delay_ns";
constexpr std::string_view kDisturbedColumn = "disturbed_ns";

constexpr Column kMeasures[] = {
    {"iterations", "times that all tasks ran in this repetition; divide totals by it", "", ""},
    {"wall_ns", "real time of the repetition", "", "ns"},
    {"user_cpu_ns", "CPU time in user mode, all workers", "", "ns"},
    {"system_cpu_ns", "CPU time in the kernel, all workers", "", "ns"},
    {"cpu_percent", "CPU utilisation: 100 is one CPU", "", "percent"},
    {"first_result_ns", "time to the first delivered result, summed over iterations", "", "ns"},
    {"peak_rss_bytes", "peak resident memory, summed over processes: an upper bound", "", "bytes"},
    {"minor_faults", "page faults without I/O", "", ""},
    {"major_faults", "page faults with I/O", "", ""},
    {"voluntary_switches", "context switches because a thread waited", "", ""},
    {"involuntary_switches", "context switches because a thread was preempted", "", ""},
    {"steal_ticks", "time the hypervisor took from this machine, all CPUs", "", "ticks"},
    {kRunDelayColumn,
     "time that threads were ready to run and waited for a CPU, summed over them and over processes; of those that "
     "ended within the repetition, waits of 1 ms and more",
     "", "ns"},
    {"others_cpu_ns",
     "CPU time that processes outside of the launch, and the kernel, used meanwhile on the CPUs that the launch may "
     "use; /proc/stat tells it in ticks of 10 ms, so that of the whole timed part of the launch is shared among its "
     "repetitions",
     "", "ns"},
    {kDisturbedColumn,
     "CPU time that the launch wanted and did not get because of others: no more than run_delay_ns (its own threads "
     "wait for each other, too) and than what others used, and what the hypervisor took",
     "", "ns"},
    {"disturbance_note", "why one of the three is missing or incomplete", "", ""},
    {kInstructionsColumn, "instructions retired, all workers; machine.json tells whether those in the kernel are in it",
     "", ""},
    {kCyclesColumn, "CPU cycles, counted as the instructions are", "", ""},
    {"samples", "sound samples processed", "", ""},
    {"bytes_read", "bytes read from files", "", "bytes"},
    {"bytes_written", "bytes written to files", "", "bytes"},
    {"extract_ns", "time in the extract stage, summed over workers", "", "ns"},
    {"transform_ns", "time in the transform stage, summed over workers", "", "ns"},
    {"load_ns", "time in the load stage, summed over workers", "", "ns"},
    {"task_median_ns", "median time of one task of your own work, alone: measured once in every sequential launch", "",
     "ns"},
    {"task_longest_ns", "time of its longest task in the same pass", "", "ns"},
    {"task_longest_percent", "share of the longest task in the time of all: 100 is all of it", "", "percent"},
    {"digest", "of the output, 16 hexadecimal digits: equal for every strategy and kernel but the naive ones", "", ""},
    {"started_ns", "when the repetition started, since the epoch", "", "ns"},
    {"seed", "of the noise", "", ""},
    {"status", "ok, failed, wrong_output, timeout or skipped", "", ""},
    {"message", "what went wrong, or why it was skipped", "", ""},
};

const std::vector<Column>& table() {
  static const std::vector<Column> columns = [] {
    std::vector<Column> all(std::begin(kIdentity), std::end(kIdentity));
    for (const Axis& axis : axes()) {
      all.push_back({axis.name, axis.help, axis.unavailable, axis.name == "task_ns" ? "ns" : ""});
    }
    all.insert(all.end(), std::begin(kMeasures), std::end(kMeasures));
    for (Column& column : all) {
      if (column.name == kInstructionsColumn || column.name == kCyclesColumn)
        column.unavailable = counters_unavailable();
      if (column.name == kRunDelayColumn || column.name == kDisturbedColumn)
        column.unavailable = run_delay_unavailable();
    }
    return all;
  }();
  return columns;
}

std::size_t index_of(std::string_view name) {
  const auto& all = table();
  const auto found = std::find_if(all.begin(), all.end(), [&](const Column& c) { return c.name == name; });
  if (found == all.end()) throw Error(fmt::format("no column is called '{}'", name));
  return static_cast<std::size_t>(found - all.begin());
}

std::string quoted(const std::string& field) {
  if (field.find_first_of(",\"\n\r") == std::string::npos) return field;
  std::string text = "\"";
  for (const char c : field) {
    if (c == '"') text += '"';
    text += c == '\n' || c == '\r' ? ' ' : c;
  }
  return text + '"';
}

}  // namespace

std::span<const Column> columns() noexcept { return table(); }

Row::Row() : fields_(table().size()) {}
const std::string& Row::operator[](std::string_view column) const { return fields_[index_of(column)]; }
std::string& Row::operator[](std::string_view column) { return fields_[index_of(column)]; }

std::string csv_header() {
  std::string line;
  for (const Column& column : columns()) {
    if (!line.empty()) line += ',';
    line += column.name;
  }
  return line;
}

std::string csv_line(const Row& row) {
  std::string line;
  bool first = true;
  for (const std::string& field : row.fields()) {
    if (!first) line += ',';
    first = false;
    line += quoted(field);
  }
  return line;
}

std::vector<std::string> csv_split(std::string_view line) {
  std::vector<std::string> fields(1);
  bool in_quotes = false;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (in_quotes) {
      if (c != '"') {
        fields.back() += c;
      } else if (i + 1 < line.size() && line[i + 1] == '"') {
        fields.back() += '"';
        ++i;
      } else {
        in_quotes = false;
      }
    } else if (c == '"') {
      in_quotes = true;
    } else if (c == ',') {
      fields.emplace_back();
    } else {
      fields.back() += c;
    }
  }
  if (in_quotes) throw Error(fmt::format("a quote is not closed in the CSV line '{}'", line));
  return fields;
}

Row csv_row(const std::vector<std::string>& header, std::string_view line) {
  std::vector<std::string> fields = csv_split(line);
  if (fields.size() != header.size()) {
    throw Error(
        fmt::format("a CSV line has {} fields where the header has {}: '{}'", fields.size(), header.size(), line));
  }
  Row row;
  for (std::size_t i = 0; i < header.size(); ++i) {
    const auto all = columns();
    const bool known = std::any_of(all.begin(), all.end(), [&](const Column& c) { return c.name == header[i]; });
    if (known) row[header[i]] = std::move(fields[i]);
  }
  return row;
}

}  // namespace noisefloor
