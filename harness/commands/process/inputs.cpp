// Inputs are files and folders as they are on the disk: links, loops, odd names, and outputs in the way of each other.
// SPDX-License-Identifier: MIT
#include "harness/commands/process/inputs.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <limits>
#include <mutex>
#include <string_view>
#include <system_error>
#include <thread>
#include <unordered_set>

#include "harness/audio/atomic_file.hpp"
#include "harness/audio/sound_names.hpp"
#include "harness/base/error.hpp"
#include "harness/base/unique_fd.hpp"
#include "kernels/noise.hpp"

namespace noisefloor {
namespace {

namespace fs = std::filesystem;

/// What people have that libsndfile does not read.
constexpr std::array<std::string_view, 22> kUnsupportedExtensions = {
    ".3gp", ".aac", ".ac3", ".adts", ".alac", ".amr", ".ape", ".dff", ".dsf",  ".dts", ".m4a",
    ".m4b", ".mka", ".mp4", ".mpc",  ".ra",   ".spx", ".tak", ".tta", ".webm", ".wma", ".wv"};

std::string name_of(const std::string& path) { return fs::path(path).filename().string(); }

/// `path` with a slash at its end.
std::string with_slash(const std::string& path) { return path.ends_with('/') ? path : path + '/'; }

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

  void from(const std::string& top) {
    enter(top, {});
    // A folder has one place as itself, and any number by links: it is met as itself first.
    for (; !links_.empty(); links_.pop_front()) {
      const auto [folder, relative] = links_.front();
      enter(folder, relative);
    }
  }

 private:
  enum class Kind : std::uint8_t { file, folder, link_to_folder, other };

  void enter(const std::string& folder, const std::string& relative) {
    const auto id = file_id(folder);
    if (id && !entered_.insert(*id).second) {
      ++collection_.skipped_links;
      return;
    }
    if (id) {
      if (above_target_.contains(*id)) {
        throw UsageError(fmt::format("OUT '{}' is the input folder '{}' or lies in it: name a folder elsewhere",
                                     target_.root, folder));
      }
      collection_.folders.insert(*id);
    }
    const std::string path = with_slash(folder);
    collection_.inputs.enter(path, relative);
    const auto [folders, links] = take_files(folder);
    for (const std::string& name : links) links_.emplace_back(path + name, relative + name + '/');
    for (const std::string& name : folders) enter(path + name, relative + name + '/');
  }

  /// Adds the files of `folder`; returns the names of its folders, and of links to folders, sorted.
  std::pair<std::vector<std::string>, std::vector<std::string>> take_files(const std::string& folder) {
    struct Close {
      void operator()(DIR* stream) const noexcept { ::closedir(stream); }
    };
    std::vector<std::string> folders, links;
    const std::unique_ptr<DIR, Close> stream(::opendir(folder.c_str()));
    int error = stream ? 0 : errno;
    while (stream) {
      errno = 0;
      const dirent* entry = ::readdir(stream.get());
      if (entry == nullptr) {
        error = errno;
        break;
      }
      const std::string_view name = entry->d_name;
      if (name == "." || name == ".." || name == kNotesFolder) continue;
      const Kind kind = kind_of(::dirfd(stream.get()), *entry);
      if (kind == Kind::file && has_sound_name(name)) {
        collection_.inputs.add(name);
        if (entry->d_type != DT_REG) collection_.may_have_links = true;
      } else if (kind == Kind::file || (kind == Kind::other && !has_sound_name(name))) {
        skip(extension_of(name));
      } else if (kind == Kind::other) {
        ++collection_.skipped_others;
      } else if (!recursive_) {
        ++collection_.skipped_folders;
      } else {
        (kind == Kind::folder ? folders : links).emplace_back(name);
      }
    }
    if (error != 0) {
      collection_.unreadable.emplace_back(
          folder, fmt::format("cannot read the folder '{}': {}", folder, std::generic_category().message(error)));
    }
    collection_.inputs.sort_folder();
    std::ranges::sort(folders);
    std::ranges::sort(links);
    return {std::move(folders), std::move(links)};
  }

  void skip(const std::string& extension) {
    constexpr std::size_t kMostKinds = 100;  // some data sets have numbers there
    auto& skipped = collection_.skipped;
    ++skipped[skipped.size() < kMostKinds || skipped.contains(extension) ? extension : "other extensions"];
  }

  /// A link that leads nowhere is a file, which cannot be read; what else cannot be examined is none.
  static Kind kind_of(int folder, const dirent& entry) {
    if (entry.d_type == DT_REG) return Kind::file;
    if (entry.d_type == DT_DIR) return Kind::folder;
    if (entry.d_type != DT_LNK && entry.d_type != DT_UNKNOWN) return Kind::other;
    struct stat itself {};
    struct stat behind {};
    if (::fstatat(folder, entry.d_name, &itself, AT_SYMLINK_NOFOLLOW) != 0) return Kind::other;
    if (::fstatat(folder, entry.d_name, &behind, 0) != 0) {
      return S_ISLNK(itself.st_mode) && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP) ? Kind::file
                                                                                                : Kind::other;
    }
    if (S_ISREG(behind.st_mode)) return Kind::file;
    if (!S_ISDIR(behind.st_mode)) return Kind::other;
    return S_ISLNK(itself.st_mode) ? Kind::link_to_folder : Kind::folder;
  }

  bool recursive_;
  const Target& target_;
  const std::set<FileId>& above_target_;
  Collection& collection_;
  std::set<FileId> entered_;
  std::deque<std::pair<std::string, std::string>> links_;  // to folders: path, relative path
};

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
  const std::string name = name_of(out);
  if (fs::exists(status)) {
    if (!fs::is_regular_file(status)) throw UsageError(fmt::format("OUT '{}' is neither a folder nor a file", out));
    if (!one_file) throw UsageError(fmt::format("OUT '{}' is a file: several inputs need a folder", out));
    return {folder_of(out), name};
  }
  if (!has_sound_name(name)) return {folder, {}};
  if (!one_file) {
    throw UsageError(fmt::format(
        "OUT '{}' has the name of a sound file: several inputs need a folder ('{}/' makes one of that name)", out,
        out));
  }
  if (extension_of(name) != extension_of(name_of(ins[0]))) {
    throw UsageError(
        fmt::format("OUT '{}' is named unlike '{}', but the file format is kept: use the extension '{}', or a folder",
                    out, ins[0], fs::path(ins[0]).extension().string()));
  }
  return {folder_of(out), name};
}

// --- InputList ---

void InputList::enter(const std::string& path, const std::string& relative) {
  if (!folders_.empty() && folders_.back().path == path && folders_.back().relative == relative) return;
  if (!folders_.empty() && folders_.back().first == names_.size()) folders_.pop_back();
  folders_.push_back({path, relative, names_.size()});
}

void InputList::add(std::string_view name) {
  constexpr std::size_t kBlockBytes = std::size_t{1} << 16;
  if (name.size() >= free_bytes_) {
    const std::size_t bytes = std::max(kBlockBytes, name.size() + 1);
    blocks_.push_back(std::make_unique_for_overwrite<char[]>(bytes));
    free_ = blocks_.back().get();
    free_bytes_ = bytes;
  }
  name.copy(free_, name.size());
  free_[name.size()] = '\0';
  names_.push_back(free_);
  free_ += name.size() + 1;
  free_bytes_ -= name.size() + 1;
}

void InputList::sort_folder() {
  const auto first = names_.begin() + static_cast<std::ptrdiff_t>(folders_.back().first);
  std::sort(first, names_.end(), [](const char* a, const char* b) { return std::strcmp(a, b) < 0; });
}

std::vector<InputList::Folder> InputList::folders() const {
  std::vector<Folder> folders = folders_;
  if (!folders.empty() && folders.back().first == names_.size()) folders.pop_back();
  return folders;
}

const InputList::Folder& InputList::folder_of(std::size_t file) const noexcept {
  return *std::prev(std::ranges::upper_bound(folders_, file, {}, &Folder::first));
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
      collection.may_have_links = true;
      const std::string name = name_of(path);
      if (!name.empty()) {
        collection.inputs.enter(path.substr(0, path.size() - name.size()), {});
        collection.inputs.add(name);
      } else {  // a slash at its end
        collection.inputs.enter(path, fs::path(path).parent_path().filename().string());
        collection.inputs.add({});
      }
    }
  }
  return collection;
}

namespace {

/// All of it. Throws UsageError if it cannot be read.
std::string text_of_list(const std::string& path) {
  UniqueFd file;
  int fd = STDIN_FILENO;
  if (path != "-") {
    file.reset(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
    fd = file.get();
  }
  std::string text;
  constexpr std::size_t kPiece = std::size_t{1} << 18;
  for (std::size_t size = 0;;) {
    text.resize(size + kPiece);
    const ssize_t got = fd < 0 ? -1 : ::read(fd, text.data() + size, kPiece);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      throw UsageError(fmt::format("cannot read the list '{}': {}", path, std::generic_category().message(errno)));
    }
    size += static_cast<std::size_t>(got);
    if (got == 0) {
      text.resize(size);
      return text;
    }
  }
}

/// Takes empty parts and "." out of the relative path at `path`, in place; empty if nothing is left, or no value if
/// ".." is among its parts.
std::optional<std::string_view> in_order(std::span<char> path) {
  std::size_t size = 0;
  for (std::size_t at = 0; at < path.size();) {
    const auto end = std::find(path.begin() + static_cast<std::ptrdiff_t>(at), path.end(), '/');
    const auto next = static_cast<std::size_t>(end - path.begin());
    const std::string_view part(path.data() + at, next - at);
    if (part == "..") return std::nullopt;
    if (!part.empty() && part != ".") {
      if (size > 0) path[size++] = '/';
      std::memmove(path.data() + size, part.data(), part.size());
      size += part.size();
    }
    at = next + 1;
  }
  return std::string_view(path.data(), size);
}

}  // namespace

Collection collect_list(const ListOptions& list) {
  std::string text = text_of_list(list.path);
  if (list.base.empty()) throw UsageError("--base is empty: name a folder");
  const std::string base = list.base == "." ? "" : with_slash(list.base);
  // An absolute path may be spelled as the base is, or as what it leads to.
  std::error_code error;
  std::array<std::string, 2> tops = {fs::absolute(list.base, error).lexically_normal().string(),
                                     fs::weakly_canonical(list.base, error).string()};
  for (std::string& top : tops) top = with_slash(top);

  std::vector<std::string_view> paths;
  std::uint64_t outside = 0;
  std::string first_outside;
  const char end_of_path = list.ends_in_zero ? '\0' : '\n';
  Collection collection;
  const auto refuse_folder = [&collection](const std::string& path) {
    collection.unreadable.emplace_back(path, fmt::format("'{}' is a folder: a list names files (find -type f)", path));
  };
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find(end_of_path, at), text.size());
    std::span<char> path(text.data() + at, end - at);
    at = end + 1;
    if (!list.ends_in_zero && !path.empty() && path.back() == '\r') path = path.first(path.size() - 1);
    if (path.empty()) continue;
    const std::string_view given(path.data(), path.size());
    if (given.find('\0') != std::string_view::npos) {
      throw UsageError(fmt::format("the list '{}' has zero bytes in a line: --null reads such lists", list.path));
    }
    const std::string as_given(given);
    bool is_inside = true;
    if (path.front() == '/') {
      is_inside = false;
      for (const std::string& top : tops) {
        if (!given.starts_with(top)) continue;
        path = path.subspan(top.size());
        is_inside = true;
        break;
      }
    }
    const auto relative = is_inside ? in_order(path) : std::nullopt;
    if (!relative) {
      if (outside++ == 0) first_outside = as_given;
    } else if (relative->empty()) {
      refuse_folder(as_given);
    } else {
      paths.push_back(*relative);
    }
  }
  if (outside > 0) {
    throw UsageError(fmt::format(
        "'{}'{} in the list '{}' does not lie below '{}': paths without '..' do, or name their common folder "
        "by --base",
        first_outside, outside > 1 ? fmt::format(" (and {} more)", outside - 1) : "", list.path, list.base));
  }
  if (paths.empty()) throw UsageError(fmt::format("the list '{}' names no file", list.path));

  const auto folder_of_path = [](std::string_view path) { return path.substr(0, path.rfind('/') + 1); };
  std::ranges::sort(paths, [&](std::string_view a, std::string_view b) {
    const std::string_view folder = folder_of_path(a), other = folder_of_path(b);
    return folder != other ? folder < other : a < b;
  });
  std::unordered_set<std::string_view> folders;  // that other paths lie in
  for (const std::string_view path : paths) {
    for (auto above = folder_of_path(path); !above.empty(); above = folder_of_path(above.substr(0, above.size() - 1))) {
      if (!folders.insert(above.substr(0, above.size() - 1)).second) break;
    }
  }
  for (const std::string_view path : paths) {
    const std::string folder(folder_of_path(path));
    if (folders.contains(path)) {
      refuse_folder(base + std::string(path));
      continue;
    }
    collection.inputs.enter(base + folder, folder);
    collection.inputs.add(path.substr(folder.size()));
  }
  collection.may_have_links = true;
  return collection;
}

bool is_unsupported_sound(std::string_view extension) {
  return std::ranges::find(kUnsupportedExtensions, extension) != kUnsupportedExtensions.end();
}

std::string copy_name(const std::string& name, std::uint32_t copy) {
  if (copy < 2) return name;
  const fs::path path(name);
  const std::size_t extension = path.extension().native().size();
  return fmt::format("{}.{}{}", name.substr(0, name.size() - extension), copy, name.substr(name.size() - extension));
}

// --- TaskPlan ---

void for_each_number(std::uint32_t count, int workers, const std::function<void(std::uint32_t)>& f) {
  constexpr std::uint32_t kAtOnce = 64;
  std::atomic<std::uint64_t> next{0};
  const auto work = [&] {
    for (;;) {
      const std::uint64_t first = next.fetch_add(kAtOnce);
      if (first >= count) return;
      const auto end = static_cast<std::uint32_t>(std::min<std::uint64_t>(first + kAtOnce, count));
      for (auto number = static_cast<std::uint32_t>(first); number < end; ++number) f(number);
    }
  };
  std::vector<std::thread> threads;
  const std::uint32_t most = (count + kAtOnce - 1) / kAtOnce;
  for (std::uint32_t i = 1; i < std::min(most, static_cast<std::uint32_t>(workers)); ++i) threads.emplace_back(work);
  work();
  for (std::thread& thread : threads) thread.join();
}

TaskPlan::TaskPlan(const Collection& collection, const Target& target, std::uint32_t copies, const Shard& shard)
    : collection_(collection), target_(target), copies_(copies), shard_(shard) {
  constexpr std::uint64_t kMostTasks = std::numeric_limits<std::uint32_t>::max() / 2;
  if (collection.inputs.size() * copies > kMostTasks) {
    throw UsageError(fmt::format("{} inputs with {} copies each are too many: at most {} outputs in one call",
                                 collection.inputs.size(), copies, kMostTasks));
  }
  all_ = static_cast<std::uint32_t>(collection.inputs.size() * copies);
  refuse_collisions();
  refuse_inputs_as_outputs();
  refuse_folders_of_inputs();
  if (shard.count > 1) {
    leave_out([this](std::uint32_t number) { return !holds(number / copies_); });
  }
}

std::string TaskPlan::input_of(std::uint32_t number) const { return collection_.inputs.path(number / copies_); }

std::string TaskPlan::output_of(std::uint32_t number) const {
  return copy_name(target_.file.empty() ? collection_.inputs.relative(number / copies_) : target_.file,
                   number % copies_ + 1);
}

bool TaskPlan::holds(std::size_t file) const {
  if (shard_.count == 1) return true;
  const std::string relative = collection_.inputs.relative(file);
  return shard_.holds(stream_of(relative.data(), relative.size()));
}

EtlTask TaskPlan::task(std::uint32_t number) const {
  number = of_all(number);
  const std::string relative = collection_.inputs.relative(number / copies_);
  return {.input = input_of(number),
          .output = output_of(number),
          .stream = stream_of(relative.data(), relative.size(), number % copies_)};
}

std::set<std::string> TaskPlan::folders() const {
  if (!target_.file.empty()) return {target_.root};
  std::set<std::string> folders;
  const auto ranges = collection_.inputs.folders();
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    const std::size_t end = i + 1 < ranges.size() ? ranges[i + 1].first : collection_.inputs.size();
    std::size_t file = ranges[i].first;
    while (file < end && !holds(file)) ++file;
    if (file == end) continue;
    folders.insert(folder_of(target_.root + "/" + output_of(static_cast<std::uint32_t>(file) * copies_)));
  }
  return folders;
}

std::vector<OutputState> TaskPlan::outputs_there(int workers) const {
  // An input that is a link may lead to an output. Others are outputs by folder and name only.
  std::set<FileId> behind_links;
  if (collection_.may_have_links) {
    std::mutex mutex;
    for_each_number(count(), workers, [&](std::uint32_t number) {
      if (copy_of(number) != 1) return;
      const std::string path = input_of(of_all(number));
      struct stat status {};
      if (::lstat(path.c_str(), &status) != 0 || !S_ISLNK(status.st_mode)) return;
      if (const auto id = file_id(path)) {
        const std::lock_guard lock(mutex);
        behind_links.insert(*id);
      }
    });
  }
  std::vector<OutputState> states(count());
  std::atomic<std::uint32_t> first{count()};
  for_each_number(count(), workers, [&](std::uint32_t number) {
    struct stat status {};
    if (::lstat((target_.root + "/" + output_of(of_all(number))).c_str(), &status) != 0) return;
    states[number] = S_ISREG(status.st_mode) ? OutputState::file : OutputState::other;
    if (!behind_links.contains({status.st_dev, status.st_ino})) return;
    for (std::uint32_t seen = first; number < seen && !first.compare_exchange_weak(seen, number);) {
    }
  });
  if (first < count()) {
    throw UsageError(fmt::format("the output '{}' is an input itself: inputs are never written to",
                                 target_.root + "/" + output_of(of_all(first))));
  }
  return states;
}

void TaskPlan::leave_out(const std::function<bool(std::uint32_t)>& unwanted) {
  std::deque<std::uint32_t> kept;
  const std::uint32_t before = count();
  for (std::uint32_t number = 0; number < before; ++number) {
    if (!unwanted(number)) kept.push_back(of_all(number));
  }
  if (kept.size() == before) return;
  has_gaps_ = true;
  kept_ = std::move(kept);
}

void TaskPlan::refuse_collisions() const {
  struct Name {
    std::uint64_t hash;
    std::uint32_t number;
  };
  const auto hash_of = [](std::string_view text) { return std::uint64_t{std::hash<std::string_view>()(text)}; };
  std::vector<Name> names;
  names.reserve(all_);
  for (std::uint32_t number = 0; number < all_; ++number) names.push_back({hash_of(output_of(number)), number});
  std::ranges::sort(
      names, [](const Name& a, const Name& b) { return a.hash != b.hash ? a.hash < b.hash : a.number < b.number; });

  // Equal names have equal hashes; equal hashes are looked at.
  std::optional<std::pair<std::uint32_t, std::uint32_t>> taken;  // the first task that finds its name taken, by which
  for (auto begin = names.begin(); begin != names.end();) {
    const auto end = std::find_if(begin, names.end(), [&](const Name& name) { return name.hash != begin->hash; });
    for (auto second = begin; second != end; ++second) {
      const auto first = std::find_if(
          begin, second, [&](const Name& name) { return output_of(name.number) == output_of(second->number); });
      if (first == second) continue;
      if (!taken || second->number < taken->first) taken = {second->number, first->number};
      break;
    }
    begin = end;
  }
  if (taken) {
    const std::string input = input_of(taken->first), other = input_of(taken->second);
    const std::string output = output_of(taken->first);
    if (other == input) {
      throw UsageError(fmt::format("'{}' would be written to '{}' twice: name each input once", input, output));
    }
    throw UsageError(fmt::format("'{}' and '{}' would both be written to '{}': process them into different folders",
                                 other, input, output));
  }

  if (!target_.file.empty()) return;
  for (const auto& folder : collection_.inputs.folders()) {
    const auto number = static_cast<std::uint32_t>(folder.first) * copies_;
    const std::string output = output_of(number);
    for (std::size_t slash = output.find('/'); slash != std::string::npos; slash = output.find('/', slash + 1)) {
      const std::string_view above = std::string_view(output).substr(0, slash);
      const std::uint64_t hash = hash_of(above);
      for (auto name = std::ranges::lower_bound(names, hash, {}, &Name::hash); name != names.end(); ++name) {
        if (name->hash != hash) break;
        if (output_of(name->number) != above) continue;
        throw UsageError(fmt::format("the output of '{}' would be a file where that of '{}' needs a folder: '{}'",
                                     input_of(name->number), input_of(number), above));
      }
    }
  }
}

void TaskPlan::refuse_inputs_as_outputs() const {
  // An output replaces what has its name in its folder, and touches nothing else.
  std::map<FileId, std::vector<std::size_t>> ranges_by_folder;
  const auto ranges = collection_.inputs.folders();
  const auto end_of = [&](std::size_t range) {
    return range + 1 < ranges.size() ? ranges[range + 1].first : collection_.inputs.size();
  };
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    if (const auto id = file_id(ranges[i].path.empty() ? "." : ranges[i].path)) ranges_by_folder[*id].push_back(i);
  }
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    const auto first = static_cast<std::uint32_t>(ranges[i].first) * copies_;
    const auto id = file_id(folder_of(target_.root + "/" + output_of(first)));
    const auto found = id ? ranges_by_folder.find(*id) : ranges_by_folder.end();
    if (found == ranges_by_folder.end()) continue;
    std::set<std::string> names;
    for (const std::size_t range : found->second) {
      for (std::size_t file = ranges[range].first; file < end_of(range); ++file) {
        names.insert(name_of(collection_.inputs.path(file)));
      }
    }
    for (auto number = first; number < end_of(i) * copies_; ++number) {
      const std::string path = target_.root + "/" + output_of(number);
      if (!names.contains(name_of(path)) || !holds(number / copies_)) continue;
      throw UsageError(fmt::format("the output '{}' is an input itself: inputs are never written to", path));
    }
  }
}

void TaskPlan::refuse_as_manifest(const std::string& path) const {
  const auto in_one_folder = [](const std::string& a, const std::string& b) {
    const auto id = file_id(a), other = file_id(b);
    if (id && other) return id == other;
    std::error_code error;
    return fs::absolute(a, error).lexically_normal() == fs::absolute(b, error).lexically_normal();
  };
  const std::string name = name_of(path), folder = folder_of(path);
  const auto refuse = [&](const std::string& file, std::string_view kind) {
    if (name_of(file) != name || !in_one_folder(folder, folder_of(file))) return;
    throw UsageError(fmt::format("the manifest '{}' is {} of this call: name another file", path, kind));
  };
  for (std::size_t file = 0; file < collection_.inputs.size(); ++file) {
    if (collection_.inputs.name(file) == name) refuse(collection_.inputs.path(file), "an input");
  }
  for (std::uint32_t number = 0; number < count(); ++number) {
    if (const std::string output = output_of(of_all(number)); output.ends_with(name)) {
      refuse(target_.root + "/" + output, "an output");
    }
  }
}

void TaskPlan::refuse_folders_of_inputs() const {
  // A sub-folder of OUT may be a link that leads back. OUT itself was looked at while the inputs were collected.
  if (collection_.folders.empty()) return;
  for (const std::string& folder : folders()) {
    if (folder == target_.root) continue;
    for (const FileId& above : folders_above(folder)) {
      if (collection_.folders.contains(above)) {
        throw UsageError(
            fmt::format("the output folder '{}' leads into an input folder: name a folder elsewhere", folder));
      }
    }
  }
}

}  // namespace noisefloor
