// Starts the command of a task, waits for it, and keeps a hash of what it wrote.
// SPDX-License-Identifier: MIT
#include "harness/workloads/command.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <atomic>
#include <cctype>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "harness/base/error.hpp"
#include "harness/base/shared_mapping.hpp"
#include "harness/base/unique_fd.hpp"
#include "harness/base/usage.hpp"
#include "harness/workloads/file_tasks.hpp"
#include "harness/workloads/user_inputs.hpp"

extern char** environ;

namespace noisefloor {
namespace {

namespace fs = std::filesystem;
using std::chrono::steady_clock;

constexpr std::string_view kOne = "{}";
constexpr std::string_view kMany = "{...}";
constexpr std::string_view kOut = "{out}";
/// For each input; a little less than worker processes are given, so that the message tells of the command.
constexpr std::chrono::seconds kCommandPatience{50};
constexpr off_t kKeptErrorBytes = 400;

bool contains(const std::vector<std::string>& words, std::string_view place) {
  return std::any_of(words.begin(), words.end(),
                     [&](const std::string& word) { return word.find(place) != std::string::npos; });
}

std::string replaced(std::string word, std::string_view place, const std::string& by) {
  for (std::size_t at = word.find(place); at != std::string::npos; at = word.find(place, at + by.size())) {
    word.replace(at, place.size(), by);
  }
  return word;
}

std::string find_program(const std::string& name) {
  if (name.find('/') != std::string::npos) {
    if (::access(name.c_str(), X_OK) == 0) return fs::absolute(name).string();
  } else {
    const char* const path = std::getenv("PATH");
    const std::string folders = path == nullptr ? "" : path;
    for (std::size_t from = 0; from <= folders.size();) {
      const std::size_t end = std::min(folders.find(':', from), folders.size());
      const std::string candidate = fs::absolute(fs::path(folders.substr(from, end - from)) / name).string();
      std::error_code ignored;
      if (fs::is_regular_file(candidate, ignored) && ::access(candidate.c_str(), X_OK) == 0) return candidate;
      from = end + 1;
    }
  }
  throw UsageError(fmt::format("command {}: there is no such program{}: install it or give its path", name,
                               name.find('/') == std::string::npos ? " in PATH" : ""));
}

/// A command taken apart.
struct Template {
  std::string program;  ///< absolute
  std::vector<std::string> words;
  bool many = false;   ///< {...}
  bool files = false;  ///< {out}
};

Template template_of(const std::string& command) {
  Template found{.program = {}, .words = split_words(command)};
  if (found.words.empty()) throw UsageError("command: it has no words");
  found.many = std::find(found.words.begin(), found.words.end(), kMany) != found.words.end();
  found.files = contains(found.words, kOut);
  if (found.many && contains(found.words, kOne)) {
    throw UsageError(fmt::format("command '{}': {} takes one input, {} many: give one of them", command, kOne, kMany));
  }
  if (!found.many && !contains(found.words, kOne)) {
    throw UsageError(
        fmt::format("command '{}' has no place for its inputs: write {} for one at a time, or {} as a word for many",
                    command, kOne, kMany));
  }
  found.program = find_program(found.words.front());
  return found;
}

/// A memory file of this thread, empty, for what a process writes; it grows as it is written.
class MemoryFile {
 public:
  explicit MemoryFile(const char* name) : fd_(::memfd_create(name, MFD_CLOEXEC)) {
    if (!fd_) throw system_error("no memory file can be made for a command's output", errno);
    if (::fcntl(fd_.get(), F_SETFL, O_APPEND) != 0) throw system_error("cannot append to a memory file", errno);
  }
  [[nodiscard]] int fd() const noexcept { return fd_.get(); }
  [[nodiscard]] off_t size() const { return ::lseek(fd_.get(), 0, SEEK_END); }
  void clear() {
    if (size() != 0 && ::ftruncate(fd_.get(), 0) != 0) throw system_error("cannot empty a memory file", errno);
  }

 private:
  UniqueFd fd_;
};

struct ThreadFiles {
  MemoryFile out{"out"}, err{"err"};
};

ThreadFiles& thread_files() {
  // A forked worker must not share the files of the one that it was forked from. Nor may it close them: their numbers
  // may be those of other files here.
  thread_local pid_t owner = 0;
  thread_local std::unique_ptr<ThreadFiles> files;
  if (owner != ::getpid()) {
    static_cast<void>(files.release());
    files = std::make_unique<ThreadFiles>();
    owner = ::getpid();
  }
  return *files;
}

/// The bytes of a memory file.
class Mapped {
 public:
  explicit Mapped(const MemoryFile& file) : bytes_(static_cast<std::size_t>(file.size())) {
    if (bytes_ == 0) return;
    data_ = ::mmap(nullptr, bytes_, PROT_READ, MAP_SHARED, file.fd(), 0);
    if (data_ == MAP_FAILED) throw system_error("a command's output cannot be read", errno);
  }
  Mapped(const Mapped&) = delete;
  Mapped& operator=(const Mapped&) = delete;
  ~Mapped() {
    if (bytes_ != 0) ::munmap(data_, bytes_);
  }
  [[nodiscard]] std::span<const unsigned char> bytes() const noexcept {
    return {static_cast<const unsigned char*>(data_), bytes_};
  }

 private:
  void* data_ = nullptr;
  std::size_t bytes_;
};

// Hashes that can be put together: the bytes as digits of a number in base kBase, modulo the prime 2^61 - 1 (Karp and
// Rabin, "Efficient randomized pattern-matching algorithms", IBM J. Res. Dev. 31, 1987). However many inputs a process
// takes, what all of them write is the same.
constexpr std::uint64_t kPrime = (std::uint64_t{1} << 61U) - 1;
constexpr std::uint64_t kBase = 0x0F3D5A7C91E8B246U % kPrime;

constexpr std::uint64_t times(std::uint64_t a, std::uint64_t b) noexcept {
  __extension__ using Wide = unsigned __int128;
  const Wide product = static_cast<Wide>(a) * b;
  const std::uint64_t sum = (static_cast<std::uint64_t>(product) & kPrime) + static_cast<std::uint64_t>(product >> 61U);
  return sum >= kPrime ? sum - kPrime : sum;
}

constexpr std::uint64_t power(std::uint64_t exponent) noexcept {
  std::uint64_t result = 1;
  for (std::uint64_t base = kBase; exponent != 0; exponent >>= 1U, base = times(base, base)) {
    if ((exponent & 1U) != 0) result = times(result, base);
  }
  return result;
}

std::uint64_t joinable_hash(std::span<const unsigned char> bytes) noexcept {
  std::uint64_t hash = 0;
  for (const unsigned char byte : bytes) hash = (times(hash, kBase) + byte + 1) % kPrime;
  return hash;
}

/// What one task wrote to standard output, in memory that forked workers share.
struct Slot {
  std::uint64_t hash = 0;
  std::uint64_t bytes = 0;
  std::uint64_t ran = 0;  ///< 1: a process of its own, 2: in the process of a task before it
};

std::string how_it_ended(int status) {
  if (WIFSIGNALED(status))
    return fmt::format("killed by signal {} ({})", WTERMSIG(status), ::strsignal(WTERMSIG(status)));
  return fmt::format("exit status {}", WEXITSTATUS(status));
}

std::string end_of(const MemoryFile& file) {
  const off_t size = file.size();
  std::string text(static_cast<std::size_t>(std::min(size, kKeptErrorBytes)), '\0');
  const ssize_t got = ::pread(file.fd(), text.data(), text.size(), size - static_cast<off_t>(text.size()));
  text.resize(got < 0 ? 0 : static_cast<std::size_t>(got));
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back())) != 0) text.pop_back();
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text.empty() ? "it wrote nothing to standard error" : text;
}

class SpawnSettings {
 public:
  SpawnSettings(int out, int err) {
    check(::posix_spawn_file_actions_init(&actions_));
    check(::posix_spawn_file_actions_addopen(&actions_, STDIN_FILENO, "/dev/null", O_RDONLY, 0));
    check(::posix_spawn_file_actions_adddup2(&actions_, out, STDOUT_FILENO));
    check(::posix_spawn_file_actions_adddup2(&actions_, err, STDERR_FILENO));
    check(::posix_spawnattr_init(&attributes_));
    sigset_t signals;
    ::sigfillset(&signals);
    check(::posix_spawnattr_setsigdefault(&attributes_, &signals));
    ::sigemptyset(&signals);
    check(::posix_spawnattr_setsigmask(&attributes_, &signals));
    check(::posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK));
  }
  SpawnSettings(const SpawnSettings&) = delete;
  SpawnSettings& operator=(const SpawnSettings&) = delete;
  ~SpawnSettings() {
    ::posix_spawn_file_actions_destroy(&actions_);
    ::posix_spawnattr_destroy(&attributes_);
  }
  pid_t spawn(const std::string& program, char* const* words) const {
    pid_t pid = -1;
    const int error = ::posix_spawn(&pid, program.c_str(), &actions_, &attributes_, words, environ);
    if (error != 0) throw system_error(fmt::format("{} cannot be started", program), error);
    return pid;
  }

 private:
  static void check(int error) {
    if (error != 0) throw system_error("a command cannot be prepared", error);
  }
  posix_spawn_file_actions_t actions_{};
  posix_spawnattr_t attributes_{};
};

/// Waits until a process ends, no longer than `patience`; then kills it. Counts what it used, and reaps it.
/// Returns its wait status; `late` says whether it was killed.
int wait_for(pid_t pid, steady_clock::time_point made, std::chrono::milliseconds patience, bool& late,
             std::uint64_t& peak_bytes) {
  const UniqueFd process(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (process) {
    pollfd polled{process.get(), POLLIN, 0};
    int ready = 0;
    do {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(made + patience - steady_clock::now()).count();
      ready = ::poll(&polled, 1, static_cast<int>(std::max<long long>(0, left)));
    } while (ready < 0 && errno == EINTR);
    late = ready == 0;
    if (late) ::kill(pid, SIGKILL);
  }
  rusage used{};
  siginfo_t info;
  long got = -1;
  // Until it is reaped, a dead process can be asked how long it had waited for a CPU.
  do {
    got = ::syscall(SYS_waitid, P_PID, pid, &info, WEXITED | WNOWAIT, &used);
  } while (got < 0 && errno == EINTR);
  const auto ns_of = [](const timeval& time) {
    return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000U + static_cast<std::uint64_t>(time.tv_usec) * 1000U;
  };
  Usage usage{ns_of(used.ru_utime),
              ns_of(used.ru_stime),
              static_cast<std::uint64_t>(used.ru_minflt),
              static_cast<std::uint64_t>(used.ru_majflt),
              static_cast<std::uint64_t>(used.ru_nvcsw),
              static_cast<std::uint64_t>(used.ru_nivcsw)};
  if (steady_clock::now() - made >= std::chrono::nanoseconds(usage.cpu_ns()) + kLeastWaitAtEnd) {
    usage.run_delay_ns = run_delay_of_process(pid);
  }
  peak_bytes = static_cast<std::uint64_t>(used.ru_maxrss) * 1024U;
  int status = 0;
  pid_t reaped = -1;
  do {
    reaped = ::waitpid(pid, &status, 0);
  } while (reaped < 0 && errno == EINTR);
  if (reaped < 0) throw system_error("the system keeps no account of a command that ended", errno);
  tell_end_of_child(usage);
  return status;
}

class Command final : public Workload {
 public:
  Command(Template command, std::vector<std::string> inputs)
      : command_(std::move(command)),
        inputs_(std::move(inputs)),
        slots_memory_(inputs_.size() * sizeof(Slot)),
        slots_(slots_memory_.as<Slot>()),
        peak_memory_(sizeof(std::uint64_t)) {
    for (const std::string& input : inputs_) bytes_read_ += file_bytes(input);
    if (command_.files)
      folders_ = std::make_unique<OutputFolders>(std::vector<OutputFolders::Output>{}, OutputMode::fresh);
  }

  [[nodiscard]] std::uint32_t task_count() const override { return static_cast<std::uint32_t>(inputs_.size()); }

  void run(TaskRange range, std::span<TaskResult> results, std::vector<std::byte>& returned) const override {
    if (!command_.many) {
      each(range, results, returned, [this](std::uint32_t task, std::vector<std::byte>&) {
        run_process({task, task + 1});
      });
      return;
    }
    bool done = false;
    each(range, results, returned, [&](std::uint32_t task, std::vector<std::byte>&) {
      if (task == range.first) {
        run_process(range);
        done = true;
      } else if (!done) {
        throw Error(fmt::format("in the same process as {}, which failed", inputs_[range.first]));
      }
    });
  }

  void prepare(std::uint32_t iterations) override {
    std::fill(slots_.begin(), slots_.end(), Slot{});
    peak().store(0, std::memory_order_relaxed);
    if (folders_) folders_->prepare(iterations);
  }
  void begin(std::uint32_t iteration) override {
    if (folders_) folders_->begin(iteration);
  }
  void clean() override {
    if (folders_) folders_->clean();
  }

  [[nodiscard]] std::uint64_t digest(TaskRange range) const override {
    std::uint64_t sum = 0;
    for (std::uint32_t task = range.first; task < range.last; ++task) {
      const Slot& slot = slots_[task];
      if (slot.ran == 0) throw Error(fmt::format("command: task {} ({}) did not run", task, inputs_[task]));
      if (command_.many) {
        sum = (times(sum, power(slot.bytes)) + slot.hash) % kPrime;
      } else {
        sum += XXH3_64bits_withSeed(&slot.hash, sizeof slot.hash, task);
      }
    }
    if (folders_ && range.first == 0) sum += digest_of_folder(folders_->root());
    return sum;
  }
  [[nodiscard]] bool digests_all_only() const noexcept override { return command_.many; }

  [[nodiscard]] Volume volume() const override {
    std::uint64_t written = 0;
    for (const Slot& slot : slots_) written += slot.bytes;
    return {.samples = std::nullopt, .bytes_read = bytes_read_, .bytes_written = written};
  }
  [[nodiscard]] std::uint64_t peak_child_bytes() const noexcept override {
    return peak().load(std::memory_order_relaxed);
  }

 private:
  static std::uint64_t digest_of_folder(const std::string& folder) {
    std::uint64_t sum = 0;
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folder)) {
      if (!entry.is_regular_file()) continue;
      const std::string name = entry.path().lexically_relative(folder).string();
      sum += digest_of_file(entry.path().string(), XXH3_64bits(name.data(), name.size()));
    }
    return sum;
  }

  [[nodiscard]] std::atomic_ref<std::uint64_t> peak() const noexcept {
    return std::atomic_ref(peak_memory_.as<std::uint64_t>()[0]);
  }

  [[nodiscard]] std::vector<std::string> words_for(TaskRange range) const {
    std::vector<std::string> words;
    for (const std::string& word : command_.words) {
      if (word == kMany) {
        words.insert(words.end(), inputs_.begin() + range.first, inputs_.begin() + range.last);
        continue;
      }
      words.push_back(command_.files ? replaced(word, kOut, folders_->root()) : word);
      if (!command_.many) words.back() = replaced(std::move(words.back()), kOne, inputs_[range.first]);
    }
    return words;
  }

  void run_process(TaskRange range) const {
    ThreadFiles& files = thread_files();
    files.out.clear();
    files.err.clear();
    std::vector<std::string> words = words_for(range);
    std::vector<char*> arguments;
    arguments.reserve(words.size() + 1);
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    const SpawnSettings settings(files.out.fd(), files.err.fd());
    const auto made = steady_clock::now();
    bool late = false;
    std::uint64_t peak_bytes = 0;
    const int status = wait_for(settings.spawn(command_.program, arguments.data()), made,
                                kCommandPatience * range.size(), late, peak_bytes);
    std::uint64_t before = peak().load(std::memory_order_relaxed);
    while (before < peak_bytes && !peak().compare_exchange_weak(before, peak_bytes, std::memory_order_relaxed)) {
    }
    if (late || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
      throw Error(fmt::format(
          "{}: {}: {}", join_words(words),
          late ? fmt::format("killed: it did not end within {} s", (kCommandPatience * range.size()).count())
               : how_it_ended(status),
          end_of(files.err)));
    }
    const Mapped written(files.out);
    const auto bytes = written.bytes();
    slots_[range.first] = {command_.many ? joinable_hash(bytes) : XXH3_64bits(bytes.data(), bytes.size()), bytes.size(),
                           1};
    for (std::uint32_t task = range.first + 1; task < range.last; ++task) slots_[task] = {0, 0, 2};
  }

  Template command_;
  std::vector<std::string> inputs_;
  SharedMapping slots_memory_;
  std::span<Slot> slots_;
  SharedMapping peak_memory_;
  std::unique_ptr<OutputFolders> folders_;  // where the command has {out}
  std::uint64_t bytes_read_ = 0;
};

}  // namespace

std::unique_ptr<Workload> make_command(const WorkloadOptions& options) {
  Template command = template_of(options.work.command);
  const std::vector<std::string> entries = split_words(options.work.inputs);
  std::vector<std::string> inputs = user_inputs(entries);
  if (options.tasks > inputs.size()) {
    throw UsageError(fmt::format("command: {} inputs are asked for, there are {}", options.tasks, inputs.size()));
  }
  inputs.resize(options.tasks);
  return std::make_unique<Command>(std::move(command), std::move(inputs));
}

WorkFacts describe_command(const WorkloadOptions& options) {
  const Template command = template_of(options.work.command);
  const std::vector<std::string> entries = split_words(options.work.inputs);
  const std::vector<std::string> inputs = user_inputs(entries);
  const std::string what = fmt::format("{} {:016x} {:016x}", options.work.command, digest_of_file(command.program, 0),
                                       digest_of_inputs(inputs));
  return {.tasks = static_cast<std::uint32_t>(inputs.size()),
          .sized = false,
          .id = fmt::format("{:016x}", XXH3_64bits(what.data(), what.size()))};
}

std::string shell_command(std::string_view text) {
  const bool many = text.find(kMany) != std::string_view::npos;
  std::string script(text);
  for (const auto& [place, by] : {std::pair(kMany, "\"$@\""), std::pair(kOne, "\"$1\"")}) {
    for (const char* const quote : {"\"", "'", ""}) {  // who quotes a place means the same
      script = replaced(std::move(script), fmt::format("{}{}{}", quote, place, quote), by);
    }
  }
  const std::vector<std::string> words = {"sh", "-c", script, "sh", std::string(many ? kMany : kOne)};
  return join_words(words);
}

}  // namespace noisefloor
