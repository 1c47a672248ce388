// What workloads on files share: output modes, one buffer per thread, stage times, output folders, digests.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "harness/audio/atomic_file.hpp"
#include "harness/base/shared_mapping.hpp"
#include "harness/base/unique_fd.hpp"
#include "harness/workloads/workload.hpp"

namespace noisefloor {

/// What meets a task whose output is there already.
enum class OutputMode : std::uint8_t {
  fresh,     ///< "new": the task fails, and the output stays as it was
  replace,   ///< the output is exchanged for the new one at once
  confirm,   ///< the task fails unless the output is, byte for byte, what it would write; it stays as it was
  in_place,  ///< the output must be there and is overwritten where it lies: nothing is allocated, nothing renamed. Not
             ///< atomic, a task that fails leaves a broken file: for measuring only
};

/// Throws UsageError for anything but "new", "replace" and "in_place": what a measurement can ask for.
[[nodiscard]] OutputMode output_mode(std::string_view name);

/// Bytes of the one buffer that each thread reads, transforms and writes through (a second one measures a ratio). It
/// and a kernel's state stay in any L2 cache of today; twice as much was no faster. The page cache's folios are as
/// large as the writes: larger ones are taken from the largest free blocks, which a guest may have given back to its
/// host and then has to fault in again (writes of 1 MiB: now and then six times slower; of 256 KiB: rarely).
inline constexpr std::size_t kTaskBufferBytes = kLargestPieceBytes;

/// This thread's buffer number `which` (0 or 1) of kTaskBufferBytes: page-aligned, made when it is first asked for,
/// kept for the thread's life, so that its pages fault once. Throws std::bad_alloc.
[[nodiscard]] std::span<std::byte> thread_buffer(std::size_t which = 0);

/// Cuts a task's time into stages without a gap: what passed since the last cut goes to one stage.
class StageClock {
 public:
  StageClock() noexcept;
  void cut(std::uint64_t StageTimes::*stage) noexcept;
  [[nodiscard]] const StageTimes& times() const noexcept { return times_; }

 private:
  std::uint64_t last_;
  StageTimes times_;
};

/// Stage times of all workers, also of forked ones. add() is thread-safe.
class StageTotals {
 public:
  StageTotals();
  void add(const StageTimes& times) const noexcept;
  void clear() noexcept;
  [[nodiscard]] StageTimes sum() const noexcept;

 private:
  SharedMapping slots_;
};

/// Throws Error if `mode` is fresh and `target` exists (`hint` ends the message) or cannot be a file's name.
void refuse_existing(const std::string& target, OutputMode mode, std::string_view hint = {});

/// The output of one task: an AtomicFile, or with in_place the file itself. For one thread.
class TaskOutput {
 public:
  /// Throws Error if it cannot be opened for writing.
  TaskOutput(const std::string& target, OutputMode mode, Owner owner = kNobody);

  [[nodiscard]] int fd() const noexcept { return atomic_ ? atomic_->fd() : fd_.get(); }
  /// As AtomicFile::reserve(), but nothing with in_place, and nothing for what one write of a buffer completes: that
  /// write finds a full disk just as early, and a batch of small files costs a fifth less without it (its removal, on a
  /// file system that discards freed blocks, a hundredth).
  void reserve(std::uint64_t bytes);
  /// Gives the file, of `bytes` bytes, its name; with in_place only its size. Throws Error. Once only.
  void publish(std::uint64_t bytes, bool durable);

 private:
  std::string target_;
  OutputMode mode_;
  std::optional<AtomicFile> atomic_;  // fresh, replace
  UniqueFd fd_;                       // in_place
};

/// Size of the file at `path`. Throws Error.
[[nodiscard]] std::uint64_t file_bytes(const std::string& path);

/// XXH3 of a file's bytes with `seed`. Throws Error if it cannot be read.
[[nodiscard]] std::uint64_t digest_of_file(const std::string& path, std::uint64_t seed);

/// A folder <parent>/<pid>-<serial>, locked as long as this process, or a worker forked from it, lives, and removed
/// with this object. For the thread that made it.
class ScratchFolder {
 public:
  explicit ScratchFolder(const std::string& parent);
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  ~ScratchFolder();

  [[nodiscard]] const std::string& path() const noexcept { return path_; }
  /// Leaves the folder to the program that this process becomes: it is locked as long as that lives, and then removed
  /// by the next one that is made.
  std::string leave();

 private:
  std::int64_t owner_;  // process id
  std::string path_;
  UniqueFd lock_;
};

/// Removes what measured workloads of processes that died left in <cache>/output, where there is a cache. What cannot
/// be removed is left.
void remove_stale_outputs();

/// A new folder under <cache>/output for the program that this process becomes (ScratchFolder::leave()).
[[nodiscard]] std::string output_folder_to_leave();

/// The outputs of a measured workload: a folder of its own for every iteration, under <cache>/output. Folders of
/// processes that died are removed when it is made, its own when it goes. root() is thread-safe, and follows begin() in
/// forked workers too.
class OutputFolders {
 public:
  struct Output {
    std::string name;
    std::uint64_t bytes;  ///< that it will have
  };
  OutputFolders(std::vector<Output> outputs, OutputMode mode);

  /// Makes the folders of `iterations` iterations: empty for fresh, else with an earlier output under every name, as
  /// long as the new one and different in every byte that matters. Throws Error.
  void prepare(std::uint32_t iterations);
  void begin(std::uint32_t iteration) noexcept;
  void clean();
  [[nodiscard]] std::string root() const;

 private:
  [[nodiscard]] std::string root(std::uint32_t iteration) const;

  std::vector<Output> outputs_;
  OutputMode mode_;
  ScratchFolder scratch_;
  SharedMapping iteration_;  // the one that tasks write to, also those of workers forked before begin()
  std::uint32_t iterations_ = 0;
};

}  // namespace noisefloor
