// Appends whole lines to observations.csv, takes torn ones back, and reads the file again.
// SPDX-License-Identifier: MIT
#include "harness/sweep/observations.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <string_view>
#include <utility>

#include "harness/base/error.hpp"

namespace noisefloor {
namespace {

template <class T>
T whole_number(const Row& row, std::string_view column) {
  const std::string& text = row[column];
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) {
    throw Error(fmt::format("column {}: '{}' is no whole number", column, text));
  }
  return value;
}

/// The sum over rows; empty where a row does not tell.
std::optional<std::uint64_t> sum_of(std::span<const Row> rows, std::string_view column) {
  std::uint64_t sum = 0;
  for (const Row& row : rows) {
    if (row[column].empty()) return std::nullopt;
    sum += whole_number<std::uint64_t>(row, column);
  }
  return sum;
}

std::string read_all(int fd, const std::string& path) {
  std::string text;
  std::vector<char> buffer(std::size_t{1} << 20U);
  for (;;) {
    const ssize_t got = ::pread(fd, buffer.data(), buffer.size(), static_cast<off_t>(text.size()));
    if (got > 0) {
      text.append(buffer.data(), static_cast<std::size_t>(got));
    } else if (got == 0) {
      return text;
    } else if (errno != EINTR) {
      throw system_error(fmt::format("cannot read {}", path), errno);
    }
  }
}

/// The order of badness: a launch is what its worst row is.
constexpr std::string_view kWorstFirst[] = {"wrong_output", "timeout", "skipped", "failed", "ok"};

}  // namespace

KeptLaunch kept_launch(std::span<const Row> rows) {
  KeptLaunch launch;
  const Row& first = rows.front();
  launch.cell_id = first["cell_id"];
  launch.arm = first["arm"];
  launch.round = whole_number<int>(first, "round");
  launch.order = whole_number<std::uint64_t>(first, "order");
  launch.attempt = first["attempt"].empty() ? 0 : whole_number<int>(first, "attempt");
  launch.rows = rows.size();
  std::size_t worst = std::size(kWorstFirst) - 1;
  for (const Row& row : rows) {
    const auto* const place = std::find(std::begin(kWorstFirst), std::end(kWorstFirst), row["status"]);
    if (place == std::end(kWorstFirst)) throw Error(fmt::format("column status: '{}' is no status", row["status"]));
    if (row["cell_id"] != launch.cell_id || row["arm"] != launch.arm || row["order"] != first["order"]) {
      throw Error("rows of one launch differ in cell_id, arm or order");
    }
    worst = std::min(worst, static_cast<std::size_t>(place - std::begin(kWorstFirst)));
    launch.ok += row["status"] == "ok" ? 1U : 0U;
  }
  launch.status = kWorstFirst[worst];
  launch.wall_ns = sum_of(rows, "wall_ns").value_or(0);
  static const auto kTickNs = static_cast<std::uint64_t>(1'000'000'000 / ::sysconf(_SC_CLK_TCK));
  launch.stolen_ns = sum_of(rows, "steal_ticks").value_or(0) * kTickNs;
  launch.disturbed_ns = sum_of(rows, "disturbed_ns");
  launch.others_ns = sum_of(rows, "others_cpu_ns");
  return launch;
}

ObservationFile::ObservationFile(const std::string& path)
    : path_(path), file_(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0666)) {
  if (!file_) throw system_error(fmt::format("cannot create {}", path_), errno);
  lock();
  write_all(csv_header() + '\n');
}

void ObservationFile::lock() const {
  if (::flock(file_.get(), LOCK_EX | LOCK_NB) == 0) return;
  if (errno == EWOULDBLOCK) throw UsageError(fmt::format("{} is being written by a run that goes on", path_));
  // File systems that have no locks: nobody is kept out.
}

ObservationFile::TakenUp ObservationFile::take_up(const std::string& path,
                                                  const std::function<bool(std::span<const Row>)>& is_whole) {
  TakenUp result;
  UniqueFd fd(::open(path.c_str(), O_RDWR | O_APPEND | O_CLOEXEC));
  if (!fd) throw system_error(fmt::format("cannot open {}", path), errno);
  result.file = std::make_unique<ObservationFile>(Opened{}, path, std::move(fd));
  ObservationFile& file = *result.file;
  file.lock();
  const std::string text = read_all(file.file_.get(), path);
  const std::string header_line = csv_header() + '\n';
  if (text.size() < header_line.size() && header_line.starts_with(text)) {  // killed before the first row
    if (::ftruncate(file.file_.get(), 0) != 0) throw system_error(fmt::format("cannot mend {}", path), errno);
    result.removed_bytes = text.size();
    file.write_all(header_line);
    return result;
  }
  if (!text.starts_with(header_line)) {
    throw UsageError(fmt::format("{}:1: other columns than this program's: it was written by another version", path));
  }
  const std::vector<std::string> header = csv_split(csv_header());
  std::vector<Row> launch;
  std::size_t launch_start = header_line.size();
  std::size_t line_number = 1, launch_line = 2;
  const auto damaged = [&](std::size_t line, const Error& error) {
    return UsageError(
        fmt::format("{}:{}: {}; nothing was changed: correct the line or start a new run", path, line, error.what()));
  };
  const auto close_launch = [&] {
    if (launch.empty()) return;
    try {
      if (!is_whole(launch)) {
        throw Error(fmt::format("launch {} begins here and has {} rows, where it made another number",
                                launch.front()["launch"], launch.size()));
      }
      result.launches.push_back(kept_launch(launch));
    } catch (const Error& error) {
      throw damaged(launch_line, error);
    }
    launch.clear();
  };
  for (std::size_t from = header_line.size(); from < text.size();) {
    const std::size_t end = text.find('\n', from);
    ++line_number;
    if (end == std::string::npos) break;
    Row row;
    try {
      row = csv_row(header, std::string_view(text).substr(from, end - from));
      static_cast<void>(kept_launch(std::span(&row, 1)));
    } catch (const Error& error) {
      throw damaged(line_number, error);
    }
    if (!launch.empty() && launch.front()["launch"] != row["launch"]) {
      close_launch();
      launch_start = from;
      launch_line = line_number;
    }
    launch.push_back(std::move(row));
    from = end + 1;
  }
  std::size_t whole_size = text.size();
  if (!launch.empty() && is_whole(launch)) {
    close_launch();
    whole_size = text.rfind('\n') + 1;
  } else {
    whole_size = launch_start;
  }
  result.removed_bytes = text.size() - whole_size;
  file.size_ = static_cast<std::int64_t>(whole_size);
  if (result.removed_bytes != 0 && ::ftruncate(file.file_.get(), file.size_) != 0) {
    throw system_error(fmt::format("cannot mend {}", path), errno);
  }
  return result;
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
