// The pitfall lab: one file per pitfall, and their table.
// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <string_view>

#include "harness/measure/pitfall.hpp"

namespace noisefloor {

/// In the order of help, documents and figures: the five of the talk first.
Pitfalls pitfalls() noexcept;

/// What benchmarks/pitfalls/<pitfall>.cpp holds of `variant`: the lines between "// variant: <names>" and
/// "// end", where the names, separated by blanks, hold it. The text was taken when the program was built.
/// Empty if there are none.
std::string code_of(const Pitfall& pitfall, const Variant& variant);

// Defined in the file of their name.
extern const Pitfall kTinyTasks;
extern const Pitfall kFibonacci;

}  // namespace noisefloor
