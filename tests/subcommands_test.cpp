// What every subcommand says of itself is true: options refuse what they do not take, examples are understood, and a
// message that cannot be written changes no exit status. Over the table of subcommands, with no list of its own.
// SPDX-License-Identifier: MIT
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <initializer_list>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "harness/base/error.hpp"
#include "harness/commands/command.hpp"

namespace noisefloor {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

Command program() { return {.name = "noisefloor", .help = "x", .examples = {"x"}, .commands = subcommands()}; }

/// Calls `f` with every command that can be called, and the words that lead to it.
void for_each_command(const std::function<void(const Command&, const std::vector<std::string>&)>& f) {
  const std::function<void(const Command&, std::vector<std::string>)> visit = [&](const Command& command,
                                                                                  std::vector<std::string> path) {
    path.push_back(command.name);
    if (command.action) f(command, path);
    for (const Command& one : command.commands) visit(one, path);
  };
  for (const Command& command : subcommands()) visit(command, {});
}

/// What is said of a command line that is not understood; empty if it is. Nothing is run.
std::string refusal(const std::vector<std::string>& words) {
  try {
    static_cast<void>(parse(program(), "1", words));
    return {};
  } catch (const Error& error) {
    EXPECT_EQ(error.status(), ExitStatus::usage) << error.what();
    return error.what();
  }
}

std::vector<std::string> with(std::vector<std::string> words, std::initializer_list<std::string> more) {
  words.insert(words.end(), more);
  return words;
}

TEST(Subcommands, WholeNumbersAreDigitsAloneWithinTheirRange) {
  int seen = 0;
  for_each_command([&](const Command& command, const std::vector<std::string>& path) {
    for (const Argument& argument : command.arguments) {
      if (!argument.is_whole) continue;
      ++seen;
      for (const char* text : {"-1", "18446744073709551616", "1e3", "+1", " 1", "1 ", "0x10", "", "1.5"}) {
        EXPECT_THAT(refusal(with(path, {argument.name, text})),
                    AllOf(StartsWith(argument.name + " "), HasSubstr(": it must be a whole number")));
        EXPECT_NE(refusal(with(path, {argument.name + "=" + text})), "");
      }
      const auto bound = [](long double value) { return std::to_string(static_cast<unsigned long long>(value)); };
      const auto& [least, most] = std::pair(argument.rules.least, argument.rules.most);
      if (least) {
        EXPECT_THAT(refusal(with(path, {argument.name, bound(*least - 1)})), HasSubstr("whole number"));
      }
      if (most) {
        EXPECT_THAT(refusal(with(path, {argument.name, bound(*most + 1)})), HasSubstr("whole number"));
      }
      const std::string valid = refusal(with(path, {argument.name, bound(most.value_or(1))}));
      EXPECT_EQ(valid.find("whole number"), std::string::npos) << valid;
    }
  });
  EXPECT_GT(seen, 5);
}

TEST(Subcommands, EverySeedTakesTheLargestNumberOfItsRange) {
  EXPECT_EQ(refusal({"process", "a", "b", "--seed", "18446744073709551615"}), "");
  EXPECT_EQ(refusal({"process", "a", "b", "--seed", "0"}), "");
  EXPECT_EQ(refusal({"run", "quick", "--seed", "9223372036854775807"}), "");
}

TEST(Subcommands, ClosedChoicesAreRefusedWithTheNearest) {
  for_each_command([&](const Command& command, const std::vector<std::string>& path) {
    for (const Argument& argument : command.arguments) {
      const Choices& choices = argument.rules.choices;
      if (!choices.names || choices.open) continue;
      const std::vector<std::string> names = choices.names();
      ASSERT_FALSE(names.empty()) << argument.name;
      const auto words = argument.is_positional() ? with(path, {names.front() + "x"})
                                                  : with(path, {argument.name, names.front() + "x"});
      EXPECT_THAT(refusal(words), HasSubstr("did you mean '" + names.front() + "'")) << argument.name;
    }
  });
}

TEST(Subcommands, AnUnknownOptionNamesTheNearestAlone) {
  for_each_command([&](const Command& command, const std::vector<std::string>& path) {
    for (const Argument& argument : command.arguments) {
      if (argument.is_positional() || argument.name.size() < 6) continue;
      EXPECT_EQ(refusal(with(path, {argument.name + "x"})),
                "unknown option '" + argument.name + "x': did you mean '" + argument.name + "'?");
    }
    EXPECT_THAT(refusal(with(path, {"--zzzzzzzzz"})), HasSubstr("--help lists those that there are"));
  });
}

TEST(Subcommands, WhatAnOptionRequiresOrExcludesIsAnOptionOfItsCommand) {
  for_each_command([&](const Command& command, const std::vector<std::string>&) {
    for (const Argument& argument : command.arguments) {
      for (const auto* others : {&argument.rules.needs, &argument.rules.excludes}) {
        for (const std::string& other : *others) {
          EXPECT_TRUE(std::any_of(command.arguments.begin(), command.arguments.end(),
                                  [&](const Argument& one) { return one.name == other && other != argument.name; }))
              << command.name << ' ' << argument.name << ": " << other;
        }
      }
    }
  });
  EXPECT_THAT(refusal({"process", "a", "b", "--null"}), HasSubstr("--null requires --from-file"));
  EXPECT_THAT(refusal({"process", "a", "b", "--done-in", "m"}), HasSubstr("--done-in requires --resume"));
  EXPECT_THAT(refusal({"process", "a", "b", "--overwrite", "--resume"}), HasSubstr("exclude each other"));
  EXPECT_THAT(refusal({"run", "--resume", "x", "quick"}), HasSubstr("--resume and SWEEP exclude each other"));
  EXPECT_EQ(refusal({"run", "--resume", "x", "--progress", "none"}), "");
}

TEST(Subcommands, AnOptionThatMayNotBeRepeatedIsRefusedTheSecondTime) {
  for_each_command([&](const Command& command, const std::vector<std::string>& path) {
    for (const Argument& argument : command.arguments) {
      if (argument.is_positional() || argument.is_flag() || argument.is_many || argument.rules.choices.names) continue;
      EXPECT_THAT(refusal(with(path, {argument.name, "1", argument.name, "1"})), HasSubstr("is given 2 times"));
    }
  });
}

TEST(Subcommands, AnOptionWithoutItsValueSaysSo) {
  for_each_command([&](const Command& command, const std::vector<std::string>& path) {
    for (const Argument& argument : command.arguments) {
      if (argument.is_positional() || argument.is_flag()) continue;
      EXPECT_THAT(refusal(with(path, {argument.name})), StartsWith(argument.name + " requires a value"));
    }
  });
}

TEST(Subcommands, ExamplesAreUnderstood) {
  for_each_command([&](const Command& command, const std::vector<std::string>& path) {
    ASSERT_FALSE(command.examples.empty()) << command.name;
    for (const std::string& example : command.examples) {
      // The words behind the program's name, up to what is the shell's.
      const std::size_t begin = example.find("noisefloor ");
      ASSERT_NE(begin, std::string::npos) << example;
      std::istringstream text(example.substr(begin));
      std::vector<std::string> words;
      for (std::string word; text >> word && word != "#" && word != "|" && word[0] != '<';) words.push_back(word);
      words.erase(words.begin());
      while (!words.empty() && words.back().ends_with(')')) words.back().pop_back();
      EXPECT_EQ(refusal(words), "") << example;
      EXPECT_TRUE(std::equal(path.begin(), path.end(), words.begin())) << example;
    }
  });
}

TEST(Subcommands, HelpOpensWithWhatItIsForAndAnExample) {
  for_each_command([&](const Command& command, const std::vector<std::string>& path) {
    ::testing::internal::CaptureStdout();
    EXPECT_EQ(parse(program(), "1", with(path, {"--help"}))(), ExitStatus::done);
    std::fflush(stdout);
    const std::string help = ::testing::internal::GetCapturedStdout();
    const std::string label = command.examples.size() == 1 ? "\n\nExample: " : "\n\nExamples:\n  ";
    EXPECT_THAT(help, HasSubstr(label + command.examples.front() + "\n"));
    for (const Argument& argument : command.arguments) EXPECT_THAT(help, HasSubstr("  " + argument.name));
    EXPECT_TRUE(std::isupper(static_cast<unsigned char>(help.front()))) << help;
  });
}

TEST(Subcommands, AMessageThatCannotBeWrittenChangesNoExitStatus) {
  const std::string program = NOISEFLOOR_PROGRAM;
  for_each_command([&](const Command&, const std::vector<std::string>& path) {
    std::string command = program;
    for (const std::string& word : path) command += " " + word;
    for (const char* where : {"/dev/full", "/dev/null", "&-"}) {
      const int status = std::system((command + " --zzzzzzzzz </dev/null 2>" + where).c_str());
      EXPECT_TRUE(WIFEXITED(status)) << command << where;
      EXPECT_EQ(WEXITSTATUS(status), static_cast<int>(ExitStatus::usage)) << command << where;
    }
  });
  EXPECT_EQ(WEXITSTATUS(std::system((program + " nonsense 2>/dev/full").c_str())), static_cast<int>(ExitStatus::usage));
  EXPECT_EQ(WEXITSTATUS(std::system((program + " --help >/dev/full 2>/dev/full").c_str())),
            static_cast<int>(ExitStatus::failed));
}

}  // namespace
}  // namespace noisefloor
