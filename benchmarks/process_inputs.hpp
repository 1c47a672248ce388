// Which files `process` reads and where each output goes, decided before anything is written.
// SPDX-License-Identifier: MIT
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "harness/workloads/etl.hpp"

namespace noisefloor {

/// Device and inode: what a file is, by whatever name.
using FileId = std::pair<dev_t, ino_t>;

/// Of what `path` leads to, through symbolic links; empty if nothing is there.
[[nodiscard]] std::optional<FileId> file_id(const std::string& path);

/// Where the outputs go.
struct Target {
  std::string root;  ///< a folder, without a slash at its end
  std::string file;  ///< the output's name where OUT is a file; else empty: outputs keep their relative paths
};

/// What OUT means for these inputs. Throws UsageError if it can mean nothing.
[[nodiscard]] Target target_of(const std::string& out, std::span<const std::string> ins);

struct Input {
  std::string path;
  std::string relative;  ///< below its folder, or its name: keys the noise
};

struct Collection {
  std::vector<Input> inputs;
  std::vector<std::pair<std::string, std::string>> unreadable;  ///< folders: path, message
  std::set<FileId> folders;                                     ///< that inputs come from
  std::uint64_t skipped_others = 0;                             ///< no regular file, or none with a sound file's name
  std::uint64_t skipped_folders = 0;                            ///< without `recursive`
  std::uint64_t skipped_links = 0;  ///< links to folders that were entered under another name
};

/// The sound files of `paths`, folders' in the order of their names. With `recursive`, sub-folders are entered, and
/// links to folders, but no folder twice below one path: first as itself, then by a link. Throws UsageError if the
/// target is one of the folders or lies in one.
[[nodiscard]] Collection collect(std::span<const std::string> paths, bool recursive, const Target& target);

/// "stem.k.ext" for copy k >= 2, the name itself for the first.
[[nodiscard]] std::string copy_name(const std::string& name, std::uint32_t copy);

/// One task per input and copy, copies of an input behind each other. Throws UsageError if two would write one output,
/// one would write where another needs a folder, an output is an input, or an output's folder leads into an input's.
[[nodiscard]] std::vector<EtlTask> plan_tasks(const Collection& collection, const Target& target, std::uint32_t copies);

}  // namespace noisefloor
