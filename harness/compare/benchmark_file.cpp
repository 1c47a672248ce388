// Reads the files of Google Benchmark.
// SPDX-License-Identifier: MIT
#include "harness/compare/benchmark_file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "harness/base/error.hpp"

namespace noisefloor {
namespace {

using nlohmann::json;

std::string text_of(const json& object, const char* name) {
  const auto at = object.find(name);
  return at != object.end() && at->is_string() ? at->get<std::string>() : std::string();
}

double number_of(const json& object, const char* name) {
  const auto at = object.find(name);
  return at != object.end() && at->is_number() ? at->get<double>() : std::numeric_limits<double>::quiet_NaN();
}

/// The library writes NaN and infinities as these bare words, which JSON does not have. Nothing within a string is
/// touched.
std::string without_bare_words(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted) {
      if (c == '\\' && i + 1 < text.size()) {
        result += c;
        ++i;
      } else if (c == '"') {
        quoted = false;
      }
      result += text[i];
      continue;
    }
    std::string_view word;
    for (const std::string_view bare : {"-NaN", "-nan", "NaN", "nan", "-Infinity", "Infinity", "-inf", "inf"}) {
      if (text.substr(i).starts_with(bare)) {
        word = bare;
        break;
      }
    }
    if (!word.empty()) {
      result += "null";
      i += word.size() - 1;
      continue;
    }
    quoted = c == '"';
    result += c;
  }
  return result;
}

double unit_ns(const std::string& unit) {
  if (unit == "ns" || unit.empty()) return 1;
  if (unit == "us") return 1e3;
  if (unit == "ms") return 1e6;
  if (unit == "s") return 1e9;
  throw Error(fmt::format("its times are in '{}', not in ns, us, ms or s", unit));
}

/// Two entries are of the same benchmark where these agree: a name may be registered twice.
struct Identity {
  std::string name;
  double family = -1;
  double instance = -1;

  bool operator==(const Identity&) const = default;
};

double or_minus_one(double value) { return value >= 0 ? value : -1; }

}  // namespace

BenchmarkFile read_benchmark_file(std::string_view text) {
  json root;
  try {
    root = json::parse(without_bare_words(text));
  } catch (const json::exception&) {
    throw Error(text.empty() ? "it wrote no results" : "its results are torn: no complete JSON");
  }
  if (!root.is_object() || !root.contains("benchmarks") || !root["benchmarks"].is_array()) {
    throw Error("its results are no file of Google Benchmark: no list 'benchmarks'");
  }
  BenchmarkFile file;
  const json context = root.value("context", json::object());
  file.library = text_of(context, "library_version");
  file.build_type = text_of(context, "library_build_type");
  std::vector<Identity> identities;
  double last_repetition = -1;
  for (const json& entry : root["benchmarks"]) {
    if (!entry.is_object()) throw Error("its results are no file of Google Benchmark: a benchmark is no object");
    const bool aggregate = text_of(entry, "run_type") == "aggregate";
    const std::string statistic = text_of(entry, "aggregate_name");
    if (aggregate && statistic != "median") continue;  // the fits of complexity, too
    std::string name = text_of(entry, "run_name");
    if (name.empty()) name = text_of(entry, "name");
    if (name.empty()) throw Error("its results are no file of Google Benchmark: a benchmark has no name");
    Identity identity{name, or_minus_one(number_of(entry, "family_index")),
                      or_minus_one(number_of(entry, "per_family_instance_index"))};
    // Without those numbers (before 1.5.3) a repetition that begins again tells of another benchmark.
    const bool numbered = identity.family >= 0;
    auto at = std::find_if(identities.rbegin(), identities.rend(),
                           [&](const Identity& other) { return numbered ? other == identity : other.name == name; });
    const double repetition = number_of(entry, "repetition_index");
    if (!numbered && !aggregate && repetition <= last_repetition) at = identities.rend();
    if (!aggregate) last_repetition = repetition;
    auto place = static_cast<std::size_t>(identities.rend() - at);  // one more than the index
    if (place == 0) {
      BenchmarkEntry fresh;
      fresh.name = name;
      fresh.occurrence = static_cast<int>(std::count_if(identities.begin(), identities.end(),
                                                        [&](const Identity& other) { return other.name == name; }));
      const double threads = number_of(entry, "threads");
      if (threads >= 1) fresh.threads = static_cast<int>(threads);
      file.entries.push_back(std::move(fresh));
      identities.push_back(std::move(identity));
      place = identities.size();
    }
    BenchmarkEntry& into = file.entries[place - 1];
    const auto flag = [&](const char* key) { return entry.contains(key) && entry[key] == true; };
    if (flag("error_occurred")) {
      into.error = text_of(entry, "error_message");
      if (into.error.empty()) into.error = "it says no more";
      continue;
    }
    if (flag("skipped")) {
      into.skipped = text_of(entry, "skip_message");
      if (into.skipped.empty()) into.skipped = "it says no more";
      continue;
    }
    if (aggregate && !into.times.empty() && !into.aggregates_only) continue;
    into.aggregates_only = aggregate;
    const double unit = unit_ns(text_of(entry, "time_unit"));
    const double iterations = number_of(entry, "iterations");
    into.times.push_back(
        {number_of(entry, "real_time") * unit, number_of(entry, "cpu_time") * unit, iterations > 0 ? iterations : 0});
  }
  return file;
}

std::string exact_filter(std::string_view name) {
  std::string filter = "^";
  for (const char c : name) {
    if (std::string_view(R"(.[{()\*+?|^$)").find(c) != std::string_view::npos) filter += '\\';
    filter += c;
  }
  filter += '$';
  return filter;
}

std::string_view why_not_cpu_time(std::string_view name, int threads) {
  if (threads > 1) return "several threads share the work";
  // Behind the arguments the name has /real_time or /manual_time, and then only /threads:N.
  for (const std::string_view kind : {"/real_time", "/manual_time"}) {
    if (name.ends_with(kind) || name.find(std::string(kind) + "/threads:") != std::string_view::npos) {
      return kind == "/real_time" ? "its author asked for real time" : "its author takes the time";
    }
  }
  return {};
}

}  // namespace noisefloor
