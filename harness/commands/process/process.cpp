// The subcommand `process`: collects the inputs, refuses what cannot be meant before anything is written,
// and runs the ETL workload over them.
// SPDX-License-Identifier: MIT
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <system_error>
#include <unordered_set>
#include <utility>
#include <vector>

#include "harness/audio/atomic_file.hpp"
#include "harness/audio/signals.hpp"
#include "harness/base/error.hpp"
#include "harness/base/say.hpp"
#include "harness/base/shared_mapping.hpp"
#include "harness/base/unique_fd.hpp"
#include "harness/commands/command.hpp"
#include "harness/commands/process/inputs.hpp"
#include "harness/commands/process/manifest.hpp"
#include "harness/commands/process/settings.hpp"
#include "harness/commands/process/shard.hpp"
#include "harness/measure/machine.hpp"
#include "harness/strategies/deliver.hpp"
#include "harness/strategies/strategy.hpp"
#include "harness/sweep/progress.hpp"
#include "harness/workloads/etl.hpp"
#include "harness/workloads/table.hpp"
#include "kernels/noise.hpp"

namespace noisefloor {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr double kMostDb = 200;  // beyond what doubles of any use resolve

double decibels(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !(std::abs(value) <= kMostDb)) {
    throw UsageError(fmt::format("give a ratio in dB between -{0} and {0}, or two as MIN:MAX", kMostDb));
  }
  return value;
}

}  // namespace

/// Of --snr-db: MIN:MAX, or one ratio.
static void parse_value(std::string_view text, SnrRange& range) {
  const std::size_t colon = text.find(':');
  range.min_db = decibels(text.substr(0, colon));
  range.max_db = colon == std::string_view::npos ? range.min_db : decibels(text.substr(colon + 1));
  if (range.min_db > range.max_db) {
    throw UsageError(fmt::format("the smaller ratio comes first, as in {}:{}", range.max_db, range.min_db));
  }
}

namespace {

struct ProcessOptions {
  std::vector<std::string> paths;  // IN... OUT
  std::optional<double> amplitude;
  std::optional<double> noise_dbfs;
  std::optional<SnrRange> snr;
  std::uint64_t seed = 1;
  std::uint32_t copies = 1;
  std::string strategy = "std_thread";
  std::optional<int> workers;
  std::uint32_t chunk_size = 1;
  double task_timeout_s = std::chrono::duration<double>(kTaskTimeout).count();
  std::string kernel = "auto";
  std::string list;  // with --from-file
  std::string base = ".";
  bool ends_in_zero = false;
  std::string shard = "1/1";
  std::string manifest;
  std::string large = "rf64";
  std::vector<std::string> done_in;
  bool dry_run = false;
  bool recursive = false, fsync = false, keep_going = false, fail_fast = false, overwrite = false, resume = false;
};

// --- What is said while it runs ---

/// Messages and progress on stderr: a bar on a terminal, lines elsewhere. For one thread at a time.
class Progress {
 public:
  /// `bytes` of the inputs tell how far it is; 0: the number of files does.
  Progress(std::uint64_t files, std::uint64_t bytes)
      : files_(files), bytes_(bytes), has_bar_(has_bar()), has_colour_(has_bar_ && !is_set("NO_COLOR")) {}
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  ~Progress() { clear(); }

  [[nodiscard]] static bool has_bar() {
    const char* terminal = std::getenv("TERM");
    const bool is_dumb = terminal == nullptr || std::string_view(terminal) == "dumb";
    return ::isatty(STDERR_FILENO) == 1 && !is_dumb && !is_set("CI");
  }

  void message(std::string_view kind, bool is_error, std::string_view text) {
    clear();
    const std::string_view colour = !has_colour_ ? "" : is_error ? "\033[31m" : "\033[33m";
    const std::string_view plain = has_colour_ ? "\033[0m" : "";
    print(fmt::format("{}{}{}: {}\n", colour, kind, plain, printable(text)));
    if (has_bar_) draw(Clock::now());
  }

  void done(std::uint64_t bytes) {
    ++files_done_;
    bytes_done_ += bytes;
    const auto now = Clock::now();
    if (now - drawn_ < (has_bar_ ? std::chrono::milliseconds(100) : std::chrono::seconds(5))) return;
    if (has_bar_) {
      draw(now);
    } else {
      print(line(now) + "\n");
      drawn_ = now;
    }
  }

 private:
  static bool is_set(const char* name) {
    const char* value = std::getenv(name);
    return value != nullptr && *value != '\0';
  }

  static void print(std::string_view text) { std::fwrite(text.data(), 1, text.size(), stderr); }

  [[nodiscard]] double fraction() const {
    if (bytes_ > 0) return std::min(1.0, static_cast<double>(bytes_done_) / static_cast<double>(bytes_));
    return files_ == 0 ? 1.0 : static_cast<double>(files_done_) / static_cast<double>(files_);
  }

  [[nodiscard]] std::string line(Clock::time_point now) const {
    const double seconds = std::chrono::duration<double>(now - start_).count();
    const double part = fraction();
    const double left = part > 0 ? seconds * (1 - part) / part : 0;
    return fmt::format("{}/{} files, {:.0f}%, {:.1f} MB/s, {} left", files_done_, files_, 100 * part,
                       seconds > 0 ? static_cast<double>(bytes_done_) / 1e6 / seconds : 0.0,
                       format_duration(std::chrono::nanoseconds(std::llround(left * 1e9))));
  }

  void draw(Clock::time_point now) {
    constexpr int kWidth = 24;
    const auto full = static_cast<std::size_t>(std::lround(kWidth * fraction()));
    const std::string bar = std::string(full, '#') + std::string(kWidth - full, '-');
    print(fmt::format("\r[{}] {}\033[K", bar, line(now)));
    std::fflush(stderr);
    drawn_ = now;
    is_drawn_ = true;
  }

  void clear() {
    if (is_drawn_) print("\r\033[K");
    is_drawn_ = false;
  }

  std::uint64_t files_, bytes_, files_done_ = 0, bytes_done_ = 0;
  Clock::time_point start_ = Clock::now(), drawn_ = start_;
  bool has_bar_, has_colour_, is_drawn_ = false;
};

// --- Ctrl-C ---

std::atomic<bool> was_interrupted{false};
static_assert(std::atomic<bool>::is_always_lock_free, "set by a signal handler, and shared by processes");

/// All tasks are to stop, those in worker processes too.
std::atomic<bool>& stop_flag() {
  static const SharedMapping memory(sizeof(std::atomic<bool>));
  return memory.as<std::atomic<bool>>()[0];
}

/// While it lives, the first SIGINT, SIGTERM or SIGHUP asks all tasks to stop; a second one ends the
/// process at once. What was ignored stays ignored.
class StopOnSignal {
 public:
  StopOnSignal() {
    struct sigaction action {};
    action.sa_handler = [](int) {
      was_interrupted = true;
      stop_flag() = true;
    };
    action.sa_flags = SA_RESTART | static_cast<int>(SA_RESETHAND);
    for (std::size_t i = 0; i < kSignals.size(); ++i) {
      ::sigaction(kSignals[i], nullptr, &old_[i]);
      if (old_[i].sa_handler != SIG_IGN) ::sigaction(kSignals[i], &action, nullptr);
    }
    // A limit on file sizes is to be an error of write(), not a death.
    struct sigaction ignore {};
    ignore.sa_handler = SIG_IGN;
    ::sigaction(SIGXFSZ, &ignore, &old_file_size_);
  }
  StopOnSignal(const StopOnSignal&) = delete;
  StopOnSignal& operator=(const StopOnSignal&) = delete;
  ~StopOnSignal() {
    for (std::size_t i = 0; i < kSignals.size(); ++i) ::sigaction(kSignals[i], &old_[i], nullptr);
    ::sigaction(SIGXFSZ, &old_file_size_, nullptr);
  }

 private:
  static constexpr std::array kSignals = {SIGINT, SIGTERM, SIGHUP};
  std::array<struct sigaction, kSignals.size()> old_{};
  struct sigaction old_file_size_ {};
};

// --- The run ---

struct Totals {
  std::uint64_t written = 0, failed = 0, unfinished = 0, clipped = 0, not_finite = 0, warned = 0, bytes = 0;
  double sound_seconds = 0;
};

double amplitude_of(const ProcessOptions& options) {
  if (options.snr) return 0;
  if (options.noise_dbfs) return std::pow(10.0, *options.noise_dbfs / 20.0);
  return options.amplitude.value_or(kBenchmarkAmplitude);
}

StrategyOptions strategy_options(const ProcessOptions& options) {
  StrategyOptions result;
  result.workers = options.workers.value_or(available_workers());
  result.chunk_size = options.chunk_size;
  result.task_timeout = std::chrono::milliseconds(std::llround(options.task_timeout_s * 1e3));
  if (options.task_timeout_s > 0) result.task_timeout = std::max(result.task_timeout, std::chrono::milliseconds(1));
  result.stop = &stop_flag();
  return result;
}

std::string warning_text(const EtlTask& task, const EtlOutcome& outcome) {
  std::vector<std::string> said;
  const auto has = [&](EtlOutcome::Warning warning) { return (outcome.warnings & warning) != 0; };
  if (has(EtlOutcome::kTruncated)) {
    said.push_back(outcome.frames < outcome.frames_promised
                       ? fmt::format("is truncated: {} of {} frames", outcome.frames, outcome.frames_promised)
                       : fmt::format("is truncated: its end is missing after {} frames", outcome.frames));
  }
  if (has(EtlOutcome::kDamaged)) {
    said.push_back(fmt::format("is damaged: read as far as it goes, {} frames", outcome.frames));
  }
  if (has(EtlOutcome::kUnsized)) {
    said.push_back(fmt::format("does not say its length: read to the end of the file, {} frames", outcome.frames));
  }
  if (has(EtlOutcome::kUnderstated)) {
    said.push_back(
        fmt::format("is longer than it says: {} frames, its header says {}", outcome.frames, outcome.frames_promised));
  }
  if (has(EtlOutcome::kOther)) {
    said.push_back(fmt::format("has {} bytes that are neither sound nor known metadata", outcome.other_bytes));
  }
  if (has(EtlOutcome::kRepacked)) said.emplace_back("has 24 bits in 4 bytes: written as 24 bits in 3");
  if (has(EtlOutcome::kLarge)) said.emplace_back("is beyond 4 GiB: written as RF64");
  if (has(EtlOutcome::kNotFinite)) said.push_back(fmt::format("had {} samples NaN or infinite", outcome.not_finite));
  if (has(EtlOutcome::kSilent)) said.emplace_back("is silent: no noise was added");
  if (has(EtlOutcome::kNoNoise)) said.emplace_back("got no noise: it is below the least step of its samples");
  if (has(EtlOutcome::kMissed)) {
    said.push_back(fmt::format("got {:.1f} dB instead of {:.1f}: rounding to the least step, or saturation",
                               outcome.snr_db_achieved, outcome.snr_db_requested));
  }
  if (has(EtlOutcome::kMetadata)) said.emplace_back("says things beside its samples that its copy cannot hold");
  return said.empty() ? std::string() : fmt::format("'{}' {}", task.input, fmt::join(said, "; "));
}

/// Makes the folders of the outputs and removes what dead writers left there. Returns why some cannot be made: that
/// is the tasks' error that write there, and the others go on.
std::vector<std::string> prepare_folders(const Target& target, const std::set<std::string>& folders, Owner owner,
                                         bool durable) {
  std::vector<std::string> messages;
  std::set<std::string> entered;  // folders with an entry that must last
  for (const std::string& folder : folders) {
    try {
      make_folders(folder);
    } catch (const Error& error) {
      messages.emplace_back(error.what());
      continue;
    }
    remove_stale(folder, owner);
    std::string above = folder;
    while (durable && above.size() >= target.root.size() && above != folder_of(above)) {
      above = folder_of(above);
      entered.insert(above);
    }
  }
  for (const std::string& folder : entered) {
    const UniqueFd fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd || ::fsync(fd.get()) != 0) throw system_error(fmt::format("cannot make '{}' durable", folder), errno);
  }
  return messages;
}

/// How much noise a call adds to each file.
struct Level {
  double amplitude = 0;
  std::optional<SnrRange> snr;

  [[nodiscard]] std::string text() const {
    if (!snr) return fmt::format("amplitude {:.6g} of full scale", amplitude);
    if (snr->min_db == snr->max_db) return fmt::format("{:.6g} dB below each file's RMS", snr->min_db);
    return fmt::format("{:.6g} to {:.6g} dB below each file's RMS", snr->min_db, snr->max_db);
  }
};

Settings settings_of(std::uint64_t seed, const Level& level, const Kernel& kernel) {
  Settings settings = {{"seed", seed}};
  if (level.snr) {
    settings["snr_db"] = {level.snr->min_db, level.snr->max_db};
  } else {
    settings["amplitude"] = level.amplitude;
  }
  settings["noise"] = "white";
  settings["definition"] = kernel.bytes_of == "naive" ? std::string("naive") : fmt::format("{}", kNoiseVersion);
  return settings;
}

Collection collection_of(const ProcessOptions& options, std::span<const std::string> ins, const Target& target) {
  if (!options.list.empty()) return collect_list({options.list, options.base, options.ends_in_zero});
  Collection collection = collect(ins, options.recursive, target);
  if (!collection.inputs.empty()) return collection;
  std::string hint;
  if (collection.skipped_folders > 0) {
    hint = fmt::format("; {} sub-folders were not entered: --recursive does", collection.skipped_folders);
  }
  for (const auto& [extension, files] : collection.skipped) {
    if (is_unsupported_sound(extension))
      hint += fmt::format("; {} is not supported, {} file{}", extension, files, files == 1 ? "" : "s");
  }
  for (const auto& [path, message] : collection.unreadable) hint += "; " + message;
  throw UsageError(fmt::format("no sound file in '{}'{}", fmt::join(ins, "', '"), hint));
}

/// What was passed over in folders, by kind.
std::string skipped_text(const Collection& collection) {
  std::vector<std::string> kinds;
  const auto add = [&](std::uint64_t files, std::string_view kind) {
    if (files > 0) kinds.push_back(fmt::format("{}, {} file{}", kind, files, files == 1 ? "" : "s"));
  };
  std::uint64_t others = 0;
  for (const bool is_sound : {true, false}) {
    for (const auto& [extension, files] : collection.skipped) {
      constexpr std::size_t kMostKinds = 8;
      if (is_unsupported_sound(extension) != is_sound) continue;
      if (kinds.size() < kMostKinds) {
        add(files, fmt::format("{}: {}", extension.empty() ? "no extension" : printable(extension),
                               is_sound ? "not supported" : "no sound"));
      } else {
        others += files;
      }
    }
  }
  add(others, "other extensions");
  add(collection.skipped_others, "neither files nor links");
  return fmt::format("{}", fmt::join(kinds, "; "));
}

/// Why the input cannot be read if it is a link that leads nowhere, else `message`.
std::string explain_link(const std::string& input, std::string message) {
  std::error_code error;
  if (fs::is_symlink(input, error) && !fs::exists(input, error) && !error) {
    return fmt::format("'{}' is a dangling link: there is no '{}'", input, fs::read_symlink(input, error).string());
  }
  return message;
}

/// Throws UsageError if the manifest that is to be gone on with is another shard's.
void refuse_other_shard(const std::string& path, const ManifestLine& line, const Shard& shard) {
  const std::string_view told = line.field("shard");
  if (told.empty() || told == fmt::format("\"{}\"", shard.text())) return;
  const std::string theirs = text_of_json_string(told);
  const std::string count = fmt::format("/{}", shard.count);
  throw UsageError(fmt::format(
      "the manifest '{}' is of shard {}, not {}: {}", path, theirs, shard.text(),
      theirs.ends_with(count)
          ? "each shard needs a manifest of its own"
          : fmt::format("go on with as many shards as before (--shard {}), or name another manifest, and this one with "
                        "--done-in",
                        theirs)));
}

/// What earlier calls told as done, if this one goes on with theirs.
OutputsDone outputs_done(const ProcessOptions& options, const Shard& shard) {
  OutputsDone done;
  std::error_code unknown;
  if (fs::exists(options.manifest, unknown)) {
    read_manifest(options.manifest, [&](const ManifestLine& line, std::uint64_t) {
      refuse_other_shard(options.manifest, line, shard);
      if (line.is_done()) done.add(line);
    });
  }
  for (const std::string& path : options.done_in) {
    read_manifest(path, [&](const ManifestLine& line, std::uint64_t) {
      if (line.is_done()) done.add(line);
    });
  }
  done.sort();
  return done;
}

/// The noise that the manifest tells of the output, for a message.
std::string noise_told(const ProcessOptions& options, std::string_view output) {
  std::string noise;
  std::vector<std::string> paths = options.done_in;
  paths.insert(paths.begin(), options.manifest);
  for (const std::string& path : paths) {
    read_manifest(path, [&](const ManifestLine& line, std::uint64_t) {
      if (line.output() == output && line.is_done()) noise = line.noise();
    });
  }
  return noise;
}

/// What --resume finds.
struct Resumed {
  std::uint64_t there_already = 0;
  bool compares = false;  ///< some outputs that are there are made again and compared
};

/// Leaves out the tasks whose outputs are there and count as done. Throws UsageError if other settings made one.
Resumed resume(const ProcessOptions& options, const Target& target, const Shard& shard, const Settings& settings,
               SettingsRecord& record, const std::vector<OutputState>& there, TaskPlan& plan,
               const std::function<ManifestTask(std::uint32_t, const EtlTask&)>& line_of) {
  Resumed result;
  // A call that was ended may have published a file without telling the manifest: such a one is made again, compared,
  // and told. So is a single file, whose settings are noted nowhere.
  const bool has_manifest = !options.manifest.empty() || !options.done_in.empty();
  const bool has_record = target.file.empty();
  OutputsDone told;
  if (has_manifest) told = outputs_done(options, shard);
  if (has_record) record.read(settings);

  std::uint64_t of_others = 0;
  std::string first_of_others;
  const auto count_other = [&](const std::string& path, std::string_view difference) {
    if (of_others++ == 0) first_of_others = fmt::format("the output '{}' was made with {}", path, difference);
  };
  const auto is_done = [&](std::uint32_t number) {
    if (there[number] != OutputState::file) return false;
    const EtlTask task = plan.task(number);
    const std::string path = plan.path_of(task);
    bool counts = !has_manifest && has_record;
    if (has_record && record.has_others()) {
      const auto answer = record.maker_of(output_id(task.output));
      if (answer.maker == SettingsRecord::Answer::Maker::others) {
        count_other(path, answer.difference);
        return false;
      }
      if (answer.maker == SettingsRecord::Answer::Maker::unsure) counts = false;
    }
    const std::string output = json_string(path);
    if (has_manifest && told.contains(output)) {
      const std::string noise = line_of(number, task).noise();
      if (!told.has_noise(output, noise)) {
        count_other(path, fmt::format("{} instead of {}", of_others == 0 ? noise_told(options, output) : "", noise));
        return false;
      }
      counts = true;
    }
    result.compares = result.compares || !counts;
    result.there_already += counts ? 1 : 0;
    return counts;
  };
  plan.leave_out(is_done);
  if (of_others > 0) {
    throw UsageError(fmt::format("{}{}: use the same settings, another OUT, or --overwrite", first_of_others,
                                 of_others > 1 ? fmt::format(" (and {} more)", of_others - 1) : ""));
  }
  return result;
}

/// What the inputs of the plan hold.
std::uint64_t input_bytes(const TaskPlan& plan, int workers) {
  std::atomic<std::uint64_t> bytes{0};
  for_each_number(plan.count(), workers, [&](std::uint32_t number) {
    std::error_code unknown;
    if (const auto size = fs::file_size(plan.task(number).input, unknown); !unknown) bytes += size;
  });
  return bytes;
}

/// Says what a call would write; writes nothing.
ExitStatus dry_run(const TaskPlan& plan, const Target& target, const std::vector<OutputState>& there, bool may_exist,
                   std::uint64_t there_already, const Collection& collection, const Level& level) {
  std::uint64_t files = 0, failed = collection.unreadable.size(), bytes = 0;
  for (const auto& [path, message] : collection.unreadable) say(fmt::format("would fail: {}", printable(message)));
  for (std::uint32_t number = 0; number < plan.count(); ++number) {
    const EtlTask task = plan.task(number);
    const std::string path = plan.path_of(task);
    std::error_code error;
    const auto size = fs::file_size(task.input, error);
    std::string why;
    if (error) {
      why = explain_link(task.input, fmt::format("cannot read '{}': {}", task.input, error.message()));
    } else if (there[number] != OutputState::nothing && !may_exist) {
      why = fmt::format("'{}' exists: --overwrite replaces it, --resume skips it", path);
    }
    if (!why.empty()) {
      ++failed;
      say(fmt::format("would fail: {}", printable(why)));
      continue;
    }
    ++files;
    bytes += size;
    fmt::print("{} -> {}\n", printable(task.input), printable(path));
  }
  fmt::print("dry run, nothing was written: {} files would be, {} would fail, {} there already\n", files, failed,
             there_already);
  if (const std::string text = skipped_text(collection); !text.empty()) fmt::print("skipped: {}\n", text);
  std::string existing = target.root;
  std::error_code error;
  while (!fs::exists(existing, error) && existing != folder_of(existing)) existing = folder_of(existing);
  const fs::space_info space = fs::space(existing, error);
  fmt::print("size: about {} (that of the inputs; a lossy format may differ)", format_size(bytes));
  if (!error) fmt::print(", free in '{}': {}", printable(target.root), format_size(space.available));
  fmt::print("\n");
  fmt::print("noise: {}\n", level.text());
  if (!error && bytes > space.available) {
    say(fmt::format("would fail: {} are needed, {} are free", format_size(bytes), format_size(space.available)));
    ++failed;
  }
  return failed > 0 ? ExitStatus::failed : ExitStatus::done;
}

ExitStatus process(const ProcessOptions& options) {
  // What cannot be meant, first.
  const bool has_list = !options.list.empty();
  if (has_list && options.paths.size() != 1) {
    throw UsageError("with --from-file, process takes OUT alone: noisefloor process --from-file LIST OUT");
  }
  if (!has_list && options.paths.size() < 2) {
    throw UsageError("process needs at least one IN, and OUT: noisefloor process IN... OUT");
  }
  const Level level{.amplitude = amplitude_of(options), .snr = options.snr};
  const std::uint32_t copies = options.copies;
  const Strategy& strategy = select_strategy(options.strategy);
  StrategyOptions how = strategy_options(options);
  // Who names no number gets what the strategy can do: some are one worker.
  if (!options.workers && !refusal(strategy, how).empty()) how.workers = 1;
  if (const std::string reason = refusal(strategy, how); !reason.empty()) throw UsageError(reason);
  const Kernel& kernel = select_kernel(options.kernel);
  const Settings settings = settings_of(options.seed, level, kernel);

  const std::span<const std::string> ins(options.paths.data(), options.paths.size() - 1);
  const Target target = target_of(options.paths.back(), ins);
  SettingsRecord record(target.root);
  const Shard shard = shard_of(options.shard, [&record](std::uint32_t count) { return record.first_of_array(count); });
  const Collection collection = collection_of(options, ins, target);
  TaskPlan plan(collection, target, copies, shard);
  const ManifestCall told{.shard = shard.text(), .shard_outputs = plan.count(), .outputs = plan.count_of_all_shards()};
  const auto line_of = [&](std::uint32_t number, const EtlTask& task) {
    return ManifestTask{.input = task.input,
                        .output = {},
                        .copy = plan.copy_of(number),
                        .seed = options.seed,
                        .stream = task.stream,
                        .sigma = level.snr ? NAN : level.amplitude,
                        .snr_db_requested = level.snr ? level.snr->of({options.seed, task.stream}) : NAN};
  };
  if (!options.manifest.empty()) {
    plan.refuse_as_manifest(options.manifest);
    std::error_code unknown;
    if (!options.resume && !options.overwrite && fs::is_regular_file(options.manifest, unknown) &&
        fs::file_size(options.manifest, unknown) > 0) {
      throw UsageError(fmt::format("the manifest '{}' exists: --overwrite replaces it, --resume adds to it{}",
                                   options.manifest, shard.count > 1 ? "; each shard needs one of its own" : ""));
    }
  }

  const std::set<std::string> folders = plan.folders();
  std::vector<OutputState> there;
  if (options.resume || options.overwrite || options.dry_run) there = plan.outputs_there(how.workers);
  Resumed resumed;
  if (options.resume) resumed = resume(options, target, shard, settings, record, there, plan, line_of);
  if (options.dry_run) {
    if (options.resume) there.assign(plan.count(), OutputState::nothing);  // what is there is skipped or compared
    return dry_run(plan, target, there, options.overwrite, resumed.there_already, collection, level);
  }
  there = {};

  // From here on, things are written.
  stop_flag() = false;  // made here, before a handler needs it
  was_interrupted = false;
  const StopOnSignal stop_on_signal;
  make_folders(target.root);
  Manifest manifest;
  if (!options.manifest.empty()) {
    manifest = Manifest(options.manifest,
                        options.resume      ? Manifest::Open::append
                        : options.overwrite ? Manifest::Open::replace
                                            : Manifest::Open::fresh,
                        told);
  }
  const Owner owner = manifest.owner();
  const std::vector<std::string> not_made = prepare_folders(target, folders, owner, options.fsync);
  const bool is_noted = target.file.empty() && plan.count() > 0;
  if (is_noted) {
    if (options.overwrite) record.read(settings);  // what it replaces was made before
    std::vector<OutputId> outputs(plan.count());
    for (std::uint32_t number = 0; number < plan.count(); ++number)
      outputs[number] = output_id(plan.task(number).output);
    record.begin(settings, copies, shard, std::move(outputs), options.fsync);
  }
  Progress progress(plan.count(), Progress::has_bar() ? input_bytes(plan, how.workers) : 0);
  Totals totals;
  for (const std::string& message : not_made) progress.message("warning", false, message);
  for (const auto& [path, message] : collection.unreadable) {
    ++totals.failed;
    progress.message("failed", true, message);
  }

  const bool compares = resumed.compares;
  const EtlOptions what{
      .kernel = &kernel,
      .amplitude = level.amplitude,
      .snr = level.snr,
      .seed = options.seed,
      .output_root = target.root,
      .output_mode = options.overwrite ? OutputMode::replace
                     : compares        ? OutputMode::confirm
                                       : OutputMode::fresh,
      .fsync = options.fsync,
      .stop = &stop_flag(),
      .exists_hint = compares ? ": --overwrite replaces it" : ": --overwrite replaces, --resume skips",
      .may_run_again = true,
      .may_become_rf64 = options.large == "rf64",
      .owner = owner};
  const EtlWorkload workload(
      plan.count(), [&plan](std::uint32_t number) { return plan.task(number); }, what);
  std::uint64_t answered = 0;
  std::vector<OutputId> failed;          // outputs
  std::unordered_set<std::size_t> said;  // hashes of messages: copies of an input have them in common
  const auto say = [&](std::string_view kind, bool is_error, const std::string& text) {
    if (said.insert(std::hash<std::string>()(text)).second) progress.message(kind, is_error, text);
  };
  std::exception_ptr broken;  // a consumer must not throw

  const auto take = [&](const TaskResult& result, std::span<const std::byte> returned) {
    const EtlTask task = plan.task(result.task);
    const std::string output = plan.path_of(task);
    ManifestTask line = line_of(result.task, task);
    line.output = output;
    ++answered;
    if (result.status != 0) {
      std::string message(reinterpret_cast<const char*>(returned.data()), returned.size());
      if (message == kInterrupted) {
        ++totals.unfinished;
        return;
      }
      message = explain_link(task.input, std::move(message));
      ++totals.failed;
      failed.push_back(output_id(task.output));
      const bool is_named = message.find(fmt::format("'{}'", task.input)) != std::string_view::npos;
      say("failed", true, is_named ? message : fmt::format("'{}': {}", task.input, message));
      manifest.failed(line, message);
      if (options.fail_fast) stop_flag() = true;
      progress.done(0);
      return;
    }
    const EtlOutcome outcome = etl_outcome(returned);
    ++totals.written;
    totals.clipped += outcome.clipped;
    totals.not_finite += outcome.not_finite;
    totals.bytes += outcome.bytes_read + outcome.bytes_written;
    if (outcome.rate > 0) totals.sound_seconds += static_cast<double>(outcome.frames) / outcome.rate;
    if (const std::string text = warning_text(task, outcome); !text.empty()) {
      ++totals.warned;
      say("warning", false, text);
    }
    manifest.done(line, outcome);
    progress.done(outcome.bytes_read);
  };

  bool has_lost_workers = false;
  how.on_note = [&](std::string_view text) {
    has_lost_workers = true;
    progress.message("warning", false, text);
  };
  const auto remove_left = [&] {
    for (const std::string& folder : folders) remove_stale(folder, owner);
  };
  const auto start = Clock::now();
  try {
    const std::unique_ptr<Executor> executor = make_executor(strategy, workload, how);
    deliver(*executor, workload.task_count(), Delivery::unordered,
            [&](std::span<const TaskResult> results, std::span<const std::byte> returned) {
              try {
                for (const TaskResult& result : results) {
                  take(result, returned.first(result.bytes));
                  returned = returned.subspan(result.bytes);
                }
              } catch (...) {
                if (!broken) broken = std::current_exception();
                stop_flag() = true;
              }
            });
  } catch (...) {  // the workers were ended in the middle of their tasks
    remove_left();
    throw;
  }
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  if (has_lost_workers) remove_left();
  if (broken) std::rethrow_exception(broken);
  manifest.close(options.fsync);
  totals.unfinished += plan.count() - answered;
  // Without this, later calls take the outputs for perhaps made.
  constexpr std::size_t kMostNoted = 10'000;
  if (is_noted && totals.unfinished == 0 && failed.size() <= kMostNoted) {
    try {
      record.end(failed, options.fsync);
    } catch (const Error& error) {
      progress.message("warning", false, error.what());
    }
  }

  fmt::print("files: {} written, {} failed", totals.written, totals.failed);
  if (totals.warned > 0) fmt::print(", {} with a warning", totals.warned);
  if (resumed.there_already > 0) fmt::print(", {} there already", resumed.there_already);
  if (totals.unfinished > 0) fmt::print(", {} not done", totals.unfinished);
  if (collection.skipped_folders > 0)
    fmt::print(", {} folder{} not entered", collection.skipped_folders, collection.skipped_folders == 1 ? "" : "s");
  if (collection.skipped_links > 0) fmt::print(", {} folders not entered again", collection.skipped_links);
  if (shard.count > 1) fmt::print("; shard {}: {} of {} outputs", told.shard, told.shard_outputs, told.outputs);
  if (const std::string text = skipped_text(collection); !text.empty()) fmt::print("\nskipped: {}", text);
  fmt::print("\nsound: {:.3f} s; clipped samples: {}; NaN or infinite: {}\n", totals.sound_seconds, totals.clipped,
             totals.not_finite);
  fmt::print("noise: {}, seed {}, kernel {}\n", level.text(), options.seed, kernel.name);
  fmt::print("time: {:.3f} s, {}, workers {}, chunk {}; {:.0f} times real time, {:.1f} MB/s read and written\n",
             seconds, strategy.name, how.workers, how.chunk_size, seconds > 0 ? totals.sound_seconds / seconds : 0.0,
             seconds > 0 ? static_cast<double>(totals.bytes) / 1e6 / seconds : 0.0);
  if (std::fflush(stdout) != 0) throw system_error("cannot write to standard output", errno);

  if (was_interrupted) return ExitStatus::interrupted;
  return totals.failed > 0 ? ExitStatus::failed : ExitStatus::done;
}

}  // namespace

Command process_command() {
  using Options = ProcessOptions;
  return {.name = "process",
          .help = "Add Gaussian noise to sound files",
          .examples = {"noisefloor process speech noisy --recursive --snr-db 10:30 --copies 2 --manifest noisy.jsonl"},
          .arguments =
              {{"PATH", &Options::paths,
                "IN... OUT: files or folders, then the folder to write to (or a file, for one input)"},
               {"--from-file",
                &Options::list,
                "The files that LIST names, one a line; -: standard input",
                {.value = "LIST"}},
               {"--base",
                &Options::base,
                "Folder of the paths in LIST, which are relative to it for the noise, too",
                {.value = "DIR", .needs = {"--from-file"}}},
               {"--null",
                &Options::ends_in_zero,
                "A zero byte ends each path in LIST, as of find -print0",
                {.needs = {"--from-file"}}},
               {"--shard",
                &Options::shard,
                "Part K of N of the files, by their relative paths; auto/N: K from a Slurm job array",
                {.value = "K/N"}},
               {"--amplitude",
                &Options::amplitude,
                fmt::format("Standard deviation of the noise relative to full scale, 0 to 1 (default {})",
                            kBenchmarkAmplitude),
                {.least = 0, .most = 1}},
               {"--noise-dbfs",
                &Options::noise_dbfs,
                "The same in dB, not above 0",
                {.most = 0, .excludes = {"--amplitude"}}},
               {"--snr-db",
                &Options::snr,
                "dB below the file's RMS over all channels, drawn for each output; reads a file twice",
                {.value = "MIN[:MAX]", .excludes = {"--amplitude", "--noise-dbfs"}}},
               {"--seed", &Options::seed, "Of the noise: same seed and relative path, same bytes"},
               {"--copies",
                &Options::copies,
                "Outputs per input, each with its own noise: a.wav, a.2.wav, ...",
                {.least = 1, .most = 1'000'000}},
               {"--strategy",
                &Options::strategy,
                "See `noisefloor list strategies`",
                {.choices = rows_of("strategy", strategies())}},
               {"--workers",
                &Options::workers,
                "Default: the CPUs that are ours (1 for sequential, async_io)",
                {.least = 1, .most = 4096}},
               {"--chunk",
                &Options::chunk_size,
                "Consecutive files that a worker takes at a time",
                {.least = 1, .most = 1'000'000'000}},
               {"--task-timeout",
                &Options::task_timeout_s,
                "Seconds per file until a worker process that makes no progress is replaced; 0: none",
                {.value = "SECONDS", .least = 0, .most = 1e6}},
               {"--kernel",
                &Options::kernel,
                "See `noisefloor list kernels`",
                {.choices = rows_of("kernel", kernels(), {"auto"})}},
               {"--large",
                &Options::large,
                "A WAV beyond 4 GiB becomes RF64, or fails before a byte is written",
                {.choices = words("way of large files", {"rf64", "fail"})}},
               {"--recursive",
                &Options::recursive,
                "Enter sub-folders, and links to folders once; they are kept",
                {.excludes = {"--from-file"}}},
               {"--fsync", &Options::fsync, "Each output is on the disk before the worker's next is begun"},
               {"--manifest",
                &Options::manifest,
                "One JSON line per output into this file, as they come; --resume adds to it, --overwrite replaces it",
                {.value = "FILE"}},
               {"--done-in",
                &Options::done_in,
                "What this manifest tells as done is, too",
                {.value = "FILE", .needs = {"--resume"}}},
               {"--dry-run", &Options::dry_run, "Say what would be written, where and how much; write nothing"},
               {"--keep-going", &Options::keep_going, "A bad input does not stop the others (the default)"},
               {"--fail-fast", &Options::fail_fast, "The first bad input does", {.excludes = {"--keep-going"}}},
               {"--overwrite", &Options::overwrite, "Replace outputs that exist, each at once"},
               {"--resume",
                &Options::resume,
                "Skip outputs that exist; with --manifest, those that it tells as done",
                {.excludes = {"--overwrite"}}}},
          .action = Action(process)};
}

}  // namespace noisefloor
