// observations.csv: rows appended as they come, each whole or not at all.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "harness/base/unique_fd.hpp"
#include "harness/measure/columns.hpp"

namespace noisefloor {

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
/// them. No fsync: a crash of the machine may.
class ObservationFile : public RowSink {
 public:
  /// Throws Error if the file exists or cannot be written.
  explicit ObservationFile(const std::string& path);

  /// The rows of one launch: all of them or, where the disk is full, none.
  void append(std::span<const Row> rows) override;

 private:
  void write_all(const std::string& text);

  std::string path_;
  UniqueFd file_;
  std::int64_t size_ = 0;  ///< of what is whole
};

}  // namespace noisefloor
