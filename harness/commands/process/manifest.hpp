// The manifest of `process`: one JSON line per output, valid whenever the call ends.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <utility>

#include "harness/base/unique_fd.hpp"
#include "harness/workloads/etl.hpp"

namespace noisefloor {

/// `text` as a JSON string with its quotes. Bytes that are not UTF-8 become \udcXX each, as Python's
/// surrogateescape has them, so that every file name survives.
[[nodiscard]] std::string json_string(std::string_view text);

/// The outputs that a manifest tells as done: 16 bytes each, a hash of 128 bits in the place of the name.
class OutputsDone {
 public:
  /// `name` as json_string() has it.
  void add(std::string_view name);
  /// To be called between the last add() and the first contains().
  void sort();
  [[nodiscard]] bool contains(std::string_view name) const;

 private:
  using Hash = std::pair<std::uint64_t, std::uint64_t>;
  [[nodiscard]] static Hash hash_of(std::string_view name) noexcept;
  std::deque<Hash> hashes_;
};

/// What a line says of the noise that was asked for.
struct ManifestTask {
  std::string_view input, output;
  std::uint64_t seed = 0, stream = 0;
  double sigma = 0;             ///< asked for; NaN where the file's level decides
  double snr_db_requested = 0;  ///< NaN where none was asked for
};

/// Appends lines to a file, each by one write(2), so that none is torn unless the system dies in the middle of it.
/// For one thread at a time. Its functions throw Error if the file cannot be written; a line that did not fit is
/// taken back first.
class Manifest {
 public:
  enum class Open : std::uint8_t { fresh, append };

  /// A manifest that is not asked for: writes nothing.
  Manifest() = default;
  /// Empties the file at `path`, or, to append, ends it behind its last complete line.
  Manifest(const std::string& path, Open how);

  void done(const ManifestTask& task, const EtlOutcome& outcome);
  void failed(const ManifestTask& task, std::string_view message);
  /// With `durable`, it is on the disk when this returns.
  void close(bool durable);

  /// What complete lines of the manifest at `path` tell as done; nothing if there is no such file. Throws Error if it
  /// cannot be read.
  [[nodiscard]] static OutputsDone outputs_done(const std::string& path);

 private:
  void write_line(const std::string& text);

  std::string path_;
  UniqueFd fd_;
};

}  // namespace noisefloor
