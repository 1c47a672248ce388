// A name that is not in a table is answered with the nearest one and the choices.
// SPDX-License-Identifier: MIT
#include "harness/base/names.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <limits>
#include <utility>

#include "harness/base/error.hpp"
#include "harness/base/say.hpp"
#include "harness/base/shared_mapping.hpp"

namespace noisefloor {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

struct Row {
  std::string_view name;
  int value;
};
constexpr std::array<Row, 3> kRows = {{{"sequential", 1}, {"std_thread", 2}, {"openmp", 3}}};
constexpr std::array<std::string_view, 3> kNames = {"sequential", "std_thread", "openmp"};

TEST(Names, DistanceCountsInsertionsDeletionsReplacementsAndSwaps) {
  EXPECT_EQ(edit_distance("openmp", "openmp"), 0U);
  EXPECT_EQ(edit_distance("openmp", "openmpi"), 1U);
  EXPECT_EQ(edit_distance("openmp", "opnmp"), 1U);
  EXPECT_EQ(edit_distance("openmp", "openmq"), 1U);
  EXPECT_EQ(edit_distance("openmp", "opemnp"), 1U);
  EXPECT_EQ(edit_distance("", "abc"), 3U);
  EXPECT_EQ(edit_distance("abc", ""), 3U);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3U);
}

TEST(Names, DistanceIgnoresCaseAndTheKindOfSeparator) {
  EXPECT_EQ(edit_distance("STD-Thread", "std_thread"), 0U);
  EXPECT_EQ(edit_distance("std thread", "std_thread"), 1U);
}

TEST(Names, TheNearestNameIsSuggested) {
  EXPECT_EQ(unknown_name("strategy", "opnmp", kNames),
            "unknown strategy 'opnmp': did you mean 'openmp'? Choices: sequential, std_thread, openmp");
  EXPECT_THAT(unknown_name("strategy", "STD-THREAD", kNames), HasSubstr("did you mean 'std_thread'?"));
  EXPECT_THAT(unknown_name("strategy", "seqeuntail", kNames), HasSubstr("did you mean 'sequential'?"));
}

TEST(Names, APartOfANameSuggestsTheWhole) {
  EXPECT_THAT(unknown_name("strategy", "Thread", kNames), HasSubstr("did you mean 'std_thread'?"));
  EXPECT_THAT(unknown_name("strategy", "openmp_dynamic", kNames), HasSubstr("did you mean 'openmp'?"));
}

TEST(Names, WhereNothingIsNearNothingIsSuggested) {
  for (const std::string_view name : {"mpi", "x", "", "fork_pool"}) {
    const std::string message = unknown_name("strategy", name, kNames);
    EXPECT_THAT(message, Not(HasSubstr("did you mean"))) << name;
    EXPECT_THAT(message, HasSubstr(". Choices: sequential, std_thread, openmp")) << name;
  }
  // One letter replaced in a name of one letter is another name.
  constexpr std::array<std::string_view, 1> kShort = {"a"};
  EXPECT_THAT(unknown_name("axis", "b", kShort), Not(HasSubstr("did you mean")));
}

TEST(Names, AnEmptyTableIsSaidToBeEmpty) {
  EXPECT_EQ(unknown_name("sweep", "quick", {}), "unknown sweep 'quick': there is none to choose from");
}

TEST(Names, ARowIsFoundByItsNameOnly) {
  EXPECT_EQ(find_by_name(kRows, "std_thread", "strategy").value, 2);
  try {
    find_by_name(kRows, "std-thread", "strategy");
    FAIL() << "a name that is only near was accepted";
  } catch (const UsageError& error) {
    EXPECT_EQ(error.status(), ExitStatus::usage);
    EXPECT_THAT(error.what(), HasSubstr("did you mean 'std_thread'?"));
  }
}

TEST(Errors, CarryTheirExitStatusAndTheSystemsWords) {
  EXPECT_EQ(Error("x").status(), ExitStatus::failed);
  EXPECT_EQ(MissingError("x").status(), ExitStatus::missing);
  const Error full = system_error("cannot write a.wav", ENOSPC);
  EXPECT_STREQ(full.what(), "cannot write a.wav: No space left on device");
  EXPECT_EQ(full.status(), ExitStatus::failed);
}

TEST(SharedMapping, WhatAForkedChildWritesItsParentSees) {
  const SharedMapping mapping(2 * sizeof(std::uint64_t));
  const std::span<std::uint64_t> values = mapping.as<std::uint64_t>();
  ASSERT_EQ(values.size(), 2U);
  EXPECT_EQ(values[0], 0U);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    values[1] = 42;
    ::_exit(0);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(values[1], 42U);
}

TEST(SharedMapping, MovesItsMemoryAndMayBeEmpty) {
  SharedMapping first(4096);
  first.as<int>()[7] = 7;
  SharedMapping second = std::move(first);
  EXPECT_EQ(second.as<int>()[7], 7);
  SharedMapping third(8192);
  third = std::move(second);
  EXPECT_EQ(third.size(), 4096U);
  EXPECT_EQ(third.as<int>()[7], 7);
  EXPECT_TRUE(SharedMapping(0).as<int>().empty());
  EXPECT_TRUE(SharedMapping().as<int>().empty());
}

TEST(SharedMapping, MemoryThatCannotBeHadIsAnErrorWithTheAmount) {
  const std::size_t impossible = std::size_t{1} << 62;
  try {
    const SharedMapping mapping(impossible);
    FAIL() << "4 EiB were granted";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr(std::to_string(impossible)));
  }
}

TEST(FormatSize, IsForPeopleAtEverySize) {
  EXPECT_EQ(format_size(0), "0 bytes");
  EXPECT_EQ(format_size(999), "999 bytes");
  EXPECT_EQ(format_size(1000), "1.0 kB");
  EXPECT_EQ(format_size(40'000'000), "40.0 MB");
  EXPECT_EQ(format_size(999'960'000), "1.0 GB");
  EXPECT_EQ(format_size(1'540'000'000), "1.5 GB");
  EXPECT_EQ(format_size(std::numeric_limits<std::uint64_t>::max()), "18446744.1 TB");
}

TEST(Printable, ControlCharactersAreEscapedAndTheRestIsKept) {
  EXPECT_EQ(printable("a\nb\x1b[31m\x7f"), "a\\nb\\x1b[31m\\x7f");
  EXPECT_EQ(printable("Grüße, 世界"), "Grüße, 世界");
}

}  // namespace
}  // namespace noisefloor
