// What a session says: on a terminal, to people who review a change, and to programs.
// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <vector>

#include "harness/base/error.hpp"
#include "harness/compare/session.hpp"

namespace noisefloor::compare {

/// What a report needs beside the session.
struct Told {
  std::vector<std::string> measures;  ///< names, by Result::measure
  Options options;
  std::string base, head;  ///< what was compared, as it was given
};

/// A table, remarks and the headline, for 100 columns.
std::string as_table(const Session& session, const Told& told);
std::string as_markdown(const Session& session, const Told& told);
/// All that was decided, and from which rounds.
std::string as_json(const Session& session, const Told& told);
/// JUnit's XML: a case is a test; REGRESSED and FAILED are failures, what was not decided is skipped.
std::string as_junit(const Session& session, const Told& told);
/// Workflow commands of GitHub (::error …), one a line.
std::string as_annotations(const Session& session, const Told& told);
/// Every launch, one a line: CSV.
std::string as_csv(const Session& session, const Told& told);
/// The changes with their intervals: an SVG.
std::string as_figure(const Session& session, const Told& told);

/// 130 interrupted; 1 FAILED or REGRESSED; 2 nothing was compared; 4 INCONCLUSIVE, if `strict`; else 0.
ExitStatus status_of(const Session& session, bool strict);

}  // namespace noisefloor::compare
