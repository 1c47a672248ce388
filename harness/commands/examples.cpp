// Finds examples beside the program.
// SPDX-License-Identifier: MIT
#include "harness/commands/examples.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>

#include "harness/base/error.hpp"
#include "harness/sweep/sweep_file.hpp"

namespace noisefloor {

namespace fs = std::filesystem;

std::string example_path(const std::string& name) {
  std::error_code error;
  if (const std::string top = source_tree(); !top.empty() && fs::exists(top + "/" + name, error)) {
    return top + "/" + name;
  }
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  const fs::path prefix = program.parent_path().parent_path();
  const fs::path installed = name.starts_with("include/") ? prefix / name : prefix / "share/noisefloor" / name;
  if (!error && fs::exists(installed, error)) return installed.string();
  throw MissingError(
      fmt::format("{} is not there: it is installed beside the program ('make install')", installed.string()));
}

std::string example_text(const std::string& name) {
  const std::string path = example_path(name);
  std::ifstream file(path, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  if (!file) throw system_error("cannot read " + path, errno);
  return text;
}

}  // namespace noisefloor
