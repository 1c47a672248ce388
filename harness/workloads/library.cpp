// Loads a shared library that keeps to include/noisefloor/work.h, and runs its tasks.
// SPDX-License-Identifier: MIT
#include "harness/workloads/library.hpp"

#include <dlfcn.h>
#include <fmt/format.h>
#include <noisefloor/work.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <limits>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "harness/base/error.hpp"
#include "harness/base/shared_mapping.hpp"
#include "harness/base/unique_fd.hpp"
#include "harness/workloads/file_tasks.hpp"
#include "harness/workloads/result_slots.hpp"

namespace noisefloor {
namespace {

static_assert(NOISEFLOOR_MOST_PIECE_BYTES == kLargestPieceBytes);

constexpr const char* kSymbol = "noisefloor_work";
// A user's function may well find ~0, which marks a slot that nothing has written: the slots hold what it found,
// changed.
constexpr std::uint64_t kDisguise = 0x6A09E667F3BCC908U;

[[noreturn]] void refuse(const std::string& path, std::string_view why) {
  throw UsageError(fmt::format("library {}: {}", path, why));
}

/// Throws Error with what the library says of its failure.
void check(int failed, const char* function, noisefloor_error& error) {
  if (failed == 0) return;
  error.text[sizeof error.text - 1] = '\0';
  throw Error(error.text[0] != '\0' ? std::string(error.text)
                                    : fmt::format("{}() returned {} and says nothing", function, failed));
}

class LoadedLibrary {
 public:
  explicit LoadedLibrary(const std::string& path) {
    std::error_code error;
    if (!std::filesystem::is_regular_file(path, error)) refuse(path, "there is no such file");
    int flags = RTLD_NOW | RTLD_LOCAL;
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && defined(RTLD_DEEPBIND)
#if !defined(__has_feature)
#define NOISEFLOOR_DEEPBIND
#elif !__has_feature(address_sanitizer) && !__has_feature(thread_sanitizer)
#define NOISEFLOOR_DEEPBIND
#endif
#endif
#ifdef NOISEFLOOR_DEEPBIND
    flags |= RTLD_DEEPBIND;  // its own functions, whatever those that this program has loaded are called
#endif
    handle_ = ::dlopen(path.c_str(), flags);
    if (handle_ == nullptr) refuse(path, fmt::format("it cannot be loaded: {}", ::dlerror()));
    void* const symbol = ::dlsym(handle_, kSymbol);
    if (symbol == nullptr) {
      ::dlclose(handle_);
      refuse(path, fmt::format("it exports no {}(): build it on <noisefloor/work.h>", kSymbol));
    }
    const auto* const found = reinterpret_cast<const noisefloor_description* (*)()>(symbol)();
    const std::string wrong = problem_of(found);
    if (!wrong.empty()) {
      ::dlclose(handle_);
      refuse(path, wrong);
    }
    description_ = found;
  }
  LoadedLibrary(const LoadedLibrary&) = delete;
  LoadedLibrary& operator=(const LoadedLibrary&) = delete;
  ~LoadedLibrary() { ::dlclose(handle_); }

  [[nodiscard]] const noisefloor_description& description() const noexcept { return *description_; }

 private:
  static std::string problem_of(const noisefloor_description* found) {
    if (found == nullptr) return fmt::format("{}() gives nothing: return a description", kSymbol);
    if (found->version != NOISEFLOOR_WORK_VERSION) {
      return fmt::format("it is built for version {} of <noisefloor/work.h>, this program speaks {}: build it anew",
                         found->version, NOISEFLOOR_WORK_VERSION);
    }
    if (found->open == nullptr) return "its description has no open()";
    const int stages =
        (found->extract != nullptr ? 1 : 0) + (found->transform != nullptr ? 1 : 0) + (found->load != nullptr ? 1 : 0);
    if (stages != 0 && stages != 3) return "its description has some of extract(), transform() and load(): give all";
    if (stages == 0 && found->run == nullptr) return "its description has neither run() nor stages";
    if (stages == 3 && (found->piece_bytes == 0 || found->piece_bytes > NOISEFLOOR_MOST_PIECE_BYTES)) {
      return fmt::format("its piece_bytes is {}: give 1 to {}", found->piece_bytes, NOISEFLOOR_MOST_PIECE_BYTES);
    }
    return {};
  }

  void* handle_ = nullptr;
  const noisefloor_description* description_ = nullptr;
};

/// The work of a library, open.
class OpenWork {
 public:
  explicit OpenWork(const WorkloadOptions& options) : library_(options.work.library) {
    noisefloor_error error;
    error.text[0] = '\0';
    const noisefloor_options given{
        .task_size = library_.description().task_size_unit != nullptr ? options.task_size : 1,
        .seed = options.seed,
        .shared = shared,
        .host = &shared_};
    try {
      check(library_.description().open(&given, &self_, &tasks_, &error), "open", error);
    } catch (const Error& refused) {
      refuse(options.work.library, fmt::format("it does not open: {}", refused.what()));
    }
  }
  OpenWork(const OpenWork&) = delete;
  OpenWork& operator=(const OpenWork&) = delete;
  ~OpenWork() {
    if (library_.description().close != nullptr) library_.description().close(self_);
  }

  [[nodiscard]] const noisefloor_description& functions() const noexcept { return library_.description(); }
  [[nodiscard]] void* self() const noexcept { return self_; }
  [[nodiscard]] std::uint32_t tasks() const noexcept { return tasks_; }

 private:
  static void* shared(void* host, std::size_t bytes) {
    try {
      return static_cast<std::vector<SharedMapping>*>(host)->emplace_back(bytes).as<std::byte>().data();
    } catch (const std::exception&) {
      return nullptr;  // the library says what it could not have
    }
  }

  LoadedLibrary library_;
  std::vector<SharedMapping> shared_;
  void* self_ = nullptr;
  std::uint32_t tasks_ = 0;
};

class LibraryTask final : public StagedTask {
 public:
  LibraryTask(const OpenWork& work, std::uint32_t task, std::uint64_t& slot) : work_(work), task_(task), slot_(slot) {}

  [[nodiscard]] std::size_t extract(std::span<std::byte> room, Piece& /*piece*/) override {
    if (std::exchange(extracted_, true)) return 0;
    noisefloor_error error;
    error.text[0] = '\0';
    const std::int64_t bytes = work_.functions().extract(work_.self(), task_, room.data(), &error);
    if (bytes < 0)
      check(static_cast<int>(std::max<std::int64_t>(bytes, std::numeric_limits<int>::min())), "extract", error);
    if (bytes < 1 || static_cast<std::uint64_t>(bytes) > work_.functions().piece_bytes) {
      throw Error(
          fmt::format("extract() says {} bytes: 1 to {} (piece_bytes) are due", bytes, work_.functions().piece_bytes));
    }
    return static_cast<std::size_t>(bytes);
  }

  void transform(std::span<std::byte> data, Piece& /*piece*/) override { transform_piece(work_, task_, data); }

  void load(std::span<const std::byte> data, const Piece& /*piece*/) override {
    noisefloor_error error;
    error.text[0] = '\0';
    std::uint64_t result = 0;
    check(work_.functions().load(work_.self(), task_, data.data(), data.size(), &result, &error), "load", error);
    slot_ = result ^ kDisguise;
  }

  void finish(std::vector<std::byte>& /*returned*/) override {}

  static void transform_piece(const OpenWork& work, std::uint32_t task, std::span<std::byte> data) {
    noisefloor_error error;
    error.text[0] = '\0';
    check(work.functions().transform(work.self(), task, data.data(), data.size(), &error), "transform", error);
  }

 private:
  const OpenWork& work_;
  std::uint32_t task_;
  std::uint64_t& slot_;
  bool extracted_ = false;
};

class Library final : public Workload, private Stages {
 public:
  Library(std::unique_ptr<OpenWork> work, std::uint32_t tasks)
      : work_(std::move(work)), run_(work_->functions().run), self_(work_->self()), results_(tasks) {}

  [[nodiscard]] std::uint32_t task_count() const override { return results_.size(); }

  void run(TaskRange range, std::span<TaskResult> results, std::vector<std::byte>& returned) const override {
    if (run_ == nullptr) return run_stages(range, results, returned);
    each(range, results, returned, [this](std::uint32_t task, std::vector<std::byte>&) {
      noisefloor_error error;
      error.text[0] = '\0';
      std::uint64_t result = 0;
      if (const int failed = run_(self_, task, &result, &error); failed != 0) [[unlikely]]
        check(failed, "run", error);
      results_[task] = result ^ kDisguise;
    });
  }

  void prepare(std::uint32_t /*iterations*/) override {
    results_.poison();
    if (work_->functions().prepare == nullptr) return;
    noisefloor_error error;
    error.text[0] = '\0';
    check(work_->functions().prepare(self_, &error), "prepare", error);
  }

  [[nodiscard]] std::uint64_t digest(TaskRange range) const override {
    const std::uint64_t found = results_.digest(range, "library");  // throws where a task did not run
    if (work_->functions().digest == nullptr) return found;
    std::uint64_t sum = 0;
    for (std::uint32_t task = range.first; task < range.last; ++task) {
      noisefloor_error error;
      error.text[0] = '\0';
      std::uint64_t result = 0;
      check(work_->functions().digest(self_, task, &result, &error), "digest", error);
      sum += XXH3_64bits_withSeed(&result, sizeof result, task);
    }
    return sum;
  }

  [[nodiscard]] bool one_thread() const noexcept override {
    return (work_->functions().flags & NOISEFLOOR_ONE_THREAD) != 0;
  }

  [[nodiscard]] const Stages* stages() const override { return work_->functions().extract != nullptr ? this : nullptr; }

 private:
  void run_stages(TaskRange range, std::span<TaskResult> results, std::vector<std::byte>& returned) const {
    const auto room = thread_buffer().first(piece_bytes());
    each(range, results, returned, [&](std::uint32_t task, std::vector<std::byte>&) {
      LibraryTask stages(*work_, task, results_[task]);
      Piece piece;
      const auto data = room.first(stages.extract(room, piece));
      stages.transform(data, piece);
      stages.load(data, piece);
    });
  }

  [[nodiscard]] std::size_t piece_bytes() const noexcept override { return work_->functions().piece_bytes; }
  [[nodiscard]] std::unique_ptr<StagedTask> open(std::uint32_t task) const override {
    return std::make_unique<LibraryTask>(*work_, task, results_[task]);
  }
  void transform(std::uint32_t task, std::span<std::byte> data, Piece& /*piece*/) const override {
    LibraryTask::transform_piece(*work_, task, data);
  }

  std::unique_ptr<OpenWork> work_;
  int (*run_)(void*, std::uint32_t, std::uint64_t*, noisefloor_error*);  // as the description has it: read once
  void* self_;
  ResultSlots results_;
};

std::string id_of(const std::string& library) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(library, error)) refuse(library, "there is no such file");
  return fmt::format("{:016x}", digest_of_file(library, 0));
}

/// What a process that asks a library tells the one that made it.
struct Answer {
  std::uint32_t tasks = 0;
  bool sized = false;
  bool refused = true;
  std::array<char, 2048> message{};
};

void ask(const WorkloadOptions& options, Answer& answer) noexcept {
  try {
    const OpenWork work(options);
    answer.tasks = work.tasks();
    answer.sized = work.functions().task_size_unit != nullptr;
    answer.refused = false;
  } catch (const std::exception& error) {
    const std::string_view message = error.what();
    message.copy(answer.message.data(), answer.message.size() - 1);
  }
}

}  // namespace

std::unique_ptr<Workload> make_library(const WorkloadOptions& options) {
  const std::string& path = options.work.library;
  if (path.empty()) throw UsageError("workload library without a library: give --library FILE.so");
  if (const std::string id = id_of(path); !options.work.id.empty() && id != options.work.id) {
    throw Error(fmt::format("library {} is another one by now ({}) than what was planned ({}): start a new run", path,
                            id, options.work.id));
  }
  auto work = std::make_unique<OpenWork>(options);
  if (options.tasks > work->tasks()) {
    refuse(path, fmt::format("{} tasks are asked for, it has {}", options.tasks, work->tasks()));
  }
  return std::make_unique<Library>(std::move(work), options.tasks);
}

WorkFacts describe_library(const WorkloadOptions& options) {
  const std::string& path = options.work.library;
  WorkFacts facts{.id = id_of(path)};
  const SharedMapping memory(sizeof(Answer));
  Answer& answer = *::new (memory.as<std::byte>().data()) Answer;
  const pid_t child = ::fork();
  if (child < 0) throw system_error("cannot make a process that asks the library " + path, errno);
  if (child == 0) {
    ask(options, answer);
    ::_exit(0);
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) throw system_error("cannot wait for the process that asks the library " + path, errno);
  }
  if (WIFSIGNALED(status)) {
    refuse(path, fmt::format("it was killed by signal {} ({}) while it was asked for its tasks", WTERMSIG(status),
                             ::strsignal(WTERMSIG(status))));
  }
  if (answer.message[0] != '\0') throw UsageError(answer.message.data());
  if (answer.refused) refuse(path, "it ended the process that asked it for its tasks");
  if (answer.tasks == 0) refuse(path, "it has no tasks");
  facts.tasks = answer.tasks;
  facts.sized = answer.sized;
  return facts;
}

}  // namespace noisefloor
