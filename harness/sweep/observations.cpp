// Appends whole lines to observations.csv and takes torn ones back.
// SPDX-License-Identifier: MIT
#include "harness/sweep/observations.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>

#include "harness/base/error.hpp"

namespace noisefloor {

ObservationFile::ObservationFile(const std::string& path)
    : path_(path), file_(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0666)) {
  if (!file_) throw system_error(fmt::format("cannot create {}", path_), errno);
  write_all(csv_header() + '\n');
}

void ObservationFile::append(std::span<const Row> rows) {
  std::string text;
  for (const Row& row : rows) text += csv_line(row) + '\n';
  write_all(text);
}

void ObservationFile::write_all(const std::string& text) {
  for (std::size_t done = 0; done < text.size();) {
    const ssize_t written = ::write(file_.get(), text.data() + done, text.size() - done);
    if (written >= 0) {
      done += static_cast<std::size_t>(written);
    } else if (errno != EINTR) {
      const int error = errno;
      if (::ftruncate(file_.get(), size_) != 0) {
        throw system_error(fmt::format("cannot write {}, and its last line stays torn", path_), error);
      }
      throw system_error(fmt::format("cannot write {}; the rows before are whole", path_), error);
    }
  }
  size_ += static_cast<std::int64_t>(text.size());
}

}  // namespace noisefloor
