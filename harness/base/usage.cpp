// getrusage, /proc/self and /proc/stat.
// SPDX-License-Identifier: MIT
#include "harness/base/usage.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <pthread.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <charconv>
#include <memory>
#include <vector>

#include "harness/base/unique_fd.hpp"

namespace noisefloor {
namespace {

std::uint64_t ns_of(const timeval& time) {
  return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000U + static_cast<std::uint64_t>(time.tv_usec) * 1'000U;
}

std::uint64_t ns_of(const timespec& time) {
  return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000U + static_cast<std::uint64_t>(time.tv_nsec);
}

/// 0 where the clock does not exist: the thread has ended.
std::uint64_t clock_ns(clockid_t clock) {
  timespec time{};
  return ::clock_gettime(clock, &time) == 0 ? ns_of(time) : 0;
}

/// Linux books what a running thread uses at ticks and switches only: getrusage lacks up to 4 ms of each thread that
/// runs at the moment, as OpenMP's do, which spin while they wait. Who reads a thread's clock makes it book.
std::uint64_t thread_cpu_ns(std::uint32_t thread) {
  return clock_ns(static_cast<clockid_t>(~thread << 3U | 6U));  // as pthread_getcpuclockid() names it
}

std::vector<std::uint32_t> threads() {
  struct Close {
    void operator()(DIR* folder) const { ::closedir(folder); }
  };
  std::vector<std::uint32_t> all;
  const std::unique_ptr<DIR, Close> folder(::opendir("/proc/self/task"));
  if (!folder) return all;
  while (const dirent* entry = ::readdir(folder.get())) {
    const std::string_view name(entry->d_name);
    std::uint32_t thread = 0;
    if (std::from_chars(name.data(), name.data() + name.size(), thread).ec == std::errc()) all.push_back(thread);
  }  // . and .. are left
  return all;
}

/// The second number of a file "CPU time, run delay, time slices" in ns; 0 where there is none.
std::uint64_t run_delay_in(const char* path) noexcept {
  const UniqueFd fd(::open(path, O_RDONLY | O_CLOEXEC));
  std::array<char, 80> text{};
  const ssize_t got = fd ? ::read(fd.get(), text.data(), text.size()) : 0;
  if (got <= 0) return 0;
  return number_after({text.data(), static_cast<std::size_t>(got)}, "", 1).value_or(0);
}

std::uint64_t run_delay_of_thread(std::uint32_t thread) {
  std::array<char, 48> path{};
  *fmt::format_to_n(path.data(), path.size() - 1, "/proc/self/task/{}/schedstat", thread).out = '\0';
  return run_delay_in(path.data());
}

/// Of threads that have ended: their run delay, and at most how much CPU time they used.
std::atomic<std::uint64_t> told_run_delay_ns{0}, told_cpu_ns{0};

}  // namespace

std::string read_proc(const char* path, std::size_t most_bytes) {
  const UniqueFd fd(::open(path, O_RDONLY | O_CLOEXEC));
  if (!fd) return {};
  std::string text(most_bytes, '\0');
  std::size_t size = 0;
  while (size < text.size()) {
    const ssize_t got = ::read(fd.get(), text.data() + size, text.size() - size);
    if (got <= 0) break;
    size += static_cast<std::size_t>(got);
  }
  text.resize(size);
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
  run_delay_ns += other.run_delay_ns;
  untold_cpu_ns += other.untold_cpu_ns;
  untold_unsure_ns += other.untold_unsure_ns;
  return *this;
}

Usage operator-(const Usage& after, const Usage& before) noexcept {
  return {after.user_cpu_ns - before.user_cpu_ns,
          after.system_cpu_ns - before.system_cpu_ns,
          after.minor_faults - before.minor_faults,
          after.major_faults - before.major_faults,
          after.voluntary_switches - before.voluntary_switches,
          after.involuntary_switches - before.involuntary_switches,
          after.run_delay_ns - before.run_delay_ns,
          after.untold_cpu_ns - before.untold_cpu_ns - static_cast<std::int64_t>(before.untold_unsure_ns),
          after.untold_unsure_ns};
}

namespace {

/// What tell_end_of_child() was told.
struct Children {
  std::atomic<std::uint64_t> user_cpu_ns, system_cpu_ns, minor_faults, major_faults, voluntary_switches,
      involuntary_switches, run_delay_ns, untold_cpu_ns;
};
Children children;

void forget_children() noexcept {
  for (auto* const one : {&children.user_cpu_ns, &children.system_cpu_ns, &children.minor_faults,
                          &children.major_faults, &children.voluntary_switches, &children.involuntary_switches,
                          &children.run_delay_ns, &children.untold_cpu_ns}) {
    one->store(0, std::memory_order_relaxed);
  }
}

const int forgotten_in_a_fork = ::pthread_atfork(nullptr, nullptr, forget_children);

Usage usage_of_children() noexcept {
  return {children.user_cpu_ns.load(std::memory_order_relaxed),
          children.system_cpu_ns.load(std::memory_order_relaxed),
          children.minor_faults.load(std::memory_order_relaxed),
          children.major_faults.load(std::memory_order_relaxed),
          children.voluntary_switches.load(std::memory_order_relaxed),
          children.involuntary_switches.load(std::memory_order_relaxed),
          children.run_delay_ns.load(std::memory_order_relaxed),
          static_cast<std::int64_t>(children.untold_cpu_ns.load(std::memory_order_relaxed))};
}

}  // namespace

void tell_end_of_child(const Usage& usage) noexcept {
  static_cast<void>(forgotten_in_a_fork);
  children.user_cpu_ns.fetch_add(usage.user_cpu_ns, std::memory_order_relaxed);
  children.system_cpu_ns.fetch_add(usage.system_cpu_ns, std::memory_order_relaxed);
  children.minor_faults.fetch_add(usage.minor_faults, std::memory_order_relaxed);
  children.major_faults.fetch_add(usage.major_faults, std::memory_order_relaxed);
  children.voluntary_switches.fetch_add(usage.voluntary_switches, std::memory_order_relaxed);
  children.involuntary_switches.fetch_add(usage.involuntary_switches, std::memory_order_relaxed);
  children.run_delay_ns.fetch_add(usage.run_delay_ns, std::memory_order_relaxed);
  children.untold_cpu_ns.fetch_add(static_cast<std::uint64_t>(usage.untold_cpu_ns), std::memory_order_relaxed);
}

Usage process_usage() {
  const std::vector<std::uint32_t> living = threads();
  for (const std::uint32_t thread : living) static_cast<void>(thread_cpu_ns(thread));
  // What is left of the process's CPU time was used by threads that have ended. Read before theirs, it is no more.
  const std::uint64_t least_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
  std::uint64_t explained_ns = told_cpu_ns.load(std::memory_order_relaxed);
  std::uint64_t run_delay_ns = told_run_delay_ns.load(std::memory_order_relaxed);
  for (const std::uint32_t thread : living) {
    run_delay_ns += run_delay_of_thread(thread);
    explained_ns += thread_cpu_ns(thread);
  }
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const Usage own{ns_of(usage.ru_utime),
                  ns_of(usage.ru_stime),
                  static_cast<std::uint64_t>(usage.ru_minflt),
                  static_cast<std::uint64_t>(usage.ru_majflt),
                  static_cast<std::uint64_t>(usage.ru_nvcsw),
                  static_cast<std::uint64_t>(usage.ru_nivcsw),
                  run_delay_ns,
                  static_cast<std::int64_t>(least_ns - explained_ns),
                  clock_ns(CLOCK_PROCESS_CPUTIME_ID) - least_ns};
  return own + usage_of_children();
}

const std::string& run_delay_unavailable() {
  static const std::string reason = [] {
    const std::string text = read_proc("/proc/self/schedstat");
    if (text.empty()) return "this kernel keeps no run delay: there is no /proc/self/schedstat (CONFIG_SCHED_INFO)";
    // Some kernels have the file and write zeros: this process has run.
    return number_after(text, "", 0).value_or(0) == 0 ? "this kernel keeps no run delay: /proc/self/schedstat is all 0"
                                                      : "";
  }();
  return reason;
}

void tell_end_of_thread(std::chrono::steady_clock::time_point made) noexcept {
  const auto lived = std::chrono::steady_clock::now() - made;
  constexpr std::uint64_t kLeastNs = std::chrono::nanoseconds(kLeastWaitAtEnd).count();
  constexpr std::uint64_t kEndingNs = 500'000;  // what it may still use, and more
  const auto lived_ns = static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(lived).count());
  std::uint64_t cpu_ns = lived_ns < kLeastNs ? lived_ns : clock_ns(CLOCK_THREAD_CPUTIME_ID);
  if (lived_ns >= cpu_ns + kLeastNs) {
    told_run_delay_ns.fetch_add(run_delay_in("/proc/thread-self/schedstat"), std::memory_order_relaxed);
    cpu_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
  }
  told_cpu_ns.fetch_add(cpu_ns + kEndingNs, std::memory_order_relaxed);
}

std::uint64_t run_delay_of_process(int pid) noexcept {
  std::array<char, 32> path{};
  *fmt::format_to_n(path.data(), path.size() - 1, "/proc/{}/schedstat", pid).out = '\0';
  return run_delay_in(path.data());
}

CpuTimes& CpuTimes::operator+=(const CpuTimes& other) noexcept {
  available_ns += other.available_ns;
  idle_ns += other.idle_ns;
  stolen_ns += other.stolen_ns;
  cpus += other.cpus;
  return *this;
}

CpuTimes operator-(const CpuTimes& after, const CpuTimes& before) noexcept {
  return {after.available_ns - before.available_ns, after.idle_ns - before.idle_ns, after.stolen_ns - before.stolen_ns,
          after.cpus == before.cpus ? after.cpus : 0};
}

CpuTimes cpu_times(std::span<const int> cpus) {
  if (cpus.empty()) return {};
  constexpr std::size_t kThousandsOfCpus = std::size_t{1} << 20U;
  const std::string stat = read_proc("/proc/stat", kThousandsOfCpus);
  return cpu_times(cpus, stat, clock_ns(CLOCK_MONOTONIC));
}

CpuTimes cpu_times(std::span<const int> cpus, std::string_view stat, std::uint64_t steady_ns) {
  CpuTimes sum;
  const auto add = [&](std::string_view label, std::uint32_t count) {
    std::string_view line = stat;
    const std::size_t at = line.find(label);
    if (at == std::string_view::npos) return false;
    line.remove_prefix(at + label.size());
    line = line.substr(0, line.find('\n'));
    // user, nice, system, idle, iowait, irq, softirq, steal
    const auto idle = number_after(line, "", 3), waiting = number_after(line, "", 4),
               stolen = number_after(line, "", 7);
    if (!idle || !waiting || !stolen) return false;
    sum += {count * steady_ns, (*idle + *waiting) * tick_ns(), *stolen * tick_ns(), count};
    return true;
  };
  std::size_t lines = 0;
  for (std::size_t at = 0; (at = stat.find("\ncpu", at)) != std::string_view::npos; ++at) ++lines;
  bool all = true;
  if (lines == cpus.size()) {  // all CPUs: their sum is rounded once
    all = add("cpu ", static_cast<std::uint32_t>(cpus.size()));
  } else {
    for (const int cpu : cpus) all = all && add(fmt::format("\ncpu{} ", cpu), 1);
  }
  return all ? sum : CpuTimes{};
}

std::uint64_t tick_ns() noexcept {
  static const long hertz = ::sysconf(_SC_CLK_TCK);
  return 1'000'000'000U / static_cast<std::uint64_t>(hertz > 0 ? hertz : 100);
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
