// The subcommand `process`: collects the inputs, refuses what cannot be meant before anything is written,
// and runs the ETL workload over them.
// SPDX-License-Identifier: MIT
#include "benchmarks/process.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <system_error>
#include <utility>
#include <vector>

#include "harness/audio/atomic_file.hpp"
#include "harness/audio/signals.hpp"
#include "harness/audio/sound_file.hpp"
#include "harness/base/error.hpp"
#include "harness/measure/machine.hpp"
#include "harness/strategies/deliver.hpp"
#include "harness/strategies/strategy.hpp"
#include "harness/workloads/etl.hpp"
#include "harness/workloads/table.hpp"
#include "kernels/noise.hpp"

namespace noisefloor {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

struct ProcessOptions {
  std::vector<std::string> paths;  // IN... OUT
  std::optional<double> amplitude;
  std::optional<double> noise_dbfs;
  std::uint64_t seed = 1;
  std::string strategy = "std_thread";
  std::optional<std::int64_t> workers;
  std::int64_t chunk_size = 1;
  std::string kernel = "auto";
  std::string manifest;
  bool recursive = false, fsync = false, keep_going = false, fail_fast = false, overwrite = false, resume = false;
};

// --- What is to be done ---

struct Input {
  std::string path;
  std::string relative;  // below its folder, or its name: keys the noise
};

struct Collection {
  std::vector<Input> inputs;
  std::vector<std::pair<std::string, std::string>> unreadable;  // folders: path, message
  std::vector<std::string> folders;                             // inputs that are folders
  std::uint64_t skipped_others = 0;                             // no regular file, or none with a sound file's name
  std::uint64_t skipped_folders = 0;                            // without --recursive
};

/// Extensions of what libsndfile reads with its header: what counts as a sound file in a folder.
constexpr std::array<std::string_view, 26> kSoundExtensions = {
    ".aif",  ".aifc", ".aiff", ".au",   ".avr", ".caf", ".flac", ".htk", ".iff", ".mat", ".mp3", ".oga", ".ogg",
    ".opus", ".paf",  ".pvf",  ".rf64", ".sd2", ".sds", ".sf",   ".snd", ".voc", ".w64", ".wav", ".wve", ".xi"};

std::string extension_of(const fs::path& path) {
  std::string extension = path.extension().string();
  std::ranges::transform(extension, extension.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return extension;
}

bool has_sound_name(const fs::path& path) {
  return std::ranges::find(kSoundExtensions, extension_of(path)) != kSoundExtensions.end();
}

void collect_folder(const fs::path& folder, const fs::path& relative, bool recursive, Collection& collection) {
  std::error_code error;
  std::vector<fs::directory_entry> entries;
  fs::directory_iterator it(folder, error);
  while (!error && it != fs::directory_iterator()) {
    entries.push_back(*it);
    it.increment(error);
  }
  if (error) {
    collection.unreadable.emplace_back(
        folder.string(), fmt::format("cannot read the folder '{}': {}", folder.string(), error.message()));
  }
  std::ranges::sort(entries, {}, [](const fs::directory_entry& entry) { return entry.path().native(); });
  for (const fs::directory_entry& entry : entries) {
    std::error_code ignored;  // what cannot be examined is no regular file
    const fs::path name = entry.path().filename();
    if (entry.is_directory(ignored)) {
      // A link to a folder may lead round in a circle.
      if (recursive && !entry.is_symlink(ignored)) {
        collect_folder(entry.path(), relative / name, recursive, collection);
      } else {
        ++collection.skipped_folders;
      }
    } else if (entry.is_regular_file(ignored) && has_sound_name(name)) {
      collection.inputs.push_back({entry.path().string(), (relative / name).string()});
    } else {
      ++collection.skipped_others;
    }
  }
}

Collection collect(std::span<const std::string> paths, bool recursive) {
  Collection collection;
  for (const std::string& path : paths) {
    if (path.empty()) throw UsageError("an input's name is empty");
    std::error_code missing;  // a task of its own, which will say so
    if (fs::is_directory(path, missing)) {
      collection.folders.push_back(path);
      collect_folder(path, {}, recursive, collection);
    } else {
      fs::path name = fs::path(path).filename();
      if (name.empty()) name = fs::path(path).parent_path().filename();
      collection.inputs.push_back({path, name.string()});
    }
  }
  return collection;
}

struct Target {
  std::string root;
  std::string file;  // the output's name where OUT is a file; else empty: outputs keep their relative paths
};

Target target_of(const std::string& out, std::span<const std::string> ins) {
  if (out.empty()) throw UsageError("OUT is empty: name a folder, or a file for one input");
  std::error_code error;
  const fs::file_status status = fs::status(out, error);
  if (fs::is_directory(status)) return {out, {}};
  const bool one_file = ins.size() == 1 && !fs::is_directory(ins[0], error);
  const std::string name = fs::path(out).filename().string();
  if (fs::exists(status)) {
    if (!fs::is_regular_file(status)) throw UsageError(fmt::format("OUT '{}' is neither a folder nor a file", out));
    if (!one_file) throw UsageError(fmt::format("OUT '{}' is a file: several inputs need a folder", out));
    return {folder_of(out), name};
  }
  if (!one_file || name.empty() || !has_sound_name(out)) return {out, {}};
  if (extension_of(out) != extension_of(ins[0])) {
    throw UsageError(
        fmt::format("OUT '{}' is named unlike '{}', but the file format is kept: use the extension '{}', or a folder",
                    out, ins[0], fs::path(ins[0]).extension().string()));
  }
  return {folder_of(out), name};
}

void refuse_out_in_input(const std::string& root, std::span<const std::string> folders) {
  const fs::path out = fs::weakly_canonical(fs::absolute(root));
  for (const std::string& folder : folders) {
    const fs::path in = fs::canonical(folder);
    const auto [end, unused] = std::mismatch(in.begin(), in.end(), out.begin(), out.end());
    if (end == in.end()) {
      throw UsageError(
          fmt::format("OUT '{}' is the input folder '{}' or lies in it: name a folder elsewhere", root, folder));
    }
  }
}

/// Two inputs for one output, or one output where another needs a folder.
void refuse_collisions(std::span<const Input> inputs) {
  std::map<std::string_view, std::string_view> taken;
  for (const Input& input : inputs) {
    const auto [other, is_new] = taken.emplace(input.relative, input.path);
    if (!is_new) {
      throw UsageError(fmt::format("'{}' and '{}' would both be written to '{}': process them into different folders",
                                   other->second, input.path, input.relative));
    }
  }
  for (const Input& input : inputs) {
    for (std::size_t slash = input.relative.find('/'); slash != std::string::npos;
         slash = input.relative.find('/', slash + 1)) {
      const auto other = taken.find(std::string_view(input.relative).substr(0, slash));
      if (other != taken.end()) {
        throw UsageError(fmt::format("the output of '{}' would be a file where that of '{}' needs a folder: '{}'",
                                     other->second, input.path, other->first));
      }
    }
  }
}

using FileId = std::pair<dev_t, ino_t>;

std::optional<FileId> file_id(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return std::nullopt;
  return FileId{status.st_dev, status.st_ino};
}

// --- What is said while it runs ---

/// Messages and progress on stderr: a bar on a terminal, lines elsewhere. For one thread at a time.
class Progress {
 public:
  Progress(std::uint64_t files, std::uint64_t bytes) : files_(files), bytes_(bytes) {
    const auto is_set = [](const char* name) {
      const char* value = std::getenv(name);
      return value != nullptr && *value != '\0';
    };
    const char* terminal = std::getenv("TERM");
    const bool is_dumb = terminal == nullptr || std::string_view(terminal) == "dumb";
    has_bar_ = ::isatty(STDERR_FILENO) == 1 && !is_dumb && !is_set("CI");
    has_colour_ = has_bar_ && !is_set("NO_COLOR");
  }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  ~Progress() { clear(); }

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
  static void print(std::string_view text) { std::fwrite(text.data(), 1, text.size(), stderr); }

  [[nodiscard]] double fraction() const {
    if (bytes_ > 0) return std::min(1.0, static_cast<double>(bytes_done_) / static_cast<double>(bytes_));
    return files_ == 0 ? 1.0 : static_cast<double>(files_done_) / static_cast<double>(files_);
  }

  [[nodiscard]] std::string line(Clock::time_point now) const {
    const double seconds = std::chrono::duration<double>(now - start_).count();
    const double part = fraction();
    const double left = part > 0 ? seconds * (1 - part) / part : 0;
    return fmt::format("{}/{} files, {:.0f}%, {:.1f} MB/s, {:.0f} s left", files_done_, files_, 100 * part,
                       seconds > 0 ? static_cast<double>(bytes_done_) / 1e6 / seconds : 0.0, left);
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
  bool has_bar_ = false, has_colour_ = false, is_drawn_ = false;
};

/// One JSON line per output.
class Manifest {
 public:
  Manifest(const std::string& path, bool append) : path_(path) {
    if (path.empty()) return;
    file_.reset(std::fopen(path.c_str(), append ? "ae" : "we"));
    if (!file_) throw system_error(fmt::format("cannot write the manifest '{}'", path), errno);
  }

  void line(const EtlTask& task, const std::string& output, const EtlOptions& options, const EtlOutcome* outcome,
            std::string_view message) {
    if (!file_) return;
    std::string text = fmt::format("{{\"input\": {}, \"output\": {}, \"seed\": {}, \"stream\": {}, \"sigma\": {}",
                                   json_string(task.input), json_string(output), options.seed, task.stream,
                                   outcome == nullptr ? options.amplitude : outcome->amplitude);
    text += ", \"snr_db_requested\": null, \"snr_db_achieved\": null";
    if (outcome != nullptr) {
      std::string warnings;
      for (const auto& [bit, name] :
           {std::pair{EtlOutcome::kTruncated, "truncated"}, std::pair{EtlOutcome::kDamaged, "damaged"},
            std::pair{EtlOutcome::kUnsized, "unsized"}, std::pair{EtlOutcome::kNotFinite, "not finite"}}) {
        if ((outcome->warnings & bit) == 0) continue;
        warnings += fmt::format("{}\"{}\"", warnings.empty() ? "" : ", ", name);
      }
      text += fmt::format(
          ", \"frames\": {}, \"channels\": {}, \"rate\": {}, \"subtype\": \"{}\", \"clipped\": {}, \"nans\": {}, "
          "\"warnings\": [{}], \"status\": \"ok\", \"message\": \"\"}}\n",
          outcome->frames, outcome->channels, outcome->rate, subtype_name(outcome->format), outcome->clipped,
          outcome->not_finite, warnings);
    } else {
      text += fmt::format(
          ", \"frames\": null, \"channels\": null, \"rate\": null, \"subtype\": null, \"clipped\": null, "
          "\"nans\": null, \"warnings\": [], \"status\": \"failed\", \"message\": {}}}\n",
          json_string(message));
    }
    errno = 0;
    if (std::fwrite(text.data(), 1, text.size(), file_.get()) != text.size()) fail();
  }

  void close() {
    if (file_ && std::fclose(file_.release()) != 0) fail();
  }

 private:
  struct Close {
    void operator()(std::FILE* file) const noexcept { std::fclose(file); }
  };
  [[noreturn]] void fail() const { throw system_error(fmt::format("cannot write the manifest '{}'", path_), errno); }

  std::string path_;
  std::unique_ptr<std::FILE, Close> file_;
};

// --- Ctrl-C ---

std::atomic<bool> stop_flag{false};
std::atomic<bool> was_interrupted{false};
static_assert(std::atomic<bool>::is_always_lock_free, "set by a signal handler");

/// While it lives, the first SIGINT, SIGTERM or SIGHUP asks all tasks to stop; a second one ends the
/// process at once. What was ignored stays ignored.
class StopOnSignal {
 public:
  StopOnSignal() {
    struct sigaction action {};
    action.sa_handler = [](int) {
      was_interrupted = true;
      stop_flag = true;
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
  if (options.noise_dbfs) {
    if (!std::isfinite(*options.noise_dbfs) || *options.noise_dbfs > 0) {
      throw UsageError(
          fmt::format("--noise-dbfs {}: it must be a number not above 0, full scale", *options.noise_dbfs));
    }
    return std::pow(10.0, *options.noise_dbfs / 20.0);
  }
  const double amplitude = options.amplitude.value_or(kBenchmarkAmplitude);
  if (!(amplitude >= 0 && amplitude <= 1)) {
    throw UsageError(fmt::format(
        "--amplitude {}: it must lie between 0 and 1, the standard deviation relative to full scale", amplitude));
  }
  return amplitude;
}

StrategyOptions strategy_options(const ProcessOptions& options) {
  StrategyOptions result;
  const std::int64_t all = options.strategy == "sequential" ? 1 : available_workers();
  const std::int64_t workers = options.workers.value_or(all);
  constexpr std::int64_t kMostWorkers = 4096;
  if (workers < 1 || workers > kMostWorkers) {
    throw UsageError(fmt::format("--workers {}: it must lie between 1 and {}", workers, kMostWorkers));
  }
  constexpr std::int64_t kLargestChunk = 1'000'000'000;
  if (options.chunk_size < 1 || options.chunk_size > kLargestChunk) {
    throw UsageError(fmt::format("--chunk {}: it must lie between 1 and {}", options.chunk_size, kLargestChunk));
  }
  result.workers = static_cast<int>(workers);
  result.chunk_size = static_cast<std::uint32_t>(options.chunk_size);
  result.stop = &stop_flag;
  return result;
}

std::string warning_text(const EtlTask& task, const EtlOutcome& outcome) {
  std::string text;
  if ((outcome.warnings & EtlOutcome::kTruncated) != 0) {
    text = fmt::format("'{}' is truncated: {} of {} frames", task.input, outcome.frames, outcome.frames_promised);
  } else if ((outcome.warnings & EtlOutcome::kDamaged) != 0) {
    text = fmt::format("'{}' is damaged: read as far as it goes, {} frames", task.input, outcome.frames);
  } else if ((outcome.warnings & EtlOutcome::kUnsized) != 0) {
    text =
        fmt::format("'{}' does not say its length: read to the end of the file, {} frames", task.input, outcome.frames);
  }
  if ((outcome.warnings & EtlOutcome::kNotFinite) != 0) {
    text += fmt::format("{}{} samples of '{}' were NaN or infinite", text.empty() ? "" : "; ", outcome.not_finite,
                        task.input);
  }
  return text;
}

int process(const ProcessOptions& options) {
  // What cannot be meant, first.
  if (options.paths.size() < 2)
    throw UsageError("process needs at least one IN, and OUT: noisefloor process IN... OUT");
  const double amplitude = amplitude_of(options);
  const Strategy& strategy = select_strategy(options.strategy);
  const StrategyOptions how = strategy_options(options);
  if (const std::string reason = strategy.refuse(how); !reason.empty()) throw UsageError(reason);
  const Kernel& kernel = select_kernel(options.kernel);

  const std::span<const std::string> ins(options.paths.data(), options.paths.size() - 1);
  const Target target = target_of(options.paths.back(), ins);
  Collection collection = collect(ins, options.recursive);
  refuse_out_in_input(target.root, collection.folders);
  if (collection.inputs.empty()) {
    std::string hint;
    if (collection.skipped_folders > 0) {
      hint = fmt::format("; {} sub-folders were not entered: --recursive does", collection.skipped_folders);
    }
    for (const auto& [path, message] : collection.unreadable) hint += "; " + message;
    throw UsageError(fmt::format("no sound file in '{}'{}", fmt::join(ins, "', '"), hint));
  }
  refuse_collisions(collection.inputs);

  std::set<FileId> input_ids;
  for (const Input& input : collection.inputs) {
    if (const auto id = file_id(input.path)) input_ids.insert(*id);
  }
  const auto refuse_input = [&](const std::string& path, std::string_view what) {
    const auto id = file_id(path);
    if (id && input_ids.contains(*id)) {
      throw UsageError(fmt::format("{} '{}' is an input itself: inputs are never written to", what, path));
    }
    return id.has_value();
  };
  if (!options.manifest.empty()) refuse_input(options.manifest, "the manifest");

  std::vector<EtlTask> tasks;
  std::set<std::string> folders;
  std::uint64_t there_already = 0, bytes = 0;
  for (const Input& input : collection.inputs) {
    std::string output = target.file.empty() ? input.relative : target.file;
    const std::string path = target.root + "/" + output;
    const bool exists = refuse_input(path, "the output");
    if (exists && options.resume) {
      ++there_already;
      continue;
    }
    folders.insert(folder_of(path));
    std::error_code unknown;
    if (const auto size = fs::file_size(input.path, unknown); !unknown) bytes += size;
    tasks.push_back({input.path, std::move(output), stream_of(input.relative.data(), input.relative.size())});
  }

  // From here on, things are written.
  stop_flag = false;
  was_interrupted = false;
  const StopOnSignal stop_on_signal;
  make_folders(target.root);
  for (const std::string& folder : folders) {
    try {
      make_folders(folder);
    } catch (const Error&) {
      continue;  // the tasks that write there will say so; the others go on
    }
    remove_stale(folder);
  }
  Manifest manifest(options.manifest, options.resume);
  Progress progress(tasks.size(), bytes);
  Totals totals;
  for (const auto& [path, message] : collection.unreadable) {
    ++totals.failed;
    progress.message("failed", true, message);
  }

  const EtlOptions what{.kernel = &kernel,
                        .amplitude = amplitude,
                        .seed = options.seed,
                        .output_root = target.root,
                        .output_mode = options.overwrite ? OutputMode::replace : OutputMode::fresh,
                        .fsync = options.fsync,
                        .stop = &stop_flag,
                        .exists_hint = ": --overwrite replaces, --resume skips"};
  const EtlWorkload workload(tasks, what);
  std::uint64_t answered = 0;
  std::exception_ptr broken;  // a consumer must not throw

  const auto take = [&](const TaskResult& result, std::span<const std::byte> returned) {
    const EtlTask& task = tasks[result.task];
    const std::string output = target.root + "/" + task.output;
    ++answered;
    if (result.status != 0) {
      const std::string_view message(reinterpret_cast<const char*>(returned.data()), returned.size());
      if (message == kInterrupted) {
        ++totals.unfinished;
        return;
      }
      ++totals.failed;
      const bool is_named = message.find(task.input) != std::string_view::npos;
      progress.message("failed", true, is_named ? std::string(message) : fmt::format("'{}': {}", task.input, message));
      manifest.line(task, output, what, nullptr, message);
      if (options.fail_fast) stop_flag = true;
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
      progress.message("warning", false, text);
    }
    manifest.line(task, output, what, &outcome, {});
    progress.done(outcome.bytes_read);
  };

  const auto start = Clock::now();
  {
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
                stop_flag = true;
              }
            });
  }
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  if (broken) std::rethrow_exception(broken);
  manifest.close();
  totals.unfinished += tasks.size() - answered;

  fmt::print("files: {} written, {} failed", totals.written, totals.failed);
  if (totals.warned > 0) fmt::print(", {} with a warning", totals.warned);
  if (there_already > 0) fmt::print(", {} there already", there_already);
  if (totals.unfinished > 0) fmt::print(", {} not done", totals.unfinished);
  if (collection.skipped_others > 0) fmt::print(", {} skipped that are no sound files", collection.skipped_others);
  if (collection.skipped_folders > 0) fmt::print(", {} folders not entered", collection.skipped_folders);
  fmt::print("\nsound: {:.3f} s; clipped samples: {}; NaN or infinite: {}\n", totals.sound_seconds, totals.clipped,
             totals.not_finite);
  fmt::print("noise: amplitude {:.6g} of full scale, seed {}, kernel {}\n", amplitude, options.seed, kernel.name);
  fmt::print("time: {:.3f} s, {}, workers {}, chunk {}; {:.0f} times real time, {:.1f} MB/s read and written\n",
             seconds, strategy.name, how.workers, how.chunk_size, seconds > 0 ? totals.sound_seconds / seconds : 0.0,
             seconds > 0 ? static_cast<double>(totals.bytes) / 1e6 / seconds : 0.0);
  if (std::fflush(stdout) != 0) throw system_error("cannot write to standard output", errno);

  if (was_interrupted) return static_cast<int>(ExitStatus::interrupted);
  return static_cast<int>(totals.failed > 0 ? ExitStatus::failed : ExitStatus::done);
}

/// Length of the UTF-8 sequence at the start of `text`; 0 if there is none (overlong, surrogate, cut off).
std::size_t utf8_length(std::string_view text) noexcept {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return 1;
  const std::size_t length = first >= 0xC2 && first <= 0xDF   ? 2
                             : first >= 0xE0 && first <= 0xEF ? 3
                             : first >= 0xF0 && first <= 0xF4 ? 4
                                                              : 0;
  if (length == 0 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  if ((first == 0xE0 && byte(1) < 0xA0) || (first == 0xED && byte(1) > 0x9F) || (first == 0xF0 && byte(1) < 0x90) ||
      (first == 0xF4 && byte(1) > 0x8F)) {
    return 0;
  }
  return length;
}

}  // namespace

std::string json_string(std::string_view text) {
  std::string json = "\"";
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    const auto byte = static_cast<unsigned char>(text[0]);
    if (length == 0) {
      json += fmt::format("\\udc{:02x}", byte);
    } else if (byte == '"' || byte == '\\') {
      json += '\\';
      json += text[0];
    } else if (byte < 0x20 || byte == 0x7F) {
      json += fmt::format("\\u{:04x}", byte);
    } else {
      json += text.substr(0, length);
    }
    text.remove_prefix(std::max<std::size_t>(length, 1));
  }
  return json + '"';
}

std::string printable(std::string_view text) {
  std::string result;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\n') {
      result += "\\n";
    } else if (byte < 0x20 || byte == 0x7F) {
      result += fmt::format("\\x{:02x}", byte);
    } else {
      result += c;
    }
  }
  return result;
}

void add_process(CLI::App& app, int& status) {
  auto options = std::make_shared<ProcessOptions>();
  CLI::App* command = app.add_subcommand("process", "add Gaussian noise to sound files");
  command->add_option("paths", options->paths,
                      "IN... OUT: files or folders, then the folder to write to (or a file, for one input)");
  CLI::Option* amplitude = command->add_option(
      "--amplitude", options->amplitude,
      fmt::format("standard deviation of the noise relative to full scale, 0 to 1 (default {})", kBenchmarkAmplitude));
  command->add_option("--noise-dbfs", options->noise_dbfs, "the same in dB, not above 0")->excludes(amplitude);
  command->add_option("--seed", options->seed, "of the noise: same seed and relative path, same bytes")
      ->capture_default_str();
  command->add_option("--strategy", options->strategy, "see `noisefloor list strategies`")->capture_default_str();
  command->add_option("--workers", options->workers, "default: the CPUs that are ours (1 for sequential)");
  command->add_option("--chunk", options->chunk_size, "consecutive files that a worker takes at a time")
      ->capture_default_str();
  command->add_option("--kernel", options->kernel, "see `noisefloor list kernels`")->capture_default_str();
  command->add_flag("--recursive", options->recursive, "enter sub-folders; they are kept");
  command->add_flag("--fsync", options->fsync, "each output is on the disk before the next is begun");
  command->add_option("--manifest", options->manifest, "one JSON line per output into this file");
  CLI::Option* keep_going =
      command->add_flag("--keep-going", options->keep_going, "a bad input does not stop the others (the default)");
  command->add_flag("--fail-fast", options->fail_fast, "the first bad input does")->excludes(keep_going);
  CLI::Option* overwrite = command->add_flag("--overwrite", options->overwrite, "replace outputs that exist");
  command->add_flag("--resume", options->resume, "skip outputs that exist")->excludes(overwrite);
  command->callback([options, &status] { status = process(*options); });
}

}  // namespace noisefloor
