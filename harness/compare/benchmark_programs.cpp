// Lists, calibrates and launches the benchmarks of two programs.
// SPDX-License-Identifier: MIT
#include "harness/compare/benchmark_programs.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <utility>

#include "harness/base/error.hpp"
#include "harness/statistics/ranks.hpp"

namespace noisefloor::compare {
namespace {

using std::chrono::nanoseconds;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr int kRepetitions = 5;
constexpr std::string_view kFirstMinTime = "0.004";  ///< of a repetition, in s
constexpr double kLaunchNs = 30e6;                   ///< timed part of a launch, where one iteration is shorter
constexpr const char* kArmNames[] = {"old", "new"};

std::string contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// The paths with slashes before the last name of the shorter one, so that they have equal length.
void make_equally_long(std::array<std::string, 2>& paths) {
  std::string& shorter = paths[paths[0].size() <= paths[1].size() ? 0 : 1];
  const std::size_t missing = std::max(paths[0].size(), paths[1].size()) - shorter.size();
  const std::size_t slash = shorter.rfind('/');
  shorter.insert(slash == std::string::npos ? 0 : slash, missing, '/');
}

bool is_usable(double time) { return std::isfinite(time) && time > 0; }

bool are_identical(const std::array<std::string, 2>& paths) {
  std::error_code error;
  return std::filesystem::file_size(paths[0], error) == std::filesystem::file_size(paths[1], error) && !error &&
         contents(paths[0]) == contents(paths[1]);
}

}  // namespace

BenchmarkPrograms::BenchmarkPrograms(BenchmarkOptions options, ChildRunner& children)
    : options_(std::move(options)), children_(children), nowhere_(::open("/dev/null", O_WRONLY | O_CLOEXEC)) {
  if (!nowhere_) throw system_error("cannot open /dev/null", errno);
  for (std::string& program : options_.programs) {
    struct stat status = {};
    if (::stat(program.c_str(), &status) != 0) throw UsageError(system_error(program, errno).what());
    if (S_ISDIR(status.st_mode)) throw UsageError(fmt::format("{} is a folder, not a program", program));
    if (::access(program.c_str(), X_OK) != 0) {
      throw UsageError(fmt::format("{} cannot be executed: give the program, not its source or its results", program));
    }
    if (program.find('/') == std::string::npos) program.insert(0, "./");
  }
  std::error_code error;
  if (std::filesystem::equivalent(options_.programs[0], options_.programs[1], error)) {
    notes_.emplace_back("old and new are one program: what differs is the machine");
  } else if (are_identical(options_.programs)) {
    notes_.emplace_back("old and new are identical files: what differs is the machine");
  }
  make_equally_long(options_.programs);
  std::string folder = std::filesystem::temp_directory_path(error).string();
  if (error) throw Error(fmt::format("no folder for temporary files: {}; set TMPDIR", error.message()));
  folder += "/noisefloor-compare-XXXXXX";
  if (::mkdtemp(folder.data()) == nullptr) throw system_error("cannot make " + folder, errno);
  folder_ = folder;

  try {
    std::array<std::vector<std::string>, 2> names{list(0), list(1)};
    // A name that is registered twice is two cases, in the order of registration.
    std::array<std::map<std::string, int>, 2> counts;
    for (std::size_t arm = 0; arm < 2; ++arm) {
      for (const std::string& name : names[arm]) ++counts[arm][name];
    }
    for (std::size_t arm = 0; arm < 2; ++arm) {
      std::map<std::string, int> seen;
      for (const std::string& name : names[arm]) {
        const int its = seen[name]++;
        if (arm == 1 && its < counts[0][name]) continue;  // is there already
        cases_.push_back(
            {its == 0 ? name : fmt::format("{} #{}", name, its + 1), its < counts[0][name], its < counts[1][name]});
        calibrated_.push_back({name, its, kRepetitions, 0, {}});
      }
    }
  } catch (...) {
    std::filesystem::remove_all(folder_, error);
    throw;
  }
}

BenchmarkPrograms::~BenchmarkPrograms() {
  std::error_code error;
  std::filesystem::remove_all(folder_, error);
}

const std::vector<std::string>& BenchmarkPrograms::measures() const {
  static const std::vector<std::string> kMeasures = {"real time, median", "real time, minimum", "real time, first",
                                                     "CPU time, median"};
  return kMeasures;
}

std::vector<std::string> BenchmarkPrograms::list(std::size_t arm) {
  const std::string& program = options_.programs[arm];
  ChildRequest request{.program = program, .arguments = options_.arguments, .deadline = options_.timeout};
  if (!options_.filter.empty()) request.arguments.push_back("--benchmark_filter=" + options_.filter);
  request.arguments.emplace_back("--benchmark_list_tests=true");
  ChildOutcome child;
  try {
    child = children_.run(request);
  } catch (const Error& error) {
    throw UsageError(error.what());
  }
  if (child.end == ChildEnd::interrupted) throw Error("interrupted", ExitStatus::interrupted);
  const auto not_one = [&](const std::string& why) {
    return UsageError(
        fmt::format("{} is no Google Benchmark program: started with --benchmark_list_tests=true, {}. Other programs "
                    "are compared by --command",
                    program, why));
  };
  if (!child.message.empty()) throw not_one("it ended with " + child.message);
  std::vector<std::string> names;
  for (std::size_t from = 0; from < child.output.size();) {
    const std::size_t end = std::min(child.output.find('\n', from), child.output.size());
    if (end > from) names.push_back(child.output.substr(from, end - from));
    from = end + 1;
  }
  if (names.empty() && options_.filter.empty()) throw not_one("it listed no benchmark");
  if (names.empty()) {
    throw UsageError(
        fmt::format("{} has no benchmark that --filter '{}' matches: {} --benchmark_list_tests=true lists "
                    "what there is",
                    program, options_.filter, program));
  }
  return names;
}

BenchmarkPrograms::Found BenchmarkPrograms::run(std::size_t arm, const std::string& name, const std::string& min_time,
                                                int repetitions, std::size_t padding_bytes) {
  const std::string path = folder_ + "/results.json";
  ::unlink(path.c_str());
  ChildRequest request{.program = options_.programs[arm],
                       .arguments = options_.arguments,
                       .padding_bytes = padding_bytes,
                       .deadline = options_.timeout,
                       .output = nowhere_.get()};
  for (std::string flag :
       {"--benchmark_filter=" + exact_filter(name), "--benchmark_min_time=" + min_time,
        fmt::format("--benchmark_repetitions={}", repetitions), std::string("--benchmark_report_aggregates_only=false"),
        std::string("--benchmark_display_aggregates_only=false"),
        std::string("--benchmark_enable_random_interleaving=false"), std::string("--benchmark_out_format=json"),
        "--benchmark_out=" + path}) {
    request.arguments.push_back(std::move(flag));
  }
  Found found;
  found.child = children_.run(request);
  if (found.child.end == ChildEnd::interrupted) return found;
  const bool there = ::access(path.c_str(), F_OK) == 0;
  const std::string text = contents(path);
  if (!found.child.message.empty()) {
    found.why = found.child.message;
  } else if (!there) {
    found.why = "it wrote no file for --benchmark_out";
  } else if (text.empty()) {
    found.is_absent = true;
  } else {
    try {
      found.file = read_benchmark_file(text);
    } catch (const Error& error) {
      found.why = error.what();
    }
  }
  struct statvfs space = {};
  if (!found.file && !found.is_absent && ::statvfs(folder_.c_str(), &space) == 0 && space.f_bavail == 0) {
    throw Error(fmt::format("no space is left in {}, where benchmarks write their results: set TMPDIR", folder_));
  }
  return found;
}

Reading BenchmarkPrograms::launch(std::size_t number, Arm arm, std::size_t padding_bytes) {
  Calibrated& one = calibrated_[number];
  const std::size_t program = arm == Arm::head ? 1 : 0;
  const std::string min_time = one.iterations > 0 ? fmt::format("{:.0f}x", one.iterations) : std::string(kFirstMinTime);
  const Found found = run(program, one.name, min_time, one.repetitions, padding_bytes);
  Reading reading;
  reading.duration = found.child.duration;
  if (found.child.end == ChildEnd::interrupted) {
    reading.end = End::interrupted;
    return reading;
  }
  if (found.is_absent) {
    reading.end = End::absent;
    return reading;
  }
  if (!found.file) {
    if (!files_[program] && found.child.message.empty()) {
      throw UsageError(
          fmt::format("{} is no Google Benchmark program: started with --benchmark_out=FILE, {}. Other "
                      "programs are compared by --command",
                      options_.programs[program], found.why));
    }
    reading.message = found.why;
    return reading;
  }
  if (!files_[program]) files_[program] = BenchmarkFile{found.file->library, found.file->build_type, {}};
  const auto entry = std::find_if(
      found.file->entries.begin(), found.file->entries.end(),
      [&](const BenchmarkEntry& other) { return other.name == one.name && other.occurrence == one.occurrence; });
  if (entry == found.file->entries.end()) {
    reading.end = found.file->entries.empty() ? End::absent : End::failed;
    reading.message = "its results do not have this benchmark";
    return reading;
  }
  if (!entry->error.empty()) {
    reading.message = entry->error;
    return reading;
  }
  if (!entry->skipped.empty() || entry->times.empty()) {
    reading.end = entry->skipped.empty() ? End::no_time : End::skipped;
    reading.message = entry->skipped.empty() ? "it has no time" : entry->skipped;
    return reading;
  }
  std::vector<double> real;
  std::vector<double> cpu;
  double measured = 0;
  for (const BenchmarkTime& time : entry->times) {
    real.push_back(time.real_ns);
    cpu.push_back(time.cpu_ns);
    measured += time.real_ns * time.iterations;
  }
  for (const double time : real) {
    if (is_usable(time)) continue;
    reading.end = End::no_time;
    reading.message = time == 0 ? "its time is 0" : fmt::format("its time is no number ({})", time);
    return reading;
  }
  if (!one.first[program]) one.first[program] = *entry;
  reading.end = End::ok;
  const bool by_cpu =
      why_not_cpu_time(one.name, entry->threads).empty() && std::all_of(cpu.begin(), cpu.end(), is_usable);
  const double cpu_ns = median(cpu);
  reading.values = {median(real), *std::min_element(real.begin(), real.end()), real.front(), by_cpu ? cpu_ns : kNan};
  reading.cpu_share = cpu_ns / reading.values[0];
  if (measured > 0 && std::isfinite(measured)) reading.measured = nanoseconds(std::llround(measured));
  return reading;
}

bool BenchmarkPrograms::takes_counts(std::size_t arm, const Calibrated& one) {
  if (!takes_counts_[arm]) {
    constexpr double kCount = 3;
    const Found found = run(arm, one.name, fmt::format("{:.0f}x", kCount), 1, 0);
    takes_counts_[arm] = false;
    if (found.file) {
      for (const BenchmarkEntry& entry : found.file->entries) {
        if (!entry.times.empty()) takes_counts_[arm] = entry.times[0].iterations == kCount * entry.threads;
      }
    }
  }
  return *takes_counts_[arm];
}

void BenchmarkPrograms::settle(std::size_t number) {
  Calibrated& one = calibrated_[number];
  if (!one.first[0] || !one.first[1]) return;
  double iterations = std::numeric_limits<double>::infinity();
  double repetition_ns = 0;
  for (const auto& first : one.first) {
    const BenchmarkTime& time = first->times.back();
    iterations = std::min(iterations, std::floor(time.iterations / first->threads));
    repetition_ns = std::max(repetition_ns, time.real_ns * time.iterations);
  }
  const bool own_count = one.name.find("/iterations:") != std::string::npos;
  if (repetition_ns > 0) {
    one.repetitions = static_cast<int>(std::clamp(kLaunchNs / repetition_ns, 1.0, static_cast<double>(kRepetitions)));
  }
  if (own_count || one.first[0]->aggregates_only || iterations < 1) return;
  if (takes_counts(0, one) && takes_counts(1, one)) {
    one.iterations = iterations;
  } else {
    choose_counts_ = true;
  }
}

std::vector<std::string> BenchmarkPrograms::notes() const {
  std::vector<std::string> notes = notes_;
  if (files_[0] && files_[1]) {
    const auto shown = [](const std::string& version) { return version.empty() ? "one older than 1.8.4" : version; };
    if (files_[0]->library != files_[1]->library) {
      notes.push_back(fmt::format("the versions of Google Benchmark differ: old has {}, new has {}",
                                  shown(files_[0]->library), shown(files_[1]->library)));
    }
    for (std::size_t arm = 0; arm < 2; ++arm) {
      if (files_[arm]->build_type == "debug") {
        notes.push_back(fmt::format("the Google Benchmark library of {} is a debug build", kArmNames[arm]));
      }
    }
  }
  if (choose_counts_) {
    notes.emplace_back(
        "each launch chooses its number of iterations: this Google Benchmark takes none (1.8 and later do)");
  }
  return notes;
}

}  // namespace noisefloor::compare
