// Folders, globs and lists become files; a command line becomes words.
// SPDX-License-Identifier: MIT
#include "harness/workloads/user_inputs.hpp"

#include <fmt/format.h>
#include <glob.h>
#include <xxhash.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <system_error>

#include "harness/base/error.hpp"
#include "harness/workloads/file_tasks.hpp"

namespace noisefloor {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void refuse(const std::string& entry, std::string_view why) {
  throw UsageError(fmt::format("inputs '{}': {}", entry, why));
}

void add_file(const fs::path& path, std::vector<std::string>& files) {
  files.push_back(fs::absolute(path).lexically_normal().string());
}

bool is_hidden(const fs::path& path) { return path.filename().string().starts_with('.'); }

void add_folder(const std::string& folder, std::vector<std::string>& files) {
  const std::size_t before = files.size();
  std::error_code error;
  fs::recursive_directory_iterator it(folder, error);
  for (const fs::recursive_directory_iterator end; !error && it != end; it.increment(error)) {
    if (is_hidden(it->path())) {
      if (it->is_directory()) it.disable_recursion_pending();
    } else if (it->is_regular_file()) {
      add_file(it->path(), files);
    }
  }
  if (error) refuse(folder, error.message());
  if (files.size() == before) refuse(folder, "there is no file in this folder: give another one");
}

void add_entry(const std::string& entry, std::vector<std::string>& files, bool listed);

void add_list(const std::string& entry, std::vector<std::string>& files) {
  const std::string path = entry.substr(1);
  std::ifstream list(path);
  if (!list) refuse(entry, std::strerror(errno));
  const std::size_t before = files.size();
  for (std::string line; std::getline(list, line);) {
    if (line.ends_with('\r')) line.pop_back();
    if (!line.empty()) add_entry(line, files, true);
  }
  if (list.bad()) refuse(entry, std::strerror(errno));
  if (files.size() == before) refuse(entry, "there is no name in this list: one on each line");
}

void add_glob(const std::string& entry, std::vector<std::string>& files) {
  glob_t found{};
  const int failed = ::glob(entry.c_str(), 0, nullptr, &found);
  const std::size_t before = files.size();
  for (std::size_t i = 0; failed == 0 && i < found.gl_pathc; ++i) {
    if (fs::is_regular_file(found.gl_pathv[i])) add_file(found.gl_pathv[i], files);
  }
  ::globfree(&found);
  if (failed == GLOB_NOSPACE) throw std::bad_alloc();
  if (files.size() == before) refuse(entry, "there is no such file, and as a pattern it matches none");
}

void add_entry(const std::string& entry, std::vector<std::string>& files, bool listed) {
  std::error_code ignored;
  if (fs::is_regular_file(entry, ignored)) {
    add_file(entry, files);
  } else if (fs::is_directory(entry, ignored)) {
    add_folder(entry, files);
  } else if (entry.starts_with('@') && !listed) {
    add_list(entry, files);
  } else {
    add_glob(entry, files);
  }
}

constexpr std::string_view kBlanks = " \t\n";
constexpr std::string_view kOfTheShell = "|&;<>()$`";
constexpr std::string_view kPlain =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./,:=+@%{}[]*?~!^#";

}  // namespace

std::vector<std::string> user_inputs(std::span<const std::string> entries) {
  if (entries.empty()) throw UsageError("inputs: none are given: name a folder, files, a glob, or @LIST");
  std::vector<std::string> files;
  for (const std::string& entry : entries) add_entry(entry, files, false);
  std::sort(files.begin(), files.end());
  files.erase(std::unique(files.begin(), files.end()), files.end());
  return files;
}

std::uint64_t digest_of_inputs(std::span<const std::string> paths) {
  std::uint64_t sum = 0;
  for (const std::string& path : paths) sum += digest_of_file(path, XXH3_64bits(path.data(), path.size()));
  return sum;
}

std::vector<std::string> split_words(std::string_view text) {
  std::vector<std::string> words;
  bool within = false;  // a word, which may be empty ('')
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (kBlanks.find(c) != std::string_view::npos) {
      within = false;
      continue;
    }
    if (!within) words.emplace_back();
    within = true;
    std::string& word = words.back();
    if (c == '\\') {
      if (++i == text.size()) throw UsageError(fmt::format("command '{}' ends in a backslash", text));
      word += text[i];
    } else if (c == '\'' || c == '"') {
      const std::size_t start = i;
      for (++i; i < text.size() && text[i] != c; ++i) {
        if (c == '"' && text[i] == '\\' && i + 1 < text.size()) ++i;
        word += text[i];
      }
      if (i >= text.size()) {
        throw UsageError(fmt::format("command '{}': the quote at character {} has no end", text, start + 1));
      }
    } else if (kOfTheShell.find(c) != std::string_view::npos) {
      throw UsageError(
          fmt::format("command '{}': '{}' means something to a shell only: quote it, or say --shell", text, c));
    } else {
      word += c;
    }
  }
  return words;
}

std::string join_words(std::span<const std::string> words) {
  std::string text;
  for (const std::string& word : words) {
    if (!text.empty()) text += ' ';
    if (!word.empty() && word.find_first_not_of(kPlain) == std::string::npos) {
      text += word;
      continue;
    }
    text += '\'';
    for (const char c : word) {
      if (c == '\'') {
        text += "'\\''";
      } else {
        text += c;
      }
    }
    text += '\'';
  }
  return text;
}

}  // namespace noisefloor
