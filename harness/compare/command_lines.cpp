// Launches two command lines.
// SPDX-License-Identifier: MIT
#include "harness/compare/command_lines.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <limits>
#include <memory>
#include <string_view>
#include <utility>

#include "harness/base/error.hpp"

namespace noisefloor::compare {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

std::uint64_t digest_of(int fd) {
  const std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)> state(XXH3_createState(), XXH3_freeState);
  XXH3_64bits_reset(state.get());
  std::array<char, 65536> buffer;
  if (::lseek(fd, 0, SEEK_SET) < 0) throw system_error("cannot read what a command printed", errno);
  for (;;) {
    const ssize_t got = ::read(fd, buffer.data(), buffer.size());
    if (got == 0) return XXH3_64bits_digest(state.get());
    if (got < 0) throw system_error("cannot read what a command printed", errno);
    XXH3_64bits_update(state.get(), buffer.data(), static_cast<std::size_t>(got));
  }
}

bool is_program(const std::string& path) {
  struct stat status = {};
  return ::stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode) && ::access(path.c_str(), X_OK) == 0;
}

}  // namespace

std::vector<std::string> words_of_command(const std::string& command) {
  std::vector<std::string> words;
  std::string word;
  bool in_word = false;
  char quote = 0;
  for (std::size_t i = 0; i < command.size(); ++i) {
    const char c = command[i];
    const bool escapes = c == '\\' && quote != '\'' && i + 1 < command.size() &&
                         (quote == 0 || std::string_view("\\\"$`").find(command[i + 1]) != std::string_view::npos);
    if (escapes) {
      word += command[++i];
      in_word = true;
    } else if (quote != 0) {
      if (c == quote) {
        quote = 0;
      } else {
        word += c;
      }
    } else if (c == '\'' || c == '"') {
      quote = c;
      in_word = true;
    } else if (c == ' ' || c == '\t' || c == '\n') {
      if (in_word) words.push_back(std::exchange(word, {}));
      in_word = false;
    } else if (std::string_view("|&;<>()$`*?[~#").find(c) != std::string_view::npos && !(c == '~' && in_word) &&
               !(c == '#' && in_word)) {
      throw UsageError(fmt::format("'{}' in the command '{}' means something to a shell only: add --shell, or quote it",
                                   c, command));
    } else {
      word += c;
      in_word = true;
    }
  }
  if (quote != 0) throw UsageError(fmt::format("a quote is not closed in the command '{}'", command));
  if (in_word) words.push_back(word);
  if (words.empty()) throw UsageError("a command is empty");
  return words;
}

std::string find_program(const std::string& name) {
  if (name.find('/') != std::string::npos) {
    if (!is_program(name)) {
      throw UsageError(fmt::format(
          "{}: {}", name,
          std::filesystem::exists(name) ? "is no program that can be executed" : "there is no such program"));
    }
    return name;
  }
  const char* path = std::getenv("PATH");
  std::string_view rest = path != nullptr ? path : "/usr/bin:/bin";
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find(':'), rest.size());
    const std::string folder(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
    std::string candidate = (folder.empty() ? std::string(".") : folder) + "/" + name;
    if (is_program(candidate)) return candidate;
  }
  throw UsageError(fmt::format("{}: there is no such program in PATH", name));
}

CommandLines::CommandLines(CommandOptions options, ChildRunner& children)
    : options_(std::move(options)), children_(children) {
  for (std::size_t arm = 0; arm < 2; ++arm) words_[arm] = words(options_.commands[arm]);
  if (!options_.prepare.empty()) prepare_ = words(options_.prepare);
  if (words_[0] == words_[1]) notes_.emplace_back("old and new are one command: what differs is the machine");
  const std::string folder = std::filesystem::temp_directory_path().string();
  output_.reset(options_.same_output ? ::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600)
                                     : ::open("/dev/null", O_WRONLY | O_CLOEXEC));
  if (!output_) throw system_error(fmt::format("cannot make a file for outputs in {}: set TMPDIR", folder), errno);
  const std::string& name = options_.commands[1];
  cases_.push_back({name, true, true});
}

std::vector<std::string> CommandLines::words(const std::string& command) const {
  if (options_.shell) return {"/bin/sh", "-c", command};
  std::vector<std::string> words = words_of_command(command);
  words[0] = find_program(words[0]);
  return words;
}

const std::vector<std::string>& CommandLines::measures() const {
  static const std::vector<std::string> kMeasures = {"wall time", "CPU time"};
  return kMeasures;
}

Reading CommandLines::launch(std::size_t /*number*/, Arm arm, std::size_t padding_bytes) {
  const auto request = [&](const std::vector<std::string>& words, std::size_t padding) {
    return ChildRequest{.program = words[0],
                        .arguments = {words.begin() + 1, words.end()},
                        .padding_bytes = padding,
                        .deadline = options_.timeout,
                        .output = output_.get()};
  };
  Reading reading;
  if (!prepare_.empty()) {
    const ChildOutcome prepared = children_.run(request(prepare_, 0));
    reading.duration += prepared.duration;
    reading.end = prepared.end == ChildEnd::interrupted ? End::interrupted : End::failed;
    if (reading.end == End::interrupted) return reading;
    if (!prepared.message.empty()) throw Error("--prepare failed: " + prepared.message);
  }
  if (options_.same_output && (::lseek(output_.get(), 0, SEEK_SET) < 0 || ::ftruncate(output_.get(), 0) != 0)) {
    throw system_error("cannot empty the file for outputs", errno);
  }
  const ChildOutcome child = children_.run(request(words_[arm == Arm::head ? 1 : 0], padding_bytes));
  reading.duration += child.duration;
  reading.message = child.message;
  if (child.end == ChildEnd::interrupted) {
    reading.end = End::interrupted;
  } else if (child.message.empty()) {
    reading.end = End::ok;
    const auto wall = static_cast<double>(child.wall.count());
    const auto cpu = static_cast<double>(child.cpu.count());
    reading.values = {wall, cpu > 0 ? cpu : kNan};
    reading.cpu_share = cpu / wall;
    if (options_.same_output) reading.output = digest_of(output_.get());
  }
  return reading;
}

}  // namespace noisefloor::compare
