// The manifest of `process`: one JSON line per output, valid whenever the call ends.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "harness/audio/atomic_file.hpp"
#include "harness/base/unique_fd.hpp"
#include "harness/workloads/etl.hpp"

namespace noisefloor {

/// `text` as a JSON string with its quotes. Bytes that are not UTF-8 become \udcXX each, as Python's
/// surrogateescape has them, so that every file name survives.
[[nodiscard]] std::string json_string(std::string_view text);

/// The text behind json_string(). Throws Error if `json` is none.
[[nodiscard]] std::string text_of_json_string(std::string_view json);

/// A number that stands for a text, the same in every process.
using TextId = std::pair<std::uint64_t, std::uint64_t>;
[[nodiscard]] TextId text_id(std::string_view text) noexcept;

/// A complete line of a manifest.
class ManifestLine {
 public:
  /// No value if `text` is no such line.
  [[nodiscard]] static std::optional<ManifestLine> of(std::string_view text);

  /// A field as it stands there: a string has its quotes. Empty if there is none of this name.
  [[nodiscard]] std::string_view field(std::string_view name) const noexcept;
  [[nodiscard]] std::string_view text() const noexcept { return text_; }
  [[nodiscard]] std::string_view output() const noexcept { return field("output"); }
  [[nodiscard]] bool is_done() const noexcept { return field("status") == "\"ok\""; }
  /// What was asked for, so that two lines can be compared: "seed 1, snr_db 12.5", or sigma where no ratio was.
  [[nodiscard]] std::string noise() const;

 private:
  explicit ManifestLine(std::string_view text) noexcept : text_(text) {}
  std::string_view text_;
};

/// Calls f(line, offset) for each complete line of the manifest at `path` and returns the bytes of a torn line at its
/// end. Nothing happens if it is no regular file. Throws Error if it cannot be read, UsageError if there is something
/// else in it.
std::uint64_t read_manifest(const std::string& path,
                            const std::function<void(const ManifestLine& line, std::uint64_t offset)>& f);

/// The outputs that manifests tell as done, with their noise: 24 bytes each.
class OutputsDone {
 public:
  void add(const ManifestLine& line);
  /// To be called between the last add() and the first of what follows.
  void sort();
  /// `output` as json_string() has it.
  [[nodiscard]] bool contains(std::string_view output) const;
  /// Whether its last line has this ManifestLine::noise().
  [[nodiscard]] bool has_noise(std::string_view output, std::string_view noise) const;

 private:
  struct Done {
    TextId output;
    std::uint64_t noise;
  };
  [[nodiscard]] const Done* find(std::string_view output) const;
  std::deque<Done> done_;
};

/// What all lines of a call say.
struct ManifestCall {
  std::string shard = "1/1";
  std::uint64_t shard_outputs = 0;  ///< that the shard has, there already or not
  std::uint64_t outputs = 0;        ///< of all shards
};

/// What a line says of the noise that was asked for.
struct ManifestTask {
  std::string_view input, output;
  std::uint32_t copy = 1;
  std::uint64_t seed = 0, stream = 0;
  double sigma = 0;             ///< asked for; NaN where the file's level decides
  double snr_db_requested = 0;  ///< NaN where none was asked for

  /// As ManifestLine::noise() will have it.
  [[nodiscard]] std::string noise() const;
};

/// Appends lines to a file, each by one write(2), so that none is torn unless the system dies in the middle of it.
/// For one thread at a time. Its functions throw Error if the file cannot be written; a line that did not fit is
/// taken back first.
class Manifest {
 public:
  enum class Open : std::uint8_t { fresh, replace, append };

  /// A manifest that is not asked for: writes nothing.
  Manifest() = default;
  /// Makes a file at `path`, empties it, or, to append, ends it behind its last complete line. Throws UsageError if to
  /// replace or append there is something else than a manifest, if a fresh one is there already, or if another process
  /// writes it.
  Manifest(const std::string& path, Open how, ManifestCall call);

  void done(const ManifestTask& task, const EtlOutcome& outcome);
  void failed(const ManifestTask& task, std::string_view message);
  /// With `durable`, it is on the disk when this returns.
  void close(bool durable);

  /// For temporary files: the same for every call that goes on with the manifest at `path`, which exists, on whatever
  /// machine; on a file system of one machine, on that one.
  [[nodiscard]] Owner owner() const;

 private:
  [[nodiscard]] std::string head(const ManifestTask& task, double sigma, double snr_db_achieved) const;
  void write_line(const std::string& text);

  std::string path_;
  ManifestCall call_;
  UniqueFd fd_;
};

}  // namespace noisefloor
