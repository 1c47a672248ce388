// Makes run folders.
// SPDX-License-Identifier: MIT
#include "harness/sweep/run_folder.hpp"

#include <fcntl.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <system_error>

#include "harness/base/error.hpp"
#include "harness/base/unique_fd.hpp"
#include "harness/sweep/sweep_file.hpp"

namespace noisefloor {

namespace fs = std::filesystem;

std::string run_name(std::chrono::system_clock::time_point now, std::string_view git_sha, std::string_view machine_id) {
  return fmt::format("{:%Y%m%dT%H%M%SZ}-{}-{}", fmt::gmtime(std::chrono::system_clock::to_time_t(now)),
                     git_sha.substr(0, 8), machine_id.substr(0, 8));
}

std::string default_parent(const std::string& folder) {
  const std::string top = source_tree(folder);
  return top.empty() ? folder : top + "/results/runs";
}

std::string make_run_folder(const std::string& parent, const std::string& name) {
  std::error_code error;
  const fs::path base = fs::absolute(parent, error).lexically_normal();
  if (error) throw Error(fmt::format("cannot find {}: {}", parent, error.message()));
  fs::create_directories(base, error);
  if (error)
    throw Error(fmt::format("cannot make the folder {}: {}; --out takes another one", base.string(), error.message()));
  for (int copy = 1;; ++copy) {
    std::string path = (base / (copy == 1 ? name : fmt::format("{}-{}", name, copy))).string();
    if (::mkdir(path.c_str(), 0777) == 0) return path;
    if (errno != EEXIST) {
      throw system_error(fmt::format("cannot make the folder {}; --out takes another parent folder", path), errno);
    }
  }
}

std::string copy_program(const std::string& program, const std::string& folder) {
  std::error_code error;
  const fs::path source = fs::canonical(program, error);
  if (error) throw Error(fmt::format("cannot find the program {}: {}", program, error.message()));
  fs::create_directories(folder, error);
  if (error) throw Error(fmt::format("cannot make the folder {}: {}", folder, error.message()));
  const auto copy = [&](const fs::path& from, const std::string& name) {
    std::string to = folder + '/' + name;
    fs::copy_file(from, to, fs::copy_options::overwrite_existing, error);
    if (error) throw Error(fmt::format("cannot copy {} to {}: {}", from.string(), to, error.message()));
    return to;
  };
  const std::string name = source.filename().string();
  for (fs::directory_iterator it(source.parent_path(), error), end; !error && it != end; it.increment(error)) {
    const std::string other = it->path().filename().string();
    std::error_code ignored;
    if (other.starts_with(name + '-') && it->is_regular_file(ignored) && ::access(it->path().c_str(), X_OK) == 0) {
      copy(it->path(), "noisefloor" + other.substr(name.size()));
    }
  }
  return copy(source, "noisefloor");
}

void point_latest_to(const std::string& run_folder) {
  const fs::path run(run_folder);
  const fs::path runs = run.parent_path();
  if (runs.filename() != "runs" || runs.parent_path().filename() != "results") return;
  const fs::path latest = runs.parent_path() / "latest";
  const fs::path temporary = runs.parent_path() / fmt::format(".latest.{}", ::getpid());
  ::unlink(temporary.c_str());
  if (::symlink(("runs" / run.filename()).c_str(), temporary.c_str()) != 0) {
    throw system_error(fmt::format("cannot make the link {}", temporary.string()), errno);
  }
  if (::rename(temporary.c_str(), latest.c_str()) != 0) {
    const int error = errno;
    ::unlink(temporary.c_str());
    throw system_error(fmt::format("cannot replace the link {}", latest.string()), error);
  }
}

void replace_file(const std::string& path, std::string_view text) {
  const std::string temporary = fmt::format("{}.{}.tmp", path, ::getpid());
  int error = 0;
  {
    UniqueFd file(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
    if (!file) throw system_error(fmt::format("cannot create {}", temporary), errno);
    for (std::string_view left = text; !left.empty() && error == 0;) {
      const ssize_t written = ::write(file.get(), left.data(), left.size());
      if (written >= 0) {
        left.remove_prefix(static_cast<std::size_t>(written));
      } else if (errno != EINTR) {
        error = errno;
      }
    }
    if (::close(file.release()) != 0 && error == 0) error = errno;
  }
  if (error == 0 && ::rename(temporary.c_str(), path.c_str()) != 0) error = errno;
  if (error != 0) {
    ::unlink(temporary.c_str());
    throw system_error(fmt::format("cannot write {}", path), error);
  }
}

}  // namespace noisefloor
