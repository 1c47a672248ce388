// JSON lines, one file per machine; ids of outputs beside them where they are many.
// SPDX-License-Identifier: MIT
#include "harness/commands/process/settings.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <map>
#include <system_error>

#include "harness/audio/atomic_file.hpp"
#include "harness/audio/signals.hpp"
#include "harness/base/error.hpp"
#include "harness/base/host.hpp"
#include "harness/base/unique_fd.hpp"
#include "harness/commands/process/inputs.hpp"

namespace noisefloor {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr int kVersion = 1;  // of the entries
constexpr std::size_t kMostInEntry = 32;
constexpr std::string_view kPrefix = "settings.";

std::uint64_t now_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000U + static_cast<std::uint64_t>(now.tv_nsec);
}

json to_json(const std::vector<OutputId>& ids) {
  json list = json::array();
  for (const OutputId id : ids) list.push_back(fmt::format("{:016x}", id));
  return list;
}

std::vector<OutputId> from_json(const json& list) {
  std::vector<OutputId> ids;
  for (const json& item : list) {
    const auto text = item.get<std::string>();
    OutputId id = 0;
    std::from_chars(text.data(), text.data() + text.size(), id, 16);
    ids.push_back(id);
  }
  return ids;
}

void write_all(int fd, const char* data, std::size_t bytes, const std::string& path) {
  while (bytes > 0) {
    const ssize_t written = ::write(fd, data, bytes);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) throw system_error(fmt::format("cannot write '{}'", path), written < 0 ? errno : EIO);
    data += written;
    bytes -= static_cast<std::size_t>(written);
  }
}

}  // namespace

std::string difference(const Settings& theirs, const Settings& ours) {
  std::string text;
  const auto value = [](const Settings& settings, const std::string& key) {
    return settings.contains(key) ? settings[key].dump() : std::string("none");
  };
  const auto add = [&](const std::string& key) {
    if (value(theirs, key) == value(ours, key)) return;
    text += fmt::format("{}{} {} instead of {}", text.empty() ? "" : ", ", key, value(theirs, key), value(ours, key));
  };
  for (const auto& [key, unused] : ours.items()) add(key);
  for (const auto& [key, unused] : theirs.items()) {
    if (!ours.contains(key)) add(key);
  }
  return text;
}

OutputId output_id(const std::string& relative_path) { return XXH3_64bits(relative_path.data(), relative_path.size()); }

SettingsRecord::SettingsRecord(const std::string& out) : folder_(fmt::format("{}/{}", out, kNotesFolder)) {}

std::vector<json> SettingsRecord::entries() const {
  std::vector<json> entries;
  std::error_code error;
  for (fs::directory_iterator at(folder_, error), end; !error && at != end; at.increment(error)) {
    const std::string path = at->path().string();
    if (!at->path().filename().string().starts_with(kPrefix)) continue;
    std::ifstream file(path, std::ios::binary);
    if (!file) throw system_error(fmt::format("cannot read '{}'", path), errno);
    for (std::string line; std::getline(file, line);) {
      json entry = json::parse(line, nullptr, false);
      if (!entry.is_object() || !entry.contains("version")) continue;
      if (entry["version"] != kVersion) {
        throw UsageError(fmt::format("'{}' was written by another version of noisefloor: use that one", path));
      }
      entries.push_back(std::move(entry));
    }
  }
  if (error && error.value() != ENOENT && error.value() != ENOTDIR) {
    throw system_error(fmt::format("cannot read '{}'", folder_), error.value());
  }
  return entries;
}

void SettingsRecord::read(const Settings& ours) {
  std::map<std::string, std::vector<OutputId>> ended;
  for (json& entry : entries()) {
    if (entry.contains("end")) {
      std::vector<OutputId> not_made = from_json(entry["not_made"]);
      std::ranges::sort(not_made);
      ended[entry["end"].get<std::string>()] = std::move(not_made);
    } else if (entry.contains("call")) {
      Call call;
      call.id = entry["call"].get<std::string>();
      call.at_ns = entry["at_ns"].get<std::uint64_t>();
      newest_ns_ = std::max(newest_ns_, call.at_ns);
      if (std::string text = difference(Settings::parse(entry["settings"].dump()), ours); !text.empty()) {
        const auto known = std::ranges::find(others_, text);
        call.difference = static_cast<std::size_t>(known - others_.begin());
        if (known == others_.end()) others_.push_back(std::move(text));
      }
      call.entry = std::move(entry);
      calls_.push_back(std::move(call));
    }
  }
  if (others_.empty()) return;
  std::ranges::sort(calls_, [](const Call& a, const Call& b) { return a.at_ns > b.at_ns; });
  for (std::size_t number = 0; number < calls_.size(); ++number) {
    Call& call = calls_[number];
    if (const auto found = ended.find(call.id); found != ended.end()) call.not_made = std::move(found->second);
    for (const OutputId output : outputs_of(call)) claims_.push_back({output, static_cast<std::uint32_t>(number)});
  }
  std::ranges::sort(claims_, [](const Claim& a, const Claim& b) {
    return a.output != b.output ? a.output < b.output : a.call < b.call;
  });
}

std::vector<OutputId> SettingsRecord::outputs_of(const Call& call) const {
  if (call.entry.contains("output_ids")) return from_json(call.entry["output_ids"]);
  const std::string path = fmt::format("{}/{}", folder_, call.entry.value("output_ids_file", ""));
  std::ifstream file(path, std::ios::binary);
  std::vector<OutputId> ids(call.entry["outputs"].get<std::size_t>());
  const auto bytes = static_cast<std::streamsize>(ids.size() * sizeof(OutputId));
  if (!file.read(reinterpret_cast<char*>(ids.data()), bytes)) {
    throw Error(fmt::format("cannot read '{}', which tells what outputs other settings made", path));
  }
  return ids;
}

SettingsRecord::Answer SettingsRecord::maker_of(OutputId output) const {
  using Maker = Answer::Maker;
  bool perhaps_ours = false;
  std::optional<std::size_t> perhaps_others;
  // From the newest call that was to write it to the one that certainly did.
  for (auto claim = std::ranges::lower_bound(claims_, output, {}, &Claim::output);
       claim != claims_.end() && claim->output == output; ++claim) {
    const Call& call = calls_[claim->call];
    const bool has_ended = call.not_made.has_value();
    if (has_ended && std::ranges::binary_search(*call.not_made, output)) continue;
    if (!call.difference) {
      perhaps_ours = true;
    } else if (!perhaps_others) {
      perhaps_others = call.difference;
    }
    if (has_ended) break;
  }
  if (!perhaps_others) return {};
  return {perhaps_ours ? Maker::unsure : Maker::others, others_[*perhaps_others]};
}

std::optional<std::int64_t> SettingsRecord::first_of_array(std::uint32_t count) const {
  std::optional<std::int64_t> first;
  for (const json& entry : entries()) {
    if (!entry.contains("array_first") || entry.value("shards", 0U) != count) continue;
    const auto noted = entry["array_first"].get<std::int64_t>();
    first = std::min(first.value_or(noted), noted);
  }
  return first;
}

void SettingsRecord::begin(const Settings& settings, std::uint32_t copies, const Shard& shard,
                           std::vector<OutputId> outputs, bool durable) {
  make_folders(folder_);
  remove_stale(folder_);
  std::ranges::sort(outputs);
  const std::uint64_t at_ns = std::max(now_ns(), newest_ns_ + 1);
  id_ = fmt::format("{}.{}.{:x}-{:x}", this_host().name, this_host().boot, ::getpid(), at_ns);
  json entry = {{"version", kVersion},  {"call", id_},      {"at_ns", at_ns},
                {"settings", settings}, {"copies", copies}, {"outputs", outputs.size()}};
  if (shard.count > 1) {
    entry["shard"] = shard.number;
    entry["shards"] = shard.count;
    if (shard.array_first) entry["array_first"] = *shard.array_first;
  }
  if (outputs.size() <= kMostInEntry) {
    entry["output_ids"] = to_json(outputs);
  } else {
    const std::string name = id_ + ".outputs";
    const std::size_t bytes = outputs.size() * sizeof(OutputId);
    AtomicFile file(fmt::format("{}/{}", folder_, name));
    write_all(file.fd(), reinterpret_cast<const char*>(outputs.data()), bytes, file.temporary());
    file.publish(Publish::fresh, bytes, durable);
    entry["output_ids_file"] = name;
  }
  append(entry, durable);
}

void SettingsRecord::end(const std::vector<OutputId>& not_made, bool durable) {
  append({{"version", kVersion}, {"end", id_}, {"not_made", to_json(not_made)}}, durable);
}

void SettingsRecord::append(const json& entry, bool durable) const {
  const std::string path = fmt::format("{}/{}{}.{}.jsonl", folder_, kPrefix, this_host().name, this_host().boot);
  const UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0666));
  if (!fd) throw system_error(fmt::format("cannot write '{}'", path), errno);
  while (::flock(fd.get(), LOCK_EX) != 0 && errno == EINTR) {
  }
  const auto size = ::lseek(fd.get(), 0, SEEK_END);
  char last = '\n';
  if (size > 0 && ::pread(fd.get(), &last, 1, size - 1) != 1) {
    throw system_error(fmt::format("cannot read '{}'", path), errno);
  }
  const std::string text = fmt::format("{}{}\n", last == '\n' ? "" : "\n", entry.dump());
  try {
    write_all(fd.get(), text.data(), text.size(), path);
  } catch (...) {
    static_cast<void>(::ftruncate(fd.get(), size));  // half an entry helps nobody
    throw;
  }
  if (durable && ::fsync(fd.get()) != 0) throw system_error(fmt::format("cannot write '{}'", path), errno);
}

}  // namespace noisefloor
