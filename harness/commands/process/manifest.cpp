// JSON lines, written one by one and read back by the next call.
// SPDX-License-Identifier: MIT
#include "harness/commands/process/manifest.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <iterator>
#include <utility>
#include <vector>

#include "harness/audio/sound_file.hpp"
#include "harness/base/error.hpp"
#include "harness/base/host.hpp"

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

/// JSON has no number for what is not finite.
std::string json_number(double value) { return std::isfinite(value) ? fmt::format("{}", value) : "null"; }

std::string noise_text(std::string_view seed, std::string_view sigma, std::string_view snr_db_requested) {
  const bool has_ratio = !snr_db_requested.empty() && snr_db_requested != "null";
  return fmt::format("seed {}, {} {}", seed, has_ratio ? "snr_db" : "sigma", has_ratio ? snr_db_requested : sigma);
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

std::string text_of_json_string(std::string_view json) {
  const auto refuse = [&] { throw Error(fmt::format("{} is no string of a manifest", json)); };
  if (json.size() < 2 || leading_string(json).size() != json.size()) refuse();
  json = json.substr(1, json.size() - 2);
  std::string text;
  for (std::size_t i = 0; i < json.size(); ++i) {
    if (json[i] != '\\') {
      text += json[i];
    } else if (json.substr(i + 1).starts_with('u') && i + 6 <= json.size()) {
      unsigned code = 0;
      std::from_chars(json.data() + i + 2, json.data() + i + 6, code, 16);
      if (code >= 0x80 && (code & 0xFF00) != 0xDC00) refuse();
      text += static_cast<char>(code & 0xFF);
      i += 5;
    } else {
      text += json[++i];
    }
  }
  return text;
}

TextId text_id(std::string_view text) noexcept {
  const XXH128_hash_t hash = XXH3_128bits(text.data(), text.size());
  return {hash.high64, hash.low64};
}

// --- Lines ---

std::optional<ManifestLine> ManifestLine::of(std::string_view text) {
  if (!text.starts_with(kLineStart) || !text.ends_with('}')) return std::nullopt;
  const ManifestLine line(text);
  if (line.output().empty() || line.field("status").empty()) return std::nullopt;
  return line;
}

std::string_view ManifestLine::field(std::string_view name) const noexcept {
  // No string can hold this: its quotes are escaped.
  const std::string key = fmt::format("\"{}\": ", name);
  const std::size_t found = text_.find(key);
  if (found == std::string_view::npos) return {};
  const std::string_view value = text_.substr(found + key.size());
  return value.starts_with('"') ? leading_string(value) : value.substr(0, value.find_first_of(",}"));
}

std::string ManifestLine::noise() const { return noise_text(field("seed"), field("sigma"), field("snr_db_requested")); }

std::string ManifestTask::noise() const {
  return noise_text(fmt::format("{}", seed), json_number(sigma), json_number(snr_db_requested));
}

std::uint64_t read_manifest(const std::string& path,
                            const std::function<void(const ManifestLine& line, std::uint64_t offset)>& f) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY));
  if (!fd) throw system_error(fmt::format("cannot read the manifest '{}'", path), errno);
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0 || !S_ISREG(status.st_mode)) return 0;
  std::string pending;
  std::vector<char> buffer(kReadBytes);
  std::uint64_t offset = 0;  // of what is pending
  for (;;) {
    const ssize_t got = ::read(fd.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw system_error(fmt::format("cannot read the manifest '{}'", path), errno);
    if (got == 0) break;
    pending.append(buffer.data(), static_cast<std::size_t>(got));
    std::size_t at = 0;
    for (std::size_t end = 0; (end = pending.find('\n', at)) != std::string::npos; at = end + 1) {
      const auto line = ManifestLine::of(std::string_view(pending).substr(at, end - at));
      if (!line) throw UsageError(fmt::format("'{}' is no manifest: see byte {}", path, offset + at));
      f(*line, offset + at);
    }
    pending.erase(0, at);
    offset += at;
  }
  if (!pending.starts_with(std::string_view(kLineStart).substr(0, pending.size()))) {
    throw UsageError(fmt::format("'{}' is no manifest: its last line is none of ours", path));
  }
  return pending.size();
}

// --- OutputsDone ---

void OutputsDone::add(const ManifestLine& line) {
  done_.push_back({text_id(line.output()), text_id(line.noise()).second});
}

void OutputsDone::sort() {
  std::ranges::stable_sort(done_, {}, &Done::output);  // of equal ones, the last line is the last
}

const OutputsDone::Done* OutputsDone::find(std::string_view output) const {
  const auto behind = std::ranges::upper_bound(done_, text_id(output), {}, &Done::output);
  if (behind == done_.begin() || std::prev(behind)->output != text_id(output)) return nullptr;
  return &*std::prev(behind);
}

bool OutputsDone::contains(std::string_view output) const { return find(output) != nullptr; }

bool OutputsDone::has_noise(std::string_view output, std::string_view noise) const {
  const Done* done = find(output);
  return done != nullptr && done->noise == text_id(noise).second;
}

// --- Manifest ---

Manifest::Manifest(const std::string& path, Open how, ManifestCall call) : path_(path), call_(std::move(call)) {
  constexpr int kFlags = O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY;
  fd_.reset(::open(path.c_str(), kFlags | (how == Open::fresh ? O_EXCL : 0), 0666));
  if (!fd_ && errno == EEXIST) {  // it may be empty, a terminal or a pipe
    struct stat there {};
    if (::stat(path.c_str(), &there) == 0 && S_ISREG(there.st_mode) && (there.st_size > 0 || call_.shard != "1/1")) {
      throw UsageError(fmt::format("the manifest '{}' exists: --overwrite replaces it, --resume adds to it{}", path,
                                   call_.shard == "1/1" ? "" : "; each shard needs one of its own"));
    }
    fd_.reset(::open(path.c_str(), kFlags, 0666));
  }
  // A terminal or a pipe cannot be read back.
  if (!fd_ && (errno == EACCES || errno == EINVAL)) {
    fd_.reset(::open(path.c_str(), (kFlags & ~O_ACCMODE) | O_WRONLY, 0666));
  }
  if (!fd_) throw system_error(fmt::format("cannot write the manifest '{}'", path), errno);
  struct stat status {};
  if (::fstat(fd_.get(), &status) != 0 || !S_ISREG(status.st_mode)) return;
  // A file server may keep the lock of a machine that is gone.
  if (::flock(fd_.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK && is_local_file_system(fd_.get())) {
    throw UsageError(fmt::format("another call writes the manifest '{}': name another file{}", path,
                                 call_.shard == "1/1" ? "" : " for each shard"));
  }
  if (status.st_size == 0) return;
  if (!is_torn_line(fd_.get(), 0)) {
    throw UsageError(fmt::format("'{}' is no manifest: name another file", path));
  }
  if (how == Open::replace) {
    if (::ftruncate(fd_.get(), 0) != 0) throw system_error(fmt::format("cannot write the manifest '{}'", path), errno);
    return;
  }
  const off_t end = end_of_lines(fd_.get(), status.st_size);
  if (end >= 0 && !is_torn_line(fd_.get(), end)) {
    throw UsageError(fmt::format("'{}' is no manifest to go on with: its last line is none of ours", path));
  }
  if (end < 0 || (end < status.st_size && ::ftruncate(fd_.get(), end) != 0)) {
    throw system_error(fmt::format("cannot continue the manifest '{}'", path), errno);
  }
}

Owner Manifest::owner() const {
  struct stat status {};
  if (!fd_ || ::fstat(fd_.get(), &status) != 0 || !S_ISREG(status.st_mode)) return kNobody;
  const bool is_local = is_local_file_system(fd_.get());
  const std::string name = path_.substr(path_.find_last_of('/') + 1);
  return text_id(fmt::format("{}/{}/{}/{}", is_local ? this_host().name : "", status.st_ino, name, call_.shard))
             .second |
         1U;
}

std::string Manifest::head(const ManifestTask& task, double sigma, double snr_db_achieved) const {
  return fmt::format(
      "{}{}, \"output\": {}, \"copy\": {}, \"shard\": \"{}\", \"shard_outputs\": {}, \"outputs\": {}, \"seed\": {}, "
      "\"stream\": {}, \"sigma\": {}, \"snr_db_requested\": {}, \"snr_db_achieved\": {}",
      kLineStart, json_string(task.input), json_string(task.output), task.copy, call_.shard, call_.shard_outputs,
      call_.outputs, task.seed, task.stream, json_number(sigma), json_number(task.snr_db_requested),
      json_number(snr_db_achieved));
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
                         "\"nans\": {}, \"warnings\": [{}], \"status\": \"ok\", \"message\": \"\"}}\n",
                         outcome.frames, outcome.channels, outcome.rate, subtype_name(outcome.format),
                         outcome.sound_bytes, outcome.metadata_bytes, outcome.other_bytes, outcome.clipped,
                         outcome.not_finite, warnings));
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

}  // namespace noisefloor
