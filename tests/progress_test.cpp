// Progress: which style where, and what is written.
// SPDX-License-Identifier: MIT
#include "harness/sweep/progress.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <string>

#include "harness/base/error.hpp"

namespace noisefloor {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;

/// Progress into memory, with a clock that is set by hand.
struct Written {
  explicit Written(ProgressStyle style, ProgressPlace place = {})
      : stream(::open_memstream(&buffer, &size)), progress(stream, style, place, [this] { return now; }) {}
  ~Written() {
    std::fclose(stream);
    std::free(buffer);
  }
  Written(const Written&) = delete;
  Written& operator=(const Written&) = delete;
  std::string text() {
    std::fflush(stream);
    return {buffer, size};
  }

  char* buffer = nullptr;
  std::size_t size = 0;
  std::FILE* stream;
  std::chrono::nanoseconds now{};
  Progress progress;
};

TEST(Progress, IsABarOnlyOnATerminalThatCanShowOne) {
  EXPECT_EQ(choose_style("auto", {.terminal = true}), ProgressStyle::bar);
  EXPECT_EQ(choose_style("auto", {.terminal = true, .dumb = true}), ProgressStyle::plain);
  EXPECT_EQ(choose_style("auto", {.terminal = false}), ProgressStyle::plain);
  EXPECT_EQ(choose_style("bar", {.terminal = false}), ProgressStyle::bar);
  EXPECT_EQ(choose_style("plain", {.terminal = true}), ProgressStyle::plain);
  EXPECT_EQ(choose_style("none", {.terminal = true}), ProgressStyle::none);
  EXPECT_THROW(choose_style("baar", {}), UsageError);
}

TEST(Progress, HonoursNoColorCiAndADumbTerminal) {
  const auto with = [](const char* name, const char* value) {
    ::setenv("TERM", "xterm", 1);
    ::unsetenv("CI");
    ::unsetenv("NO_COLOR");
    ::setenv(name, value, 1);
    const ProgressPlace place = progress_place(stdin);
    ::unsetenv("CI");
    ::unsetenv("NO_COLOR");
    return place;
  };
  EXPECT_FALSE(with("TERM", "xterm").dumb);
  EXPECT_TRUE(with("TERM", "xterm").color);
  EXPECT_TRUE(with("TERM", "dumb").dumb);
  EXPECT_TRUE(with("CI", "true").dumb);
  EXPECT_FALSE(with("CI", "").dumb);
  EXPECT_FALSE(with("NO_COLOR", "1").color);
}

TEST(Progress, PlainLinesAreFewAndHoldNoControlCharacters) {
  Written written(ProgressStyle::plain);
  for (int i = 0; i < 25; ++i) {
    written.now = seconds(i);
    written.progress.update("measuring", static_cast<std::uint64_t>(i), 25, seconds(90));
  }
  written.progress.update("measuring", 25, 25, seconds(0));
  EXPECT_EQ(written.text(),
            "measuring: 10 of 25 launches, 1 min 30 s left\nmeasuring: 20 of 25 launches, 1 min 30 s left\n"
            "measuring: 25 of 25 launches\n");
}

TEST(Progress, ABarFitsTheLineAndMakesRoomForMessages) {
  Written written(ProgressStyle::bar, {.terminal = true, .columns = 60});
  written.progress.update("measuring", 3, 6, seconds(4));
  EXPECT_EQ(written.text(), "\r[############............] measuring 3/6, 4 s left\x1b[K");
  written.progress.say("failed: x");
  EXPECT_THAT(written.text(), HasSubstr("\r\x1b[Kfailed: x\n\r[####"));
  written.progress.clear();
  EXPECT_TRUE(written.text().ends_with("\r\x1b[K"));

  Written narrow(ProgressStyle::bar, {.terminal = true, .columns = 12});
  narrow.progress.update("measuring", 3, 6, seconds(4));
  EXPECT_EQ(narrow.text(), "\rmeasuring 3\x1b[K");
  Written colored(ProgressStyle::bar, {.terminal = true, .color = true, .columns = 60});
  colored.progress.update("measuring", 3, 6, seconds(4));
  EXPECT_THAT(colored.text(), HasSubstr("\x1b[32m############\x1b[0m............]"));
}

TEST(Progress, NoneSaysOnlyWhatMustBeSaid) {
  Written written(ProgressStyle::none);
  written.progress.update("measuring", 6, 6, seconds(4));
  EXPECT_EQ(written.text(), "");
  written.progress.say("failed: x");
  EXPECT_EQ(written.text(), "failed: x\n");
}

TEST(Progress, DurationsAreRoundedUp) {
  EXPECT_EQ(format_duration(milliseconds(1)), "1 s");
  EXPECT_EQ(format_duration(seconds(-5)), "0 s");
  EXPECT_EQ(format_duration(seconds(65)), "1 min 05 s");
  EXPECT_EQ(format_duration(seconds(3660)), "1 h 01 min");
}

}  // namespace
}  // namespace noisefloor
