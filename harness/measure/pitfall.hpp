// A pitfall: a way to lose, beside its cure, as variants that a launch can measure.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "harness/measure/cell.hpp"
#include "harness/measure/subject.hpp"

namespace noisefloor {

/// What a pitfall does to those who fall into it.
enum class Harm : std::uint8_t { slow, memory, wrong, hang };
[[nodiscard]] std::string_view name_of(Harm harm) noexcept;

enum class Role : std::uint8_t {
  bad,        ///< the pitfall
  good,       ///< the cure; the first one is what others are compared with, and its answer is the right one
  reference,  ///< what is needed to judge the other two
};
[[nodiscard]] std::string_view name_of(Role role) noexcept;

/// What a variant did that no clock shows. Variants count for themselves; tests compare.
struct Counts {
  std::uint64_t processes = 0;    ///< started
  std::uint64_t threads = 0;      ///< started
  std::uint64_t messages = 0;     ///< sent to other processes and received from them
  std::uint64_t bytes = 0;        ///< in these messages
  std::uint64_t allocations = 0;  ///< of buffers
  std::uint64_t held = 0;         ///< most results held at a time
};

/// What a variant works with, and where it reports what the clock does not see. Used by the thread that
/// runs the variant; `count` is not for its workers.
struct Bench {
  int workers = 1;     ///< CPUs to use
  std::string folder;  ///< empty, of its own, removed afterwards; only where the pitfall uses files
  Counts count;
  std::uint64_t first_result_ns = 0;     ///< from the start of the iteration to its first result; 0: not told
  std::uint64_t iteration_start_ns = 0;  ///< on the steady clock

  /// The first result of this iteration is there: later calls change nothing.
  void first_result() noexcept;
};

/// The answer of one iteration: a digest of all that was computed, equal for all variants.
using Answer = std::uint64_t;

struct Variant {
  std::string_view name;
  Role role;
  std::string_view help;              ///< what it does, in some words
  Answer (*run)(Bench&);              ///< one iteration; all of it is inside the clock
  void (*prepare)(Bench&) = nullptr;  ///< once per process, before the clock: inputs, memory that is held
  std::string_view environment = {};  ///< "NAME=value" that the process must be started with; blanks between several
  std::uint32_t iterations = 0;       ///< per repetition; 0: calibrated. 1 for what takes 100 ms and more, and for
                                      ///< what may be done only once in a process
  int repetitions = 0;                ///< timed, per launch; 0: as the sweep says. 1 with iterations = 1
  int warmups = -1;                   ///< untimed, per launch; -1: as the sweep says
  bool hangs = false;                 ///< is expected to overrun kHangSeconds, and is run once only
};

/// The deadline of a variant that is expected to hang.
inline constexpr int kHangSeconds = 2;

struct Pitfall {
  std::string_view name = {};
  std::string_view title = {};
  std::string_view lesson = {};  ///< one sentence
  Harm harm = Harm::slow;
  std::string_view measure = "wall_ns";  ///< the column that shows the harm, bad over good
  double least = 0, most = 0;            ///< what others saw as that ratio; 0, 0: nothing was found
  std::string_view source = {};          ///< who saw it, and where
  std::string_view advice = {};          ///< what to do instead
  std::span<const Variant> variants = {};
  /// Why it cannot be shown with so many workers here; empty if it can. Null: it always can.
  std::string (*refuse)(int workers) = nullptr;
  bool uses_files = false;
  /// The reference that the bad variant beats, which is what makes people fall into it; may be empty.
  std::string_view tempting = {};
};

/// The pitfalls that a program knows, in the order of help, documents and figures.
using Pitfalls = std::span<const Pitfall* const>;

/// Throws UsageError for an unknown name (the nearest is suggested), and where there are none at all.
const Pitfall& select_pitfall(Pitfalls pitfalls, std::string_view name);
const Variant& select_variant(const Pitfall& pitfall, std::string_view name);
/// The first variant with this role. Throws Error if there is none.
const Variant& first_variant(const Pitfall& pitfall, Role role);
/// Why the pitfall cannot be shown here; empty if it can.
std::string refuse(const Pitfall& pitfall, int workers);

/// The cells that `cell` stands for: "all" as pitfall or an empty variant mean each of them. A cell without a
/// pitfall stands for itself. Throws UsageError for unknown names, and for a variant without a pitfall.
std::vector<Cell> expand_pitfalls(Pitfalls pitfalls, const Cell& cell);

/// The cell whose answer is the right one for `cell`.
Cell oracle_of(const Pitfall& pitfall, const Cell& cell);

/// The variables of variant.environment that this process was not started with.
std::vector<std::string> missing_environment(const Variant& variant);

/// The variant, ready to be measured. Keeps references.
std::unique_ptr<Subject> make_subject(const Pitfall& pitfall, const Variant& variant, int workers);

/// What one iteration of a variant came to.
struct Outcome {
  Answer answer = 0;
  Counts count;
};

/// One iteration in a process of its own: nothing that the variant does is left in this one. Throws Error if
/// it does not finish. The calling process should have no threads yet.
Outcome run_apart(const Pitfall& pitfall, const Variant& variant, int workers);

}  // namespace noisefloor
