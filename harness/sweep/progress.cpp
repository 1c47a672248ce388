// Draws the bar and writes the plain lines.
// SPDX-License-Identifier: MIT
#include "harness/sweep/progress.hpp"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <string_view>
#include <utility>

#include "harness/base/names.hpp"

namespace noisefloor {
namespace {

constexpr std::chrono::seconds kPlainEvery{10};
constexpr std::chrono::milliseconds kBarEvery{100};
constexpr int kBarColumns = 24;

bool is_set(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr && *value != '\0';
}

}  // namespace

Clock real_clock() {
  return [] {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch());
  };
}

ProgressPlace progress_place(std::FILE* stream) {
  ProgressPlace place;
  const int fd = ::fileno(stream);
  place.terminal = ::isatty(fd) == 1;
  const char* term = std::getenv("TERM");
  place.dumb = term == nullptr || std::string_view(term) == "dumb" || is_set("CI");
  place.color = !is_set("NO_COLOR");
  winsize size = {};
  if (::ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) place.columns = size.ws_col;
  return place;
}

ProgressStyle choose_style(std::string_view name, const ProgressPlace& place) {
  if (name == "bar") return ProgressStyle::bar;
  if (name == "plain") return ProgressStyle::plain;
  if (name == "none") return ProgressStyle::none;
  if (name == "auto") return place.terminal && !place.dumb ? ProgressStyle::bar : ProgressStyle::plain;
  constexpr std::string_view kNames[] = {"auto", "bar", "plain", "none"};
  throw_unknown("progress", name, kNames);
}

std::string format_duration(std::chrono::nanoseconds duration) {
  const auto seconds = std::chrono::ceil<std::chrono::seconds>(std::max(duration, duration.zero())).count();
  if (seconds < 60) return fmt::format("{} s", seconds);
  if (seconds < 3600) return fmt::format("{} min {:02} s", seconds / 60, seconds % 60);
  return fmt::format("{} h {:02} min", seconds / 3600, seconds / 60 % 60);
}

Progress::Progress(std::FILE* stream, ProgressStyle style, ProgressPlace place, Clock clock)
    : stream_(stream), style_(style), place_(place), clock_(std::move(clock)) {}

Progress::~Progress() { clear(); }

void Progress::draw(const std::string& line) {
  std::fputs(fmt::format("\r{}\x1b[K", line).c_str(), stream_);
  std::fflush(stream_);
}

void Progress::clear() {
  if (!bar_.empty()) draw("");
  bar_.clear();
}

void Progress::say(std::string_view line) {
  const std::string bar = bar_;
  clear();
  std::fputs(fmt::format("{}\n", line).c_str(), stream_);
  std::fflush(stream_);
  if (!bar.empty()) draw(bar);
  bar_ = bar;
}

void Progress::update(std::string_view what, std::uint64_t done, std::uint64_t total,
                      std::chrono::nanoseconds remaining) {
  if (style_ == ProgressStyle::none) return;
  const auto now = clock_();
  const bool new_phase = phase_ != what;
  if (new_phase) {
    phase_ = what;
    if (style_ == ProgressStyle::plain) last_ = now;
  }
  const std::string left =
      remaining > remaining.zero() ? fmt::format(", {} left", format_duration(remaining)) : std::string();
  if (style_ == ProgressStyle::plain) {
    if (done != total && now - last_ < kPlainEvery) return;
    last_ = now;
    say(fmt::format("{}: {} of {} launches{}", what, done, total, left));
    return;
  }
  if (!new_phase && done != total && now - last_ < kBarEvery) return;
  last_ = now;
  const auto filled = static_cast<std::size_t>(total == 0 ? kBarColumns : kBarColumns * done / total);
  std::string text = fmt::format(" {} {}/{}{}", what, done, total, left);
  const auto width = static_cast<std::size_t>(std::max(place_.columns - 1, 1));
  if (width < kBarColumns + 3 + text.size()) {
    bar_ = text.substr(1, width);
  } else {
    const std::string full(filled, '#');
    const std::string rest(kBarColumns - filled, '.');
    bar_ = place_.color ? fmt::format("[\x1b[32m{}\x1b[0m{}]{}", full, rest, text)
                        : fmt::format("[{}{}]{}", full, rest, text);
  }
  draw(bar_);
}

}  // namespace noisefloor
