// getrusage and /proc/self.
// SPDX-License-Identifier: MIT
#include "harness/base/usage.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <charconv>
#include <memory>

#include "harness/base/unique_fd.hpp"

namespace noisefloor {
namespace {

std::uint64_t ns_of(const timeval& time) {
  return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000U + static_cast<std::uint64_t>(time.tv_usec) * 1'000U;
}

/// Linux books what a running thread uses at ticks and switches only, so that getrusage lacks up to 4 ms of each thread
/// that runs at the moment: of OpenMP's, which spin while they wait. Who reads a thread's clock makes it book.
void book_running_threads() {
  struct Close {
    void operator()(DIR* folder) const { ::closedir(folder); }
  };
  const std::unique_ptr<DIR, Close> folder(::opendir("/proc/self/task"));
  if (!folder) return;
  while (const dirent* entry = ::readdir(folder.get())) {
    const std::string_view name(entry->d_name);
    std::uint32_t thread = 0;
    if (std::from_chars(name.data(), name.data() + name.size(), thread).ec != std::errc()) continue;  // . and ..
    timespec used{};
    ::clock_gettime(static_cast<clockid_t>(~thread << 3U | 6U), &used);  // as pthread_getcpuclockid() names it
  }
}

}  // namespace

std::string read_proc(const char* path) {
  const UniqueFd fd(::open(path, O_RDONLY | O_CLOEXEC));
  if (!fd) return {};
  std::string text(8192, '\0');
  const ssize_t got = ::read(fd.get(), text.data(), text.size());
  text.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  return text;
}

std::optional<std::uint64_t> number_after(std::string_view text, std::string_view label, int number) {
  const std::size_t at = text.find(label);
  if (at == std::string_view::npos) return std::nullopt;
  text.remove_prefix(at + label.size());
  std::uint64_t value = 0;
  for (int i = 0; i <= number; ++i) {
    const std::size_t digit = text.find_first_of("0123456789");
    if (digit == std::string_view::npos) return std::nullopt;
    text.remove_prefix(digit);
    const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
    text.remove_prefix(static_cast<std::size_t>(result.ptr - text.data()));
  }
  return value;
}

Usage& Usage::operator+=(const Usage& other) noexcept {
  user_cpu_ns += other.user_cpu_ns;
  system_cpu_ns += other.system_cpu_ns;
  minor_faults += other.minor_faults;
  major_faults += other.major_faults;
  voluntary_switches += other.voluntary_switches;
  involuntary_switches += other.involuntary_switches;
  return *this;
}

Usage operator-(const Usage& after, const Usage& before) noexcept {
  return {after.user_cpu_ns - before.user_cpu_ns,
          after.system_cpu_ns - before.system_cpu_ns,
          after.minor_faults - before.minor_faults,
          after.major_faults - before.major_faults,
          after.voluntary_switches - before.voluntary_switches,
          after.involuntary_switches - before.involuntary_switches};
}

Usage process_usage() {
  book_running_threads();
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return {ns_of(usage.ru_utime),
          ns_of(usage.ru_stime),
          static_cast<std::uint64_t>(usage.ru_minflt),
          static_cast<std::uint64_t>(usage.ru_majflt),
          static_cast<std::uint64_t>(usage.ru_nvcsw),
          static_cast<std::uint64_t>(usage.ru_nivcsw)};
}

bool reset_peak_rss() {
  const UniqueFd fd(::open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC));
  return fd && ::write(fd.get(), "5", 1) == 1;
}

std::optional<std::uint64_t> peak_rss_bytes() {
  const auto kib = number_after(read_proc("/proc/self/status"), "VmHWM:", 0);
  if (!kib) return std::nullopt;
  return *kib * 1024U;
}

}  // namespace noisefloor
