// observations.csv: rows appended as they come, each whole or not at all, and read back to go on.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "harness/base/unique_fd.hpp"
#include "harness/measure/columns.hpp"

namespace noisefloor {

/// What the rows of one launch say, or the one row that stands for a cell that was not launched.
struct KeptLaunch {
  std::string cell_id, arm;
  int round = 0;
  std::uint64_t order = 0;
  std::size_t rows = 0, ok = 0;
  std::string status;           ///< the worst: wrong_output, timeout, skipped, failed, ok
  int attempt = 0;              ///< in its round: 0, or later where it was measured again
  std::uint64_t wall_ns = 0;    ///< of its timed part, the sum over repetitions, as the next three are
  std::uint64_t stolen_ns = 0;  ///< that the hypervisor took
  std::optional<std::uint64_t> disturbed_ns = {};  ///< empty: not told
  std::optional<std::uint64_t> others_ns = {};     ///< CPU time of others; empty: not told

  /// disturbed_ns as a share of wall_ns.
  [[nodiscard]] std::optional<double> disturbed() const {
    if (!disturbed_ns || wall_ns == 0) return std::nullopt;
    return static_cast<double>(*disturbed_ns) / static_cast<double>(wall_ns);
  }
};

/// Throws Error where the rows are not those of one launch of a run. `rows` is not empty.
KeptLaunch kept_launch(std::span<const Row> rows);

/// Where the engine puts its rows.
class RowSink {
 public:
  RowSink() = default;
  RowSink(const RowSink&) = delete;
  RowSink& operator=(const RowSink&) = delete;
  virtual ~RowSink() = default;
  /// Throws Error if the rows cannot be kept.
  virtual void append(std::span<const Row> rows) = 0;
};

/// A CSV file, header first. After append() the rows are with the kernel: a killed run loses none of
/// them. No fsync: a crash of the machine may. While it is open nobody else can open it as one.
class ObservationFile : public RowSink {
  struct Opened {};  ///< whoever has one may use the constructor for files that are open

 public:
  /// Throws Error if the file exists or cannot be written.
  explicit ObservationFile(const std::string& path);
  ObservationFile(Opened /*key*/, std::string path, UniqueFd file) : path_(std::move(path)), file_(std::move(file)) {}

  struct TakenUp {
    std::unique_ptr<ObservationFile> file;
    std::vector<KeptLaunch> launches;  ///< whole ones, as they came
    std::size_t removed_bytes = 0;     ///< what stood behind them: part of a launch
  };
  /// Opens a file that a run left behind, to append to it. A run that was killed may have written part of its
  /// last launch: those rows are removed; `is_whole` tells of a launch whether none of its rows is missing. Throws
  /// UsageError where it is no such file: other columns, lines that cannot be read or launches that lack rows
  /// before the last one; or where another run has it open. Error where it cannot be read or written.
  static TakenUp take_up(const std::string& path, const std::function<bool(std::span<const Row>)>& is_whole);

  /// The rows of one launch: all of them or, where the disk is full, none.
  void append(std::span<const Row> rows) override;

 private:
  void lock() const;
  void write_all(const std::string& text);

  std::string path_;
  UniqueFd file_;
  std::int64_t size_ = 0;  ///< of what is whole
};

}  // namespace noisefloor
