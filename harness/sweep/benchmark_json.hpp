// benchmark.json: a run's observations in the shape that Google Benchmark writes, for its compare.py.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>

namespace noisefloor {

/// Writes the rows of `arm` in the observations.csv at `csv_path` to `json_path`: one entry per observation, in
/// the order of measuring. An entry is called after its cell, its repetitions are numbered through over all
/// launches, and its times are in ns per iteration. A row that is not `ok` becomes an entry with error_occurred
/// and without times. Rows of skipped cells and of launches in `not_counted` are left out. `machine_json` (the text of
/// machine.json) fills the context. Returns the number of entries. Throws Error.
std::size_t write_benchmark_json(const std::string& csv_path, std::string_view arm, std::string_view machine_json,
                                 const std::string& json_path, const std::set<std::uint64_t>& not_counted = {});

}  // namespace noisefloor
