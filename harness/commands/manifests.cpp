// Lines of several manifests, sorted by output: 64 bytes of memory each.
// SPDX-License-Identifier: MIT
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "harness/audio/atomic_file.hpp"
#include "harness/base/error.hpp"
#include "harness/base/say.hpp"
#include "harness/base/unique_fd.hpp"
#include "harness/commands/command.hpp"
#include "harness/commands/process/manifest.hpp"

namespace noisefloor {
namespace {

/// Where a line stands and what matters of it.
struct Line {
  TextId output;
  std::uint64_t noise = 0;  // a number for it
  std::uint64_t offset = 0, bytes = 0;
  std::uint32_t file = 0;
  std::uint32_t shard = 1, shards = 1;
  bool is_done = false;
};

std::uint64_t number_of(std::string_view text) {
  std::uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

/// Problems that are named one by one, up to a number of them.
class Named {
 public:
  explicit Named(std::string_view kind) : kind_(kind) {}

  void add(const std::string& text) {
    constexpr std::uint64_t kMost = 20;
    if (++count_ <= kMost) say(fmt::format("{}: {}", kind_, printable(text)));
    if (count_ == kMost + 1) say(fmt::format("{}: … and more", kind_));
  }
  [[nodiscard]] std::uint64_t count() const noexcept { return count_; }

 private:
  std::string_view kind_;
  std::uint64_t count_ = 0;
};

/// All manifests of a call, or of the shards of one.
class Manifests {
 public:
  explicit Manifests(const std::vector<std::string>& paths) : paths_(paths) {
    for (std::uint32_t file = 0; file < paths.size(); ++file) {
      const std::uint64_t torn =
          read_manifest(paths[file], [&](const ManifestLine& line, std::uint64_t offset) { add(file, line, offset); });
      if (torn > 0) say(fmt::format("torn: the last line of '{}' is passed over", printable(paths[file])));
    }
    // The lines of an output behind each other, in the order in which they were written.
    std::ranges::stable_sort(lines_, {}, &Line::output);
  }

  /// Names what is wrong, and keeps the line of each output that counts. Returns whether nothing is.
  bool judge() {
    Named failed("failed"), twice("double"), contradicting("contradiction");
    for (auto begin = lines_.begin(); begin != lines_.end();) {
      const auto end =
          std::find_if(begin, lines_.end(), [&](const Line& line) { return line.output != begin->output; });
      const Line* counts = nullptr;       // of the last manifest that tells it as done, else of the last
      const Line* done_before = nullptr;  // in another one
      for (auto line = begin; line != end; ++line) {
        if (line + 1 != end && (line + 1)->file == line->file) continue;  // a manifest goes on: its last line counts
        if (line->is_done && counts != nullptr && counts->is_done) done_before = counts;
        if (line->is_done || counts == nullptr || !counts->is_done) counts = &*line;
      }
      if (!counts->is_done) {
        const std::string text = text_of(*counts);
        const auto line = *ManifestLine::of(text);
        failed.add(fmt::format("{} (shard {}): {}", text_of_json_string(line.output()), shard_text(*counts),
                               text_of_json_string(line.field("message"))));
      } else if (done_before != nullptr) {
        const std::string text = text_of(*counts);
        const std::string output = text_of_json_string(ManifestLine::of(text)->output());
        Named& kind = done_before->noise == counts->noise ? twice : contradicting;
        kind.add(fmt::format("'{}', in '{}' and '{}'", output, paths_[done_before->file], paths_[counts->file]));
      }
      kept_.push_back(*counts);
      begin = end;
    }
    contradictions_ = contradicting.count();
    return told(failed.count(), twice.count() + contradicting.count());
  }

  /// Names outputs that are told as done and are not there. Returns whether there are none.
  [[nodiscard]] bool are_there() const {
    Named gone("not there");
    for (const Line& line : kept_) {
      if (!line.is_done) continue;
      const std::string output = text_of_json_string(ManifestLine::of(text_of(line))->output());
      struct stat status {};
      if (::lstat(output.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) gone.add(fmt::format("'{}'", output));
    }
    fmt::print("not there: {}\n", gone.count());
    return gone.count() == 0;
  }

  /// One line for each output, in the order of files and lines.
  void write(const std::string& path, bool overwrite) {
    if (contradictions_ > 0) {
      throw Error("nothing was merged: two manifests tell different noise of the same output");
    }
    std::ranges::sort(
        kept_, [](const Line& a, const Line& b) { return a.file != b.file ? a.file < b.file : a.offset < b.offset; });
    AtomicFile file(path);
    std::uint64_t bytes = 0;
    std::string pending;
    const auto flush = [&] {
      for (std::size_t at = 0; at < pending.size();) {
        const ssize_t written = ::write(file.fd(), pending.data() + at, pending.size() - at);
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) throw system_error(fmt::format("cannot write '{}'", path), written < 0 ? errno : EIO);
        at += static_cast<std::size_t>(written);
      }
      bytes += pending.size();
      pending.clear();
    };
    constexpr std::size_t kPiece = std::size_t{1} << 20;
    for (const Line& line : kept_) {
      pending += text_of(line);
      pending += '\n';
      if (pending.size() > kPiece) flush();
    }
    flush();
    file.publish(overwrite ? Publish::replace : Publish::fresh, bytes);
  }

 private:
  /// What one number of shards says of itself.
  struct Shards {
    std::uint64_t outputs = 0;                          // of all
    std::map<std::uint32_t, std::uint64_t> outputs_of;  // by shard
  };

  void add(std::uint32_t file, const ManifestLine& line, std::uint64_t offset) {
    Line entry{.output = text_id(line.output()),
               .noise = text_id(line.noise()).second,
               .offset = offset,
               .bytes = line.text().size(),
               .file = file,
               .is_done = line.is_done()};
    if (const std::string_view shard = line.field("shard"); !shard.empty()) {
      const std::string text = text_of_json_string(shard);
      const std::size_t slash = text.find('/');
      entry.shard = static_cast<std::uint32_t>(number_of(text));
      entry.shards = slash == std::string::npos
                         ? 1
                         : static_cast<std::uint32_t>(number_of(std::string_view(text).substr(slash + 1)));
      Shards& shards = shards_[entry.shards];
      shards.outputs = std::max(shards.outputs, number_of(line.field("outputs")));
      std::uint64_t& outputs = shards.outputs_of[entry.shard];
      outputs = std::max(outputs, number_of(line.field("shard_outputs")));
    }
    lines_.push_back(entry);
  }

  [[nodiscard]] static std::string shard_text(const Line& line) {
    return fmt::format("{}/{}", line.shard, line.shards);
  }

  [[nodiscard]] std::string text_of(const Line& line) const {
    const std::string& path = paths_[line.file];
    if (open_ != line.file) {
      file_.reset(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
      open_ = line.file;
    }
    std::string text(line.bytes, '\0');
    if (!file_ ||
        ::pread(file_.get(), text.data(), text.size(), static_cast<off_t>(line.offset)) !=
            static_cast<ssize_t>(text.size()) ||
        !ManifestLine::of(text)) {
      throw Error(fmt::format("the manifest '{}' changed while it was read", path));
    }
    return text;
  }

  /// Counts, and the shards that have to be run again. Returns whether all is well.
  [[nodiscard]] bool told(std::uint64_t failed, std::uint64_t twice) const {
    std::uint64_t outputs = 0;
    for (const auto& [count, shards] : shards_) outputs = std::max(outputs, shards.outputs);
    const bool is_told = !shards_.empty();
    const std::uint64_t missing = is_told && outputs > kept_.size() ? outputs - kept_.size() : 0;
    fmt::print("outputs: {} of {}; failed: {}; double: {}; missing: {}\n", kept_.size() - failed,
               is_told ? fmt::format("{}", outputs) : "an unknown number", failed, twice, missing);
    if (missing == 0 && failed == 0) return twice == 0;
    if (shards_.size() > 1) {
      std::vector<std::string> counts;
      for (const auto& [count, unused] : shards_) counts.push_back(fmt::format("{}", count));
      throw UsageError(
          fmt::format("these are manifests of {} shards: name those of one number, and run what is missing "
                      "again with that",
                      fmt::join(counts, " and of ")));
    }
    if (shards_.empty() || shards_.begin()->first == 1) {
      fmt::print("run again, with --resume\n");
      return false;
    }
    const auto& [count, shards] = *shards_.begin();
    std::map<std::uint32_t, std::uint64_t> done;
    for (const Line& line : kept_) done[line.shard] += line.is_done ? 1 : 0;
    // A shard without a file has no line: it is done if the others account for all.
    std::uint64_t accounted = 0;
    for (const auto& [number, its] : shards.outputs_of) accounted += its;
    std::vector<std::uint32_t> again;
    for (std::uint32_t number = 1; number <= count; ++number) {
      const auto its = shards.outputs_of.find(number);
      if (its == shards.outputs_of.end() ? accounted < outputs : done[number] < its->second) again.push_back(number);
    }
    fmt::print("shards to run again, with --resume: {} (of {})\n", fmt::join(again, ","), count);
    return false;
  }

  const std::vector<std::string>& paths_;
  std::vector<Line> lines_;
  std::vector<Line> kept_;                  // one for each output
  std::map<std::uint32_t, Shards> shards_;  // by their number
  std::uint64_t contradictions_ = 0;
  mutable UniqueFd file_;
  mutable std::optional<std::uint32_t> open_;  // number of the file that is
};

ExitStatus status_of(bool is_well) { return is_well ? ExitStatus::done : ExitStatus::failed; }

struct CheckArguments {
  std::vector<std::string> paths;
  bool looks = false;
};

ExitStatus check(const CheckArguments& arguments) {
  Manifests manifests(arguments.paths);
  bool is_well = manifests.judge();
  if (arguments.looks) is_well = manifests.are_there() && is_well;
  return status_of(is_well);
}

struct MergeArguments {
  std::vector<std::string> paths;
  std::string output;
  bool overwrite = false;
};

ExitStatus merge(const MergeArguments& arguments) {
  Manifests manifests(arguments.paths);
  const bool is_well = manifests.judge();
  manifests.write(arguments.output, arguments.overwrite);
  return status_of(is_well);
}

}  // namespace

/// Ends with status 1 where an output is missing, double or failed.
Command manifests_command() {
  Command check_command{
      .name = "check",
      .help = "What is missing, double or failed in the manifests of all shards, and which to run again",
      .examples = {"noisefloor manifest check noisy.*.jsonl"},
      .arguments = {{"MANIFEST", &CheckArguments::paths, "Of all shards of one collection", {.required = true}},
                    {"--look", &CheckArguments::looks, "Also look whether every output that is told as done is there"}},
      .action = Action(check)};
  Command merge_command{
      .name = "merge",
      .help = "One manifest of many: the line of each output that counts",
      .examples = {"noisefloor manifest merge noisy.*.jsonl --output noisy.jsonl"},
      .arguments =
          {{"MANIFEST", &MergeArguments::paths, "Of all shards of one collection", {.required = true}},
           {"--output", &MergeArguments::output, "The file to make, at once", {.value = "FILE", .required = true}},
           {"--overwrite", &MergeArguments::overwrite, "Replace it if it exists"}},
      .action = Action(merge)};
  return {.name = "manifest",
          .help = "Join the manifests of shards, and tell what is missing",
          .examples = check_command.examples,
          .commands = {check_command, merge_command}};
}

}  // namespace noisefloor
