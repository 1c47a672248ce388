// JSON lines, written one by one and read back by the next call.
// SPDX-License-Identifier: MIT
#include "harness/commands/process/manifest.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <cstddef>
#include <utility>
#include <vector>

#include "harness/audio/sound_file.hpp"
#include "harness/base/error.hpp"

namespace noisefloor {
namespace {

/// The words for EtlOutcome's warnings.
constexpr std::array<std::pair<EtlOutcome::Warning, std::string_view>, 12> kWarningNames = {{
    {EtlOutcome::kTruncated, "truncated"},
    {EtlOutcome::kDamaged, "damaged"},
    {EtlOutcome::kUnsized, "unsized"},
    {EtlOutcome::kNotFinite, "not finite"},
    {EtlOutcome::kSilent, "silent"},
    {EtlOutcome::kNoNoise, "no noise"},
    {EtlOutcome::kMissed, "ratio missed"},
    {EtlOutcome::kMetadata, "metadata lost"},
    {EtlOutcome::kUnderstated, "longer than stated"},
    {EtlOutcome::kOther, "unknown bytes"},
    {EtlOutcome::kRepacked, "repacked"},
    {EtlOutcome::kLarge, "large"},
}};

constexpr std::string_view kLineStart = "{\"input\": ";
constexpr std::string_view kOutputKey = "\"output\": ";
constexpr std::string_view kDone = "\"status\": \"ok\"";

/// JSON has no number for what is not finite.
std::string json_number(double value) { return std::isfinite(value) ? fmt::format("{}", value) : "null"; }

std::string head(const ManifestTask& task, double sigma, double snr_db_achieved) {
  return fmt::format(
      "{}{}, {}{}, \"seed\": {}, \"stream\": {}, \"sigma\": {}, \"snr_db_requested\": {}, "
      "\"snr_db_achieved\": {}",
      kLineStart, json_string(task.input), kOutputKey, json_string(task.output), task.seed, task.stream,
      json_number(sigma), json_number(task.snr_db_requested), json_number(snr_db_achieved));
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

/// The JSON string at the start of `text`, with its quotes; empty if it does not end.
std::string_view leading_string(std::string_view text) noexcept {
  if (text.empty() || text[0] != '"') return {};
  for (std::size_t i = 1; i < text.size(); ++i) {
    if (text[i] == '\\') {
      ++i;
    } else if (text[i] == '"') {
      return text.substr(0, i + 1);
    }
  }
  return {};
}

constexpr std::size_t kReadBytes = std::size_t{1} << 16;

/// Whether what lies behind `end` can be the beginning of a line of a manifest.
bool is_torn_line(int fd, off_t end) {
  std::array<char, kLineStart.size()> start{};
  const ssize_t got = ::pread(fd, start.data(), start.size(), end);
  return got >= 0 && kLineStart.starts_with(std::string_view(start.data(), static_cast<std::size_t>(got)));
}

/// Where the last complete line ends: behind the last newline.
off_t end_of_lines(int fd, off_t size) {
  std::vector<char> buffer(kReadBytes);
  for (off_t end = size; end > 0;) {
    const off_t begin = std::max<off_t>(0, end - static_cast<off_t>(buffer.size()));
    const ssize_t got = ::pread(fd, buffer.data(), static_cast<std::size_t>(end - begin), begin);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return -1;
    const std::string_view text(buffer.data(), static_cast<std::size_t>(got));
    const std::size_t newline = text.find_last_of('\n');
    if (newline != std::string_view::npos) return begin + static_cast<off_t>(newline) + 1;
    end = begin;
  }
  return 0;
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

void OutputsDone::add(std::string_view name) { hashes_.push_back(hash_of(name)); }

void OutputsDone::sort() { std::ranges::sort(hashes_); }

bool OutputsDone::contains(std::string_view name) const { return std::ranges::binary_search(hashes_, hash_of(name)); }

OutputsDone::Hash OutputsDone::hash_of(std::string_view name) noexcept {
  const XXH128_hash_t hash = XXH3_128bits(name.data(), name.size());
  return {hash.high64, hash.low64};
}

Manifest::Manifest(const std::string& path, Open how) : path_(path) {
  const int flags = O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY | (how == Open::fresh ? O_TRUNC : 0);
  fd_.reset(::open(path.c_str(), flags, 0666));
  // A terminal or a pipe cannot be read back.
  if (!fd_ && (errno == EACCES || errno == EINVAL)) {
    fd_.reset(::open(path.c_str(), (flags & ~O_ACCMODE) | O_WRONLY, 0666));
  }
  if (!fd_) throw system_error(fmt::format("cannot write the manifest '{}'", path), errno);
  struct stat status {};
  if (::fstat(fd_.get(), &status) != 0 || !S_ISREG(status.st_mode) || status.st_size == 0) return;
  const off_t end = end_of_lines(fd_.get(), status.st_size);
  if (end >= 0 && !is_torn_line(fd_.get(), end)) {
    throw UsageError(fmt::format("'{}' is no manifest to go on with: its last line is none of ours", path));
  }
  if (end < 0 || (end < status.st_size && ::ftruncate(fd_.get(), end) != 0)) {
    throw system_error(fmt::format("cannot continue the manifest '{}'", path), errno);
  }
}

void Manifest::done(const ManifestTask& task, const EtlOutcome& outcome) {
  if (!fd_) return;
  std::string warnings;
  for (const auto& [bit, name] : kWarningNames) {
    if ((outcome.warnings & bit) != 0) warnings += fmt::format("{}\"{}\"", warnings.empty() ? "" : ", ", name);
  }
  write_line(head(task, outcome.amplitude, outcome.snr_db_achieved) +
             fmt::format(", \"frames\": {}, \"channels\": {}, \"rate\": {}, \"subtype\": \"{}\", \"sound_bytes\": {}, "
                         "\"metadata_bytes\": {}, \"other_bytes\": {}, \"clipped\": {}, "
                         "\"nans\": {}, \"warnings\": [{}], {}, \"message\": \"\"}}\n",
                         outcome.frames, outcome.channels, outcome.rate, subtype_name(outcome.format),
                         outcome.sound_bytes, outcome.metadata_bytes, outcome.other_bytes, outcome.clipped,
                         outcome.not_finite, warnings, kDone));
}

void Manifest::failed(const ManifestTask& task, std::string_view message) {
  if (!fd_) return;
  write_line(head(task, task.sigma, NAN) +
             fmt::format(", \"frames\": null, \"channels\": null, \"rate\": null, \"subtype\": null, "
                         "\"sound_bytes\": null, \"metadata_bytes\": null, \"other_bytes\": null, \"clipped\": "
                         "null, \"nans\": null, \"warnings\": [], \"status\": \"failed\", \"message\": {}}}\n",
                         json_string(message)));
}

void Manifest::write_line(const std::string& text) {
  struct stat before {};
  const bool is_file = ::fstat(fd_.get(), &before) == 0 && S_ISREG(before.st_mode);
  for (std::size_t at = 0; at < text.size();) {
    const ssize_t written = ::write(fd_.get(), text.data() + at, text.size() - at);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) {
      const int error = written < 0 ? errno : EIO;
      // Half a line helps nobody.
      if (is_file && at > 0) static_cast<void>(::ftruncate(fd_.get(), before.st_size));
      throw system_error(fmt::format("cannot write the manifest '{}'", path_), error);
    }
    at += static_cast<std::size_t>(written);
  }
}

void Manifest::close(bool durable) {
  if (!fd_) return;
  // EINVAL: a pipe or a terminal has no disk.
  if (durable && ::fsync(fd_.get()) != 0 && errno != EINVAL) {
    throw system_error(fmt::format("cannot write the manifest '{}'", path_), errno);
  }
  if (::close(fd_.release()) != 0) throw system_error(fmt::format("cannot write the manifest '{}'", path_), errno);
}

OutputsDone Manifest::outputs_done(const std::string& path) {
  OutputsDone done;
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY));
  if (!fd && errno == ENOENT) return done;
  if (!fd) throw system_error(fmt::format("cannot read the manifest '{}'", path), errno);
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0 || !S_ISREG(status.st_mode)) return done;
  std::string pending;
  std::vector<char> buffer(kReadBytes);
  for (;;) {
    const ssize_t got = ::read(fd.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw system_error(fmt::format("cannot read the manifest '{}'", path), errno);
    if (got == 0) break;
    pending.append(buffer.data(), static_cast<std::size_t>(got));
    std::size_t at = 0;
    for (std::size_t end = 0; (end = pending.find('\n', at)) != std::string::npos; at = end + 1) {
      const std::string_view line = std::string_view(pending).substr(at, end - at);
      // A name cannot hold either: its quotes are escaped.
      const std::size_t key = line.find(kOutputKey);
      if (key == std::string_view::npos || line.find(kDone) == std::string_view::npos) continue;
      if (const auto output = leading_string(line.substr(key + kOutputKey.size())); !output.empty()) done.add(output);
    }
    pending.erase(0, at);
  }
  done.sort();
  return done;
}

}  // namespace noisefloor
