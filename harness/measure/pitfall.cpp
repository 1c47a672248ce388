// Looks pitfalls up, and makes their variants measurable.
// SPDX-License-Identifier: MIT
#include "harness/measure/pitfall.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <system_error>

#include "harness/audio/signals.hpp"
#include "harness/base/error.hpp"
#include "harness/base/names.hpp"
#include "harness/base/unique_fd.hpp"

namespace noisefloor {
namespace {

namespace fs = std::filesystem;

std::uint64_t steady_ns() noexcept {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
          .count());
}

/// A folder below the cache that is held by a lock as long as its owner lives; what dead ones left is removed.
class Folder {
 public:
  Folder() {
    const std::string parent = cache_folder() + "/pitfalls";
    make_folders(parent);
    remove_stale(parent);
    for (;;) {
      path_ = parent + "/XXXXXX";
      if (::mkdtemp(path_.data()) == nullptr)
        throw system_error(fmt::format("cannot make a folder in {}", parent), errno);
      held_.reset(::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
      if (!held_ && errno != ENOENT) throw system_error("cannot hold " + path_, errno);
      // Until it is locked, another process may take it for left behind, and remove it.
      struct stat status {};
      if (held_ && ::flock(held_.get(), LOCK_EX | LOCK_NB) == 0 && ::fstat(held_.get(), &status) == 0 &&
          status.st_nlink > 0) {
        return;
      }
    }
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }

  [[nodiscard]] const std::string& path() const noexcept { return path_; }
  void empty() const {
    for (const auto& entry : fs::directory_iterator(path_)) fs::remove_all(entry.path());
  }

 private:
  static void remove_stale(const std::string& parent) {
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(parent, error)) {
      const UniqueFd fd(::open(entry.path().c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
      if (!fd || ::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) continue;
      std::error_code ignored;  // another process may be removing it as well
      fs::remove_all(entry.path(), ignored);
    }
  }

  std::string path_;
  UniqueFd held_;
};

/// A variant as a subject.
class Measured : public Subject {
 public:
  Measured(const Pitfall& pitfall, const Variant& variant, int workers) : variant_(variant) {
    bench_.workers = workers;
    if (pitfall.uses_files) bench_.folder = folder_.emplace().path();
    if (variant_.prepare != nullptr) variant_.prepare(bench_);
  }

  void prepare(std::uint32_t /*iterations*/) override {
    answer_.reset();
    bench_.count = {};
    failure_.clear();
    differs_ = false;
  }

  void iterate(std::uint32_t /*iteration*/, Repetition& seen) override {
    if (!failure_.empty()) return;
    bench_.first_result_ns = 0;
    bench_.iteration_start_ns = steady_ns();
    try {
      const Answer answer = variant_.run(bench_);
      if (answer_ && *answer_ != answer) differs_ = true;
      answer_ = answer;
    } catch (const std::exception& error) {
      failure_ = error.what();
      ++seen.failed;
    }
    seen.first_result_ns += bench_.first_result_ns;
    ++seen.delivered;
  }

  void verify(std::uint32_t /*iterations*/, std::uint64_t expected, Repetition& seen) override {
    seen.digest = answer_.value_or(0);
    if (!failure_.empty()) {
      seen.status = "failed";
      seen.message = failure_;
    } else if (differs_) {
      seen.status = "wrong_output";
      seen.message = "the answer differs between the iterations of one repetition";
    } else if (seen.digest != expected) {
      seen.status = "wrong_output";
      seen.message = fmt::format("answer {:016x} where {:016x} was expected", seen.digest, expected);
    }
  }

  void clean() override {}
  [[nodiscard]] const Counts& count() const noexcept { return bench_.count; }

  /// Processes that a variant started are gone when it returns. Their peak is that of the largest so far.
  [[nodiscard]] WorkerUsage worker_usage() const override {
    rusage children{};
    ::getrusage(RUSAGE_CHILDREN, &children);
    const auto ns = [](const timeval& time) {
      return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000U +
             static_cast<std::uint64_t>(time.tv_usec) * 1'000U;
    };
    WorkerUsage usage{
        .usage = {ns(children.ru_utime), ns(children.ru_stime), static_cast<std::uint64_t>(children.ru_minflt),
                  static_cast<std::uint64_t>(children.ru_majflt), static_cast<std::uint64_t>(children.ru_nvcsw),
                  static_cast<std::uint64_t>(children.ru_nivcsw)},
        .peak_rss_bytes = static_cast<std::uint64_t>(children.ru_maxrss) * 1024U};
    usage.usage.untold_cpu_ns = static_cast<std::int64_t>(usage.usage.cpu_ns());
    return usage;
  }

 private:
  const Variant& variant_;
  std::optional<Folder> folder_;
  Bench bench_;
  std::optional<Answer> answer_;
  std::string failure_;
  bool differs_ = false;
};

}  // namespace

std::string_view name_of(Harm harm) noexcept {
  constexpr std::string_view kNames[] = {"slow", "memory", "wrong", "hang"};
  return kNames[static_cast<std::size_t>(harm)];
}

std::string_view name_of(Role role) noexcept {
  constexpr std::string_view kNames[] = {"bad", "good", "reference"};
  return kNames[static_cast<std::size_t>(role)];
}

void Bench::first_result() noexcept {
  if (first_result_ns == 0) first_result_ns = std::max<std::uint64_t>(steady_ns() - iteration_start_ns, 1);
}

const Pitfall& select_pitfall(Pitfalls pitfalls, std::string_view name) {
  if (pitfalls.empty()) throw UsageError(fmt::format("pitfall '{}': this program has no pitfalls", name));
  std::vector<std::string_view> choices;
  for (const Pitfall* pitfall : pitfalls) {
    if (pitfall->name == name) return *pitfall;
    choices.push_back(pitfall->name);
  }
  throw_unknown("pitfall", name, choices);
}

const Variant& select_variant(const Pitfall& pitfall, std::string_view name) {
  return find_by_name(pitfall.variants, name, fmt::format("variant of pitfall {}", pitfall.name));
}

const Variant& first_variant(const Pitfall& pitfall, Role role) {
  for (const Variant& variant : pitfall.variants) {
    if (variant.role == role) return variant;
  }
  throw Error(fmt::format("pitfall {} has no variant with the role {}", pitfall.name, name_of(role)));
}

std::string refuse(const Pitfall& pitfall, int workers) {
  return pitfall.refuse == nullptr ? std::string() : pitfall.refuse(workers);
}

std::vector<Cell> expand_pitfalls(Pitfalls pitfalls, const Cell& cell) {
  if (cell.pitfall.empty()) {
    if (cell.variant.empty()) return {cell};
    throw UsageError(fmt::format("variant '{}' without a pitfall: name the pitfall too", cell.variant));
  }
  std::vector<Cell> cells;
  const auto add = [&](const Pitfall& pitfall) {
    for (const Variant& variant : pitfall.variants) {
      if (!cell.variant.empty() && variant.name != cell.variant) continue;
      Cell one = cell;
      one.pitfall = pitfall.name;
      one.variant = variant.name;
      cells.push_back(normalised(one));
    }
  };
  if (cell.pitfall != "all") {
    const Pitfall& pitfall = select_pitfall(pitfalls, cell.pitfall);
    if (!cell.variant.empty()) static_cast<void>(select_variant(pitfall, cell.variant));
    add(pitfall);
    return cells;
  }
  if (!cell.variant.empty()) {
    throw UsageError(fmt::format("variant '{}' of pitfall 'all': variants have names of their own", cell.variant));
  }
  for (const Pitfall* pitfall : pitfalls) add(*pitfall);
  return cells;
}

Cell oracle_of(const Pitfall& pitfall, const Cell& cell) {
  Cell oracle = normalised(cell);
  oracle.sweep.clear();
  oracle.variant = first_variant(pitfall, Role::good).name;
  return oracle;
}

std::vector<std::string> missing_environment(const Variant& variant) {
  std::vector<std::string> missing;
  std::string_view left = variant.environment;
  while (!left.empty()) {
    const std::size_t blank = left.find(' ');
    const std::string_view one = left.substr(0, blank);
    left = blank == std::string_view::npos ? std::string_view() : left.substr(blank + 1);
    const std::size_t equals = one.find('=');
    const char* value = std::getenv(std::string(one.substr(0, equals)).c_str());
    if (value == nullptr || one.substr(equals + 1) != value) missing.emplace_back(one);
  }
  return missing;
}

std::unique_ptr<Subject> make_subject(const Pitfall& pitfall, const Variant& variant, int workers) {
  return std::make_unique<Measured>(pitfall, variant, workers);
}

Outcome run_apart(const Pitfall& pitfall, const Variant& variant, int workers) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw system_error("cannot make a pipe", errno);
  UniqueFd read_end(ends[0]);
  UniqueFd write_end(ends[1]);
  const pid_t child = ::fork();
  if (child < 0) throw system_error(fmt::format("cannot start a process for variant {}", variant.name), errno);
  if (child == 0) {
    bool told = false;
    try {
      Measured measured(pitfall, variant, workers);
      Repetition seen;
      measured.prepare(1);
      measured.iterate(0, seen);
      measured.verify(1, 0, seen);
      const Outcome outcome{seen.digest, measured.count()};
      told = seen.status != "failed" && ::write(write_end.get(), &outcome, sizeof outcome) == sizeof outcome;
      if (!told) fmt::print(stderr, "{}\n", seen.message);
    } catch (const std::exception& error) {
      fmt::print(stderr, "{}\n", error.what());
    }
    ::_exit(told ? 0 : 1);
  }
  write_end.reset();
  Outcome outcome;
  const bool whole = ::read(read_end.get(), &outcome, sizeof outcome) == static_cast<ssize_t>(sizeof outcome);
  while (::waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
  }
  if (!whole) throw Error(fmt::format("variant {} of pitfall {} gives no answer", variant.name, pitfall.name));
  return outcome;
}

}  // namespace noisefloor
