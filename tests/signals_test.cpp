// Promise: test signals are complete, their own, and made only once.
// SPDX-License-Identifier: MIT
#include "harness/audio/signals.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <vector>

#include "harness/audio/sound_file.hpp"
#include "harness/base/error.hpp"
#include "temporary_folder.hpp"

namespace noisefloor {
namespace {

namespace fs = std::filesystem;

class Signals : public testing::Test {
 protected:
  Signals() { ::setenv("NOISEFLOOR_CACHE", (folder_ / "cache").c_str(), 1); }
  ~Signals() override { ::unsetenv("NOISEFLOOR_CACHE"); }

  static std::string content(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  TemporaryFolder folder_;
};

TEST_F(Signals, TheCacheIsWhereTheEnvironmentSays) {
  EXPECT_EQ(cache_folder(), folder_ / "cache");
  ::unsetenv("NOISEFLOOR_CACHE");
  const char* home = std::getenv("HOME");
  const std::string old_home = home == nullptr ? "" : home;
  ::setenv("HOME", "/somewhere", 1);
  ::unsetenv("XDG_CACHE_HOME");
  EXPECT_EQ(cache_folder(), "/somewhere/.cache/noisefloor");
  ::setenv("XDG_CACHE_HOME", "/elsewhere", 1);
  EXPECT_EQ(cache_folder(), "/elsewhere/noisefloor");
  ::unsetenv("XDG_CACHE_HOME");
  ::unsetenv("HOME");
  EXPECT_THROW(static_cast<void>(cache_folder()), MissingError);
  if (!old_home.empty()) ::setenv("HOME", old_home.c_str(), 1);
}

TEST_F(Signals, AreMonoSinesOfHalfAmplitudeEachItsOwn) {
  constexpr std::uint64_t kFrames = 44100;
  std::set<std::string> contents;
  for (const std::string format : {"int16", "int32", "float32", "float64"}) {
    const std::vector<std::string> paths = test_signals(5, kFrames, format);
    ASSERT_EQ(paths.size(), 5U);
    for (const std::string& path : paths) {
      contents.insert(content(path));
      SoundReader reader(path);
      EXPECT_EQ(reader.facts().channels, 1);
      EXPECT_EQ(reader.facts().rate, 44100);
      EXPECT_EQ(reader.facts().frames, static_cast<std::int64_t>(kFrames));
      std::vector<float> samples(kFrames);
      if (reader.facts().sample_type == SampleType::int16) {
        std::vector<std::int16_t> raw(kFrames);
        EXPECT_EQ(reader.read(raw.data(), kFrames), kFrames);
        std::ranges::transform(raw, samples.begin(), [](std::int16_t x) { return static_cast<float>(x) / 32768; });
      } else if (reader.facts().sample_type == SampleType::int32) {
        std::vector<std::int32_t> raw(kFrames);
        EXPECT_EQ(reader.read(raw.data(), kFrames), kFrames);
        std::ranges::transform(raw, samples.begin(),
                               [](std::int32_t x) { return static_cast<float>(x) / 2147483648.0F; });
      } else if (reader.facts().sample_type == SampleType::float64) {
        std::vector<double> raw(kFrames);
        EXPECT_EQ(reader.read(raw.data(), kFrames), kFrames);
        std::ranges::transform(raw, samples.begin(), [](double x) { return static_cast<float>(x); });
      } else {
        EXPECT_EQ(reader.read(samples.data(), kFrames), kFrames);
      }
      EXPECT_EQ(format, reader.facts().sample_type == SampleType::int16     ? "int16"
                        : reader.facts().sample_type == SampleType::int32   ? "int32"
                        : reader.facts().sample_type == SampleType::float32 ? "float32"
                                                                            : "float64");
      double squares = 0, largest = 0;
      for (const float x : samples) {
        squares += static_cast<double>(x) * x;
        largest = std::max(largest, std::abs(static_cast<double>(x)));
      }
      EXPECT_NEAR(largest, 0.5, 0.01);
      EXPECT_NEAR(std::sqrt(squares / kFrames), 0.5 / std::sqrt(2.0), 0.01);
    }
  }
  EXPECT_EQ(contents.size(), 20U) << "two signals are the same";
}

TEST_F(Signals, AreKeptAndOnlyWhatIsMissingOrIncompleteIsMade) {
  const std::vector<std::string> paths = test_signals(3, 1000, "int16");
  EXPECT_EQ(paths[1], folder_ / "cache/signals/int16-1000/0001.wav");
  const std::string whole = content(paths[1]);
  const auto made = fs::last_write_time(paths[0]);
  fs::resize_file(paths[1], 500);
  fs::remove(paths[2]);
  EXPECT_EQ(test_signals(4, 1000, "int16").size(), 4U);
  EXPECT_EQ(fs::last_write_time(paths[0]), made);
  EXPECT_TRUE(content(paths[1]) == whole);
  EXPECT_EQ(fs::file_size(paths[2]), 2044U);
}

TEST_F(Signals, TwoProcessesMayMakeThemAtOnce) {
  std::vector<pid_t> children;
  for (int i = 0; i < 3; ++i) {
    const pid_t child = ::fork();
    if (child == 0) {
      try {
        ::_exit(test_signals(20, 5000, "float32").size() == 20 ? 0 : 1);
      } catch (...) {
        ::_exit(2);
      }
    }
    children.push_back(child);
  }
  for (const pid_t child : children) {
    int status = 0;
    ::waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
  }
  EXPECT_EQ(folder_.entries("cache/signals/float32-5000"), 20U) << "no temporary may be left";
}

TEST_F(Signals, RefuseWhatTheyAreNotMadeFor) {
  EXPECT_THROW(static_cast<void>(test_signals(1, 10, "int24")), UsageError);
  EXPECT_THROW(static_cast<void>(test_signals(1, std::uint64_t{3} << 30, "int16")), UsageError);
  EXPECT_TRUE(test_signals(0, 10, "int16").empty());
}

TEST_F(Signals, ACacheThatCannotBeMadeIsNamed) {
  std::ofstream(folder_ / "file") << "x";
  ::setenv("NOISEFLOOR_CACHE", (folder_ / "file").c_str(), 1);
  try {
    static_cast<void>(test_signals(1, 10, "int16"));
    ADD_FAILURE() << "no error";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr(folder_ / "file"));
  }
}

}  // namespace
}  // namespace noisefloor
