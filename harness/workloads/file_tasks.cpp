// Output modes and folders, buffers, stage times and digests of the workloads on files.
// SPDX-License-Identifier: MIT
#include "harness/workloads/file_tasks.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/fs.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <new>
#include <system_error>
#include <utility>

#include "harness/audio/signals.hpp"
#include "harness/base/error.hpp"
#include "harness/base/names.hpp"

namespace noisefloor {
namespace {

constexpr std::size_t kPageBytes = 4096;
constexpr std::size_t kStageSlots = 256;

/// Times of one worker, on cache lines of their own (two: the neighbour line is fetched along).
struct alignas(128) StageSlot {
  std::uint64_t extract_ns, transform_ns, load_ns;
};

std::uint64_t now_ns() noexcept {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000U + static_cast<std::uint64_t>(now.tv_nsec);
}

void remove_folder(const std::string& folder) {
  std::error_code error;
  std::filesystem::remove_all(folder, error);
  if (error) throw system_error(fmt::format("cannot remove '{}'", folder), error.value());
}

/// ext4 places the folders below far apart, and so does not search long among the inodes of files that
/// were just deleted: without it, one cell's time drifted from 9 to 24 ms over a sweep. Best effort.
void mark_top_folder(const std::string& folder) noexcept {
  const UniqueFd fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  int flags = 0;
  if (!fd || ::ioctl(fd.get(), FS_IOC_GETFLAGS, &flags) != 0) return;
  flags |= FS_TOPDIR_FL;
  static_cast<void>(::ioctl(fd.get(), FS_IOC_SETFLAGS, &flags));
}

/// Removes the folders in `parent` that nobody holds.
void remove_stale_folders(const std::string& parent) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(parent, error)) {
    const std::string path = entry.path().string();
    const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!fd || ::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) continue;
    std::error_code ignored;  // another process may be removing it as well
    std::filesystem::remove_all(path, ignored);
  }
}

std::string output_parent() {
  std::string parent = cache_folder() + "/output";
  in_cache([&] { make_folders(parent); });
  remove_stale_folders(parent);
  mark_top_folder(parent);
  return parent;
}

/// `bytes` bytes, none of them the output's.
void make_earlier_output(const std::string& path, std::uint64_t bytes) {
  const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
  if (!fd) throw system_error(fmt::format("cannot write '{}'", path), errno);
  const std::vector<std::byte> pattern(kTaskBufferBytes, std::byte{0xA5});
  for (std::uint64_t left = bytes; left > 0;) {
    const ssize_t written = ::write(fd.get(), pattern.data(), std::min<std::uint64_t>(left, pattern.size()));
    if (written <= 0) throw system_error(fmt::format("cannot write '{}'", path), written < 0 ? errno : EIO);
    left -= static_cast<std::uint64_t>(written);
  }
}

}  // namespace

OutputMode output_mode(std::string_view name) {
  if (name == "new") return OutputMode::fresh;
  if (name == "replace") return OutputMode::replace;
  if (name == "in_place") return OutputMode::in_place;
  constexpr std::string_view kChoices[] = {"new", "replace", "in_place"};
  throw_unknown("output mode", name, kChoices);
}

std::span<std::byte> thread_buffer(std::size_t which) {
  struct Free {
    void operator()(std::byte* memory) const noexcept { std::free(memory); }
  };
  thread_local std::array<std::unique_ptr<std::byte, Free>, 2> buffers;
  std::unique_ptr<std::byte, Free>& buffer = buffers[which];
  if (!buffer) {
    buffer.reset(static_cast<std::byte*>(std::aligned_alloc(kPageBytes, kTaskBufferBytes)));
    if (!buffer) throw std::bad_alloc();
  }
  return {buffer.get(), kTaskBufferBytes};
}

// --- Stage times ---

StageClock::StageClock() noexcept : last_(now_ns()) {}

void StageClock::cut(std::uint64_t StageTimes::*stage) noexcept {
  const std::uint64_t now = now_ns();
  times_.*stage += now - last_;
  last_ = now;
}

StageTotals::StageTotals() : slots_(kStageSlots * sizeof(StageSlot)) {}

void StageTotals::add(const StageTimes& times) const noexcept {
  // Threads and forked workers find a slot by their thread id, and may meet in one: hence atomic, once
  // per task.
  const auto slots = slots_.as<StageSlot>();
  StageSlot& slot = slots[static_cast<std::size_t>(::gettid()) % slots.size()];
  std::atomic_ref(slot.extract_ns).fetch_add(times.extract_ns, std::memory_order_relaxed);
  std::atomic_ref(slot.transform_ns).fetch_add(times.transform_ns, std::memory_order_relaxed);
  std::atomic_ref(slot.load_ns).fetch_add(times.load_ns, std::memory_order_relaxed);
}

void StageTotals::clear() noexcept { std::ranges::fill(slots_.as<StageSlot>(), StageSlot{}); }

StageTimes StageTotals::sum() const noexcept {
  StageTimes sum;
  for (const StageSlot& slot : slots_.as<StageSlot>()) {
    sum.extract_ns += slot.extract_ns;
    sum.transform_ns += slot.transform_ns;
    sum.load_ns += slot.load_ns;
  }
  return sum;
}

// --- Outputs ---

void refuse_existing(const std::string& target, OutputMode mode, std::string_view hint) {
  if (mode != OutputMode::fresh) return;
  struct stat status {};
  if (::lstat(target.c_str(), &status) == 0) throw Error(fmt::format("'{}' exists{}", target, hint));
  // What the system says of the name only (it is too long, say) should not wait for the file to be processed.
  if (errno != ENOENT) throw system_error(fmt::format("cannot write '{}'", target), errno);
}

TaskOutput::TaskOutput(const std::string& target, OutputMode mode, Owner owner) : target_(target), mode_(mode) {
  if (mode != OutputMode::in_place) {
    atomic_.emplace(target, owner);
    return;
  }
  fd_.reset(::open(target.c_str(), O_RDWR | O_NOFOLLOW | O_CLOEXEC));
  if (!fd_) throw system_error(fmt::format("cannot overwrite '{}'", target), errno);
}

void TaskOutput::reserve(std::uint64_t bytes) {
  if (atomic_ && bytes > kTaskBufferBytes) atomic_->reserve(bytes);
}

void TaskOutput::publish(std::uint64_t bytes, bool durable) {
  if (atomic_) {
    atomic_->publish(mode_ == OutputMode::replace ? Publish::replace : Publish::fresh, bytes, durable);
    return;
  }
  const auto check = [this](int result) {
    if (result != 0) throw system_error(fmt::format("cannot overwrite '{}'", target_), errno);
  };
  struct stat status {};
  check(::fstat(fd_.get(), &status));
  if (static_cast<std::uint64_t>(status.st_size) != bytes) check(::ftruncate(fd_.get(), static_cast<off_t>(bytes)));
  if (durable) check(::fsync(fd_.get()));
  check(::close(fd_.release()));
}

std::uint64_t file_bytes(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) throw system_error(fmt::format("cannot examine '{}'", path), errno);
  return static_cast<std::uint64_t>(status.st_size);
}

std::uint64_t digest_of_file(const std::string& path, std::uint64_t seed) {
  struct Free {
    void operator()(XXH3_state_t* memory) const noexcept { XXH3_freeState(memory); }
  };
  const std::unique_ptr<XXH3_state_t, Free> state(XXH3_createState());
  if (!state) throw std::bad_alloc();
  XXH3_64bits_reset_withSeed(state.get(), seed);
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) throw system_error(fmt::format("cannot open '{}'", path), errno);
  const std::span<std::byte> buffer = thread_buffer();
  for (;;) {
    const ssize_t got = ::read(fd.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw system_error(fmt::format("cannot read '{}'", path), errno);
    if (got == 0) return XXH3_64bits_digest(state.get());
    XXH3_64bits_update(state.get(), buffer.data(), static_cast<std::size_t>(got));
  }
}

// --- Folders ---

ScratchFolder::ScratchFolder(const std::string& parent) : owner_(::getpid()) {
  static std::atomic<unsigned> serial{0};
  for (;;) {
    path_ = fmt::format("{}/{}-{}", parent, owner_, serial.fetch_add(1));
    make_folders(parent);
    if (::mkdir(path_.c_str(), 0777) != 0) {
      if (errno == EEXIST || errno == ENOENT) continue;
      throw system_error(fmt::format("cannot make the folder '{}'", path_), errno);
    }
    lock_.reset(::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    // Until it is locked, another process may take it for left behind, and remove it.
    struct stat status {};
    if (lock_ && ::flock(lock_.get(), LOCK_EX | LOCK_NB) == 0 && ::fstat(lock_.get(), &status) == 0 &&
        status.st_nlink > 0) {
      return;
    }
  }
}

ScratchFolder::~ScratchFolder() {
  if (::getpid() != owner_) return;  // a forked worker ends: the folder is its parent's
  std::error_code error;
  std::filesystem::remove_all(path_, error);
}

void remove_stale_outputs() {
  if (const std::string cache = cache_folder_if_any(); !cache.empty()) remove_stale_folders(cache + "/output");
}

std::string ScratchFolder::leave() {
  if (::fcntl(lock_.get(), F_SETFD, 0) != 0) throw system_error(fmt::format("cannot hold '{}'", path_), errno);
  static_cast<void>(lock_.release());
  owner_ = 0;  // nobody's: kept
  return path_;
}

std::string output_folder_to_leave() { return ScratchFolder(output_parent()).leave(); }

OutputFolders::OutputFolders(std::vector<Output> outputs, OutputMode mode)
    : outputs_(std::move(outputs)), mode_(mode), scratch_(output_parent()), iteration_(sizeof(std::uint32_t)) {
  mark_top_folder(scratch_.path());
}

void OutputFolders::prepare(std::uint32_t iterations) {
  clean();
  in_cache([&] {
    for (std::uint32_t iteration = 0; iteration < iterations; ++iteration) {
      const std::string folder = root(iteration);
      make_folders(folder);
      if (mode_ == OutputMode::fresh) continue;
      for (const Output& output : outputs_) make_earlier_output(folder + "/" + output.name, output.bytes);
    }
  });
  iterations_ = iterations;
}

void OutputFolders::begin(std::uint32_t iteration) noexcept {
  std::atomic_ref(iteration_.as<std::uint32_t>()[0]).store(iteration, std::memory_order_release);
}

void OutputFolders::clean() {
  for (std::uint32_t iteration = 0; iteration < iterations_; ++iteration) remove_folder(root(iteration));
  iterations_ = 0;
}

std::string OutputFolders::root() const {
  return root(std::atomic_ref(iteration_.as<std::uint32_t>()[0]).load(std::memory_order_acquire));
}

std::string OutputFolders::root(std::uint32_t iteration) const {
  return fmt::format("{}/{:04}", scratch_.path(), iteration);
}

}  // namespace noisefloor
