// Inputs are files and folders as they are on the disk: links, loops, odd names, and outputs in the way of each other.
// SPDX-License-Identifier: MIT
#include "benchmarks/process_inputs.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <deque>
#include <filesystem>
#include <limits>
#include <map>
#include <string_view>
#include <system_error>
#include <unordered_map>

#include "harness/audio/atomic_file.hpp"
#include "harness/base/error.hpp"
#include "kernels/noise.hpp"

namespace noisefloor {
namespace {

namespace fs = std::filesystem;

/// Extensions of what libsndfile knows by its header: what counts as a sound file in a folder. Some it reads only
/// (.mp2): such a file is an error of its own, not one to be passed over.
constexpr std::array<std::string_view, 32> kSoundExtensions = {
    ".aif", ".aifc", ".aiff", ".au",   ".avr", ".bwf", ".caf",  ".flac", ".htk", ".iff",  ".m1a",
    ".mat", ".mp2",  ".mp3",  ".nist", ".oga", ".ogg", ".opus", ".paf",  ".pvf", ".rf64", ".sd2",
    ".sds", ".sf",   ".snd",  ".sph",  ".svx", ".voc", ".w64",  ".wav",  ".wve", ".xi"};

std::string extension_of(const fs::path& path) {
  std::string extension = path.extension().string();
  std::ranges::transform(extension, extension.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return extension;
}

bool has_sound_name(const fs::path& path) {
  return std::ranges::find(kSoundExtensions, extension_of(path)) != kSoundExtensions.end();
}

/// The folders that `path` is, or lies in, links resolved, as far as it exists.
std::set<FileId> folders_above(const std::string& path) {
  std::set<FileId> above;
  std::error_code error;
  fs::path at = fs::weakly_canonical(fs::absolute(path, error), error);
  if (error) at = fs::absolute(path, error).lexically_normal();
  for (;; at = at.parent_path()) {
    if (const auto id = file_id(at.string())) above.insert(*id);
    if (at == at.parent_path()) return above;
  }
}

/// Walks the folders of one IN.
class Walk {
 public:
  Walk(bool recursive, const Target& target, const std::set<FileId>& above_target, Collection& collection)
      : recursive_(recursive), target_(target), above_target_(above_target), collection_(collection) {}

  void from(const fs::path& top) {
    enter(top, {});
    // A folder has one place as itself, and any number by links: it is met as itself first.
    for (; !links_.empty(); links_.pop_front()) {
      const auto [folder, relative] = links_.front();
      enter(folder, relative);
    }
  }

 private:
  void enter(const fs::path& folder, const fs::path& relative) {
    const auto id = file_id(folder.string());
    if (id && !entered_.insert(*id).second) {
      ++collection_.skipped_links;
      return;
    }
    if (id) {
      if (above_target_.contains(*id)) {
        throw UsageError(fmt::format("OUT '{}' is the input folder '{}' or lies in it: name a folder elsewhere",
                                     target_.root, folder.string()));
      }
      collection_.folders.insert(*id);
    }
    for (const fs::directory_entry& entry : entries_of(folder)) {
      std::error_code ignored;  // what cannot be examined is no regular file
      const fs::path name = entry.path().filename();
      if (entry.is_directory(ignored)) {
        if (!recursive_) {
          ++collection_.skipped_folders;
        } else if (entry.is_symlink(ignored)) {
          links_.emplace_back(entry.path(), relative / name);
        } else {
          enter(entry.path(), relative / name);
        }
      } else if (entry.is_regular_file(ignored) && has_sound_name(name)) {
        collection_.inputs.push_back({entry.path().string(), (relative / name).string()});
      } else {
        ++collection_.skipped_others;
      }
    }
  }

  std::vector<fs::directory_entry> entries_of(const fs::path& folder) {
    std::error_code error;
    std::vector<fs::directory_entry> entries;
    fs::directory_iterator it(folder, error);
    while (!error && it != fs::directory_iterator()) {
      entries.push_back(*it);
      it.increment(error);
    }
    if (error) {
      collection_.unreadable.emplace_back(
          folder.string(), fmt::format("cannot read the folder '{}': {}", folder.string(), error.message()));
    }
    std::ranges::sort(entries, {}, [](const fs::directory_entry& entry) { return entry.path().native(); });
    return entries;
  }

  bool recursive_;
  const Target& target_;
  const std::set<FileId>& above_target_;
  Collection& collection_;
  std::set<FileId> entered_;
  std::deque<std::pair<fs::path, fs::path>> links_;  // to folders: path, relative path
};

/// Refuses two inputs for one output, and one output where another needs a folder.
void refuse_collisions(std::span<const EtlTask> tasks) {
  std::unordered_map<std::string_view, std::string_view> taken;
  taken.reserve(tasks.size());
  for (const EtlTask& task : tasks) {
    const auto [other, is_new] = taken.emplace(task.output, task.input);
    if (is_new) continue;
    if (other->second == task.input) {
      throw UsageError(
          fmt::format("'{}' would be written to '{}' twice: name each input once", task.input, task.output));
    }
    throw UsageError(fmt::format("'{}' and '{}' would both be written to '{}': process them into different folders",
                                 other->second, task.input, task.output));
  }
  for (const EtlTask& task : tasks) {
    const std::string_view output = task.output;
    for (std::size_t slash = output.find('/'); slash != std::string_view::npos; slash = output.find('/', slash + 1)) {
      const auto other = taken.find(output.substr(0, slash));
      if (other != taken.end()) {
        throw UsageError(fmt::format("the output of '{}' would be a file where that of '{}' needs a folder: '{}'",
                                     other->second, task.input, other->first));
      }
    }
  }
}

}  // namespace

std::optional<FileId> file_id(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return std::nullopt;
  return FileId{status.st_dev, status.st_ino};
}

Target target_of(const std::string& out, std::span<const std::string> ins) {
  if (out.empty()) throw UsageError("OUT is empty: name a folder, or a file for one input");
  const std::size_t last = out.find_last_not_of('/');
  const std::string folder = last == std::string::npos ? "/" : out.substr(0, last + 1);
  std::error_code error;
  const fs::file_status status = fs::status(out, error);
  if (fs::is_directory(status)) return {folder, {}};
  const bool one_file = ins.size() == 1 && !fs::is_directory(ins[0], error);
  const std::string name = fs::path(out).filename().string();
  if (fs::exists(status)) {
    if (!fs::is_regular_file(status)) throw UsageError(fmt::format("OUT '{}' is neither a folder nor a file", out));
    if (!one_file) throw UsageError(fmt::format("OUT '{}' is a file: several inputs need a folder", out));
    return {folder_of(out), name};
  }
  if (!one_file || name.empty() || !has_sound_name(out)) return {folder, {}};
  if (extension_of(out) != extension_of(ins[0])) {
    throw UsageError(
        fmt::format("OUT '{}' is named unlike '{}', but the file format is kept: use the extension '{}', or a folder",
                    out, ins[0], fs::path(ins[0]).extension().string()));
  }
  return {folder_of(out), name};
}

Collection collect(std::span<const std::string> paths, bool recursive, const Target& target) {
  Collection collection;
  const std::set<FileId> above_target = folders_above(target.root);
  for (const std::string& path : paths) {
    if (path.empty()) throw UsageError("an input's name is empty");
    std::error_code missing;  // a task of its own, which will say so
    if (fs::is_directory(path, missing)) {
      Walk(recursive, target, above_target, collection).from(path);
    } else {
      fs::path name = fs::path(path).filename();
      if (name.empty()) name = fs::path(path).parent_path().filename();
      collection.inputs.push_back({path, name.string()});
    }
  }
  return collection;
}

std::string copy_name(const std::string& name, std::uint32_t copy) {
  if (copy < 2) return name;
  const fs::path path(name);
  const std::size_t extension = path.extension().native().size();
  return fmt::format("{}.{}{}", name.substr(0, name.size() - extension), copy, name.substr(name.size() - extension));
}

std::vector<EtlTask> plan_tasks(const Collection& collection, const Target& target, std::uint32_t copies) {
  constexpr std::uint64_t kMostTasks = std::numeric_limits<std::uint32_t>::max() / 2;
  if (collection.inputs.size() * copies > kMostTasks) {
    throw UsageError(fmt::format("{} inputs with {} copies each are too many: at most {} outputs in one call",
                                 collection.inputs.size(), copies, kMostTasks));
  }
  std::vector<EtlTask> tasks;
  tasks.reserve(collection.inputs.size() * copies);
  for (const Input& input : collection.inputs) {
    const std::string& output = target.file.empty() ? input.relative : target.file;
    for (std::uint32_t copy = 1; copy <= copies; ++copy) {
      tasks.push_back({.input = input.path,
                       .output = copy_name(output, copy),
                       .stream = stream_of(input.relative.data(), input.relative.size(), copy - 1)});
    }
  }
  refuse_collisions(tasks);

  std::set<FileId> inputs;
  for (const Input& input : collection.inputs) {
    if (const auto id = file_id(input.path)) inputs.insert(*id);
  }
  std::set<std::string> folders;
  for (const EtlTask& task : tasks) {
    const std::string path = target.root + "/" + task.output;
    if (const auto id = file_id(path); id && inputs.contains(*id)) {
      throw UsageError(fmt::format("the output '{}' is an input itself: inputs are never written to", path));
    }
    folders.insert(folder_of(path));
  }
  // A sub-folder of OUT may be a link that leads back. OUT itself was looked at while the inputs were collected.
  for (const std::string& folder : folders) {
    if (folder == target.root) continue;
    for (const FileId& above : folders_above(folder)) {
      if (collection.folders.contains(above)) {
        throw UsageError(
            fmt::format("the output folder '{}' leads into an input folder: name a folder elsewhere", folder));
      }
    }
  }
  return tasks;
}

}  // namespace noisefloor
