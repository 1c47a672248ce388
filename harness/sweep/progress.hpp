// Progress on standard error: a bar on a terminal, plain lines elsewhere.
// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <string>
#include <string_view>

namespace noisefloor {

/// Time since some fixed moment. A fake one makes tests independent of time.
using Clock = std::function<std::chrono::nanoseconds()>;
Clock real_clock();

enum class ProgressStyle : std::uint8_t { bar, plain, none };

/// What a style depends on, apart from what was asked for.
struct ProgressPlace {
  bool terminal = false;  ///< standard error is one
  bool dumb = false;      ///< $TERM is "dumb" or not set, or $CI is set: lines cannot be overwritten
  bool color = false;     ///< $NO_COLOR is not set
  int columns = 80;
};
ProgressPlace progress_place(std::FILE* stream);

/// "auto", "bar", "plain" or "none". Throws UsageError for another name.
ProgressStyle choose_style(std::string_view name, const ProgressPlace& place);

/// "1 min 05 s", "12 s": rounded up to seconds.
std::string format_duration(std::chrono::nanoseconds duration);

/// Not thread-safe. Never throws for a stream that cannot be written.
class Progress {
 public:
  Progress(std::FILE* stream, ProgressStyle style, ProgressPlace place, Clock clock);
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  ~Progress();

  /// A line for the user, in every style; the bar is drawn again below it.
  void say(std::string_view line);

  /// `done` of `total` launches of the phase `what` are over, `remaining` is expected to follow; zero
  /// where nothing is known. Plain lines come every 10 s and at the end of a phase.
  void update(std::string_view what, std::uint64_t done, std::uint64_t total, std::chrono::nanoseconds remaining);

  /// Removes the bar.
  void clear();

 private:
  void draw(const std::string& line);

  std::FILE* stream_;
  ProgressStyle style_;
  ProgressPlace place_;
  Clock clock_;
  std::string bar_;
  std::string phase_;
  std::chrono::nanoseconds last_{};
};

}  // namespace noisefloor
