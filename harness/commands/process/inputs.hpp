// Which files `process` reads and where each output goes, decided before anything is written.
// SPDX-License-Identifier: MIT
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "harness/commands/process/shard.hpp"
#include "harness/workloads/etl.hpp"

namespace noisefloor {

/// Device and inode: what a file is, by whatever name.
using FileId = std::pair<dev_t, ino_t>;

/// Of what `path` leads to, through symbolic links; empty if nothing is there.
[[nodiscard]] std::optional<FileId> file_id(const std::string& path);

/// The folder in OUT that the program keeps its own notes in: never an input.
inline constexpr std::string_view kNotesFolder = ".noisefloor";

/// Where the outputs go.
struct Target {
  std::string root;  ///< a folder, without a slash at its end
  std::string file;  ///< the output's name where OUT is a file; else empty: outputs keep their relative paths
};

/// What OUT means for these inputs. Throws UsageError if it can mean nothing.
[[nodiscard]] Target target_of(const std::string& out, std::span<const std::string> ins);

/// Names of files, by folder. A folder's path is kept once, so that what grows with the number of files is 8 bytes and
/// the name each.
class InputList {
 public:
  struct Folder {
    std::string path;      ///< that the names of its files are appended to
    std::string relative;  ///< the same for relative paths, which key the noise
    std::size_t first;     ///< number of its first file; the next folder's first ends it
  };

  /// What is added from now on lies in this folder. Nothing happens if it is the one before.
  void enter(const std::string& path, const std::string& relative);
  /// `name` holds no zero byte.
  void add(std::string_view name);
  /// Brings the files of the folder that was entered last into the order of their names.
  void sort_folder();

  [[nodiscard]] std::size_t size() const noexcept { return names_.size(); }
  [[nodiscard]] bool empty() const noexcept { return names_.empty(); }
  [[nodiscard]] std::string path(std::size_t file) const { return folder_of(file).path + names_[file]; }
  [[nodiscard]] std::string relative(std::size_t file) const { return folder_of(file).relative + names_[file]; }
  [[nodiscard]] std::string_view name(std::size_t file) const { return names_[file]; }
  /// In the order of their files; those without any are left out.
  [[nodiscard]] std::vector<Folder> folders() const;

 private:
  [[nodiscard]] const Folder& folder_of(std::size_t file) const noexcept;

  std::vector<Folder> folders_;
  std::deque<const char*> names_;  // a deque grows without holding everything twice
  std::vector<std::unique_ptr<char[]>> blocks_;
  char* free_ = nullptr;  // in the last block
  std::size_t free_bytes_ = 0;
};

struct Collection {
  InputList inputs;
  std::vector<std::pair<std::string, std::string>> unreadable;  ///< folders: path, message
  std::set<FileId> folders;                                     ///< that inputs come from
  std::map<std::string, std::uint64_t> skipped;  ///< by extension, in small letters: what has no sound file's name
  std::uint64_t skipped_others = 0;              ///< with a sound file's name, but neither file nor link
  std::uint64_t skipped_folders = 0;             ///< without `recursive`
  std::uint64_t skipped_links = 0;               ///< links to folders that were entered under another name
  bool may_have_links = false;                   ///< an input may be a link
};

/// Whether files with this extension hold sound that is not supported.
[[nodiscard]] bool is_unsupported_sound(std::string_view extension);

/// The sound files of `paths`: of a folder first its own in the order of their names, then those of its folders. With
/// `recursive`, sub-folders are entered, and links to folders, but no folder twice below one path: first as itself,
/// then by a link. A link that leads nowhere counts as a file by its name. Throws UsageError if the target is one of
/// the folders or lies in one.
[[nodiscard]] Collection collect(std::span<const std::string> paths, bool recursive, const Target& target);

/// The files of a list, sorted by folder and name.
struct ListOptions {
  std::string path;        ///< "-": standard input
  std::string base = ".";  ///< the folder that its paths start from, and that they are relative to as keys of the noise
  bool ends_in_zero = false;  ///< each path, instead of a line's end, before which a carriage return is taken off
};

/// Looks at none of the files. Throws UsageError if the list cannot be read, is empty, or names a path that is not
/// below the base.
[[nodiscard]] Collection collect_list(const ListOptions& list);

/// "stem.k.ext" for copy k >= 2, the name itself for the first.
[[nodiscard]] std::string copy_name(const std::string& name, std::uint32_t copy);

/// What lies under an output's name.
enum class OutputState : std::uint8_t { nothing, file, other };

/// Calls f(number) for every number below `count` on `workers` threads, which are gone when it returns. `f` is
/// thread-safe and does not throw.
void for_each_number(std::uint32_t count, int workers, const std::function<void(std::uint32_t)>& f);

/// One task per input and copy of a shard, copies of an input behind each other. A task is made when it is asked for; a
/// number is held for it at most. Its functions are thread-safe but for leave_out().
class TaskPlan {
 public:
  /// Throws UsageError if two tasks of any shard would write one output, one would write where another needs a folder,
  /// an output of this shard has an input's name and folder, or its folder leads into an input's. To know that before
  /// anything is written, all names must be there: the inputs cannot be streamed. Folders are looked at, no files.
  /// `collection` and `target` outlive the plan.
  TaskPlan(const Collection& collection, const Target& target, std::uint32_t copies, const Shard& shard = {});

  [[nodiscard]] std::uint32_t count() const noexcept {
    return has_gaps_ ? static_cast<std::uint32_t>(kept_.size()) : all_;
  }
  /// Of all shards, also those that were left out.
  [[nodiscard]] std::uint32_t count_of_all_shards() const noexcept { return all_; }
  /// `number` < count().
  [[nodiscard]] EtlTask task(std::uint32_t number) const;
  /// Of the task, from 1.
  [[nodiscard]] std::uint32_t copy_of(std::uint32_t number) const { return of_all(number) % copies_ + 1; }
  /// Where the task writes to.
  [[nodiscard]] std::string path_of(const EtlTask& task) const { return target_.root + "/" + task.output; }
  /// Those that outputs of the shard are written to, also outputs that were left out.
  [[nodiscard]] std::set<std::string> folders() const;
  /// Throws UsageError if `path` is that of an input of any shard or of an output of this one.
  void refuse_as_manifest(const std::string& path) const;
  /// For every task, in one look at its output. Throws UsageError if one is an input of this shard, by a link.
  [[nodiscard]] std::vector<OutputState> outputs_there(int workers) const;
  /// Leaves out the tasks for which `unwanted` is true; the others get new numbers in the same order.
  void leave_out(const std::function<bool(std::uint32_t)>& unwanted);

 private:
  [[nodiscard]] std::uint32_t of_all(std::uint32_t number) const { return has_gaps_ ? kept_[number] : number; }
  [[nodiscard]] std::string input_of(std::uint32_t number) const;   // of all, without gaps,
  [[nodiscard]] std::string output_of(std::uint32_t number) const;  // as this
  [[nodiscard]] bool holds(std::size_t file) const;                 // the shard does
  void refuse_collisions() const;
  void refuse_inputs_as_outputs() const;
  void refuse_folders_of_inputs() const;

  const Collection& collection_;
  const Target& target_;
  std::uint32_t copies_, all_ = 0;
  Shard shard_;
  bool has_gaps_ = false;
  std::deque<std::uint32_t> kept_;  // numbers of those that are left, where some were left out
};

}  // namespace noisefloor
