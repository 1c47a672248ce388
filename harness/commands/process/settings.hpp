// What made the outputs of a folder: noted in OUT before they are written, and asked before one counts as done.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "harness/commands/process/shard.hpp"

namespace noisefloor {

/// All that an output's bytes depend on beside its input and relative path, in the order of their importance. Numbers
/// and words.
using Settings = nlohmann::ordered_json;

/// "seed 1 instead of 9, snr_db [0,20] instead of [30,40]": empty if they agree.
[[nodiscard]] std::string difference(const Settings& theirs, const Settings& ours);

/// A number for an output: what is held of its name.
using OutputId = std::uint64_t;
[[nodiscard]] OutputId output_id(const std::string& relative_path);

/// The notes in OUT/.noisefloor. Every call adds an entry to its machine's own file there,
/// `settings.<host>.<boot>.jsonl`, in one write while that is locked, so that no two machines ever write one file. An
/// entry has the settings and the ids of the outputs that the call is about to write: in the entry if they are few,
/// else in a file of 8 bytes each beside it. A call that has ended adds which of them it did not make. For one thread.
class SettingsRecord {
 public:
  /// Nothing is read or written yet.
  explicit SettingsRecord(const std::string& out);

  /// Reads what all machines noted. An entry that a machine did not come to complete is passed over: its call wrote
  /// nothing. Throws Error if something cannot be read.
  void read(const Settings& ours);
  /// Whether some outputs may be made with other settings; read() comes first.
  [[nodiscard]] bool has_others() const noexcept { return !others_.empty(); }
  struct Answer {
    enum class Maker : std::uint8_t {
      ours,    ///< these settings, or what left no note
      others,  ///< other settings
      unsure,  ///< calls with both that were killed: only making it again tells
    };
    Maker maker = Maker::ours;
    std::string_view difference = {};  ///< of the others; lives as long as the record
  };
  /// What made an output that is there.
  [[nodiscard]] Answer maker_of(OutputId output) const;
  /// Where the job array began that `count` shards were numbered by, if one was noted. Reads.
  [[nodiscard]] std::optional<std::int64_t> first_of_array(std::uint32_t count) const;

  /// Notes a call that is about to write `outputs`. Throws Error.
  void begin(const Settings& settings, std::uint32_t copies, const Shard& shard, std::vector<OutputId> outputs,
             bool durable);
  /// Notes that it made all of them but `not_made`.
  void end(const std::vector<OutputId>& not_made, bool durable);

 private:
  struct Call {
    std::string id;
    std::uint64_t at_ns = 0;                // since the epoch; of two calls one after the other, the second has more
    std::optional<std::size_t> difference;  // number in others_
    nlohmann::json entry;
    std::optional<std::vector<OutputId>> not_made;  // of one that ended, sorted
  };
  /// Whether a call made an output: certainly, or perhaps.
  struct Claim {
    OutputId output;
    std::uint32_t call;
  };

  [[nodiscard]] std::vector<nlohmann::json> entries() const;
  [[nodiscard]] std::vector<OutputId> outputs_of(const Call& call) const;
  void append(const nlohmann::json& entry, bool durable) const;

  std::string folder_, id_;
  std::vector<Call> calls_;          // newest first
  std::vector<Claim> claims_;        // sorted by output, then call
  std::vector<std::string> others_;  // differences
  std::uint64_t newest_ns_ = 0;
};

}  // namespace noisefloor
