// Sweep files: what they mean, and what is said of a wrong one.
// SPDX-License-Identifier: MIT
#include "harness/sweep/sweep_file.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "benchmarks/pitfalls/table.hpp"
#include "harness/base/error.hpp"
#include "harness/base/limits.hpp"

namespace noisefloor {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string problem(const std::string& text) {
  try {
    parse_sweep(text, "dir/some.toml");
  } catch (const UsageError& error) {
    return error.what();
  }
  return "no error";
}

std::string with_group(const std::string& lines) { return std::string("[[group]]\n").append(lines); }

class Folder {
 public:
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "sweep_file_test.XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp");
    path_ = name;
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  std::string write(const std::string& name, const std::string& text) const {
    std::ofstream(path_ / name) << text;
    return (path_ / name).string();
  }
  std::string path() const { return path_.string(); }

 private:
  std::filesystem::path path_;
};

TEST(SweepFile, CrossesTheAxesOfAGroupOverTheBase) {
  const SweepFile sweep = parse_sweep(R"(
question = "why?"
rounds = 7
repetitions = 3
warmups = 0
[base]
workload = "spin"
tasks = 12
[[group]]
name = "g"
question = "how?"
chunk_size = [1, 4]
strategy = ["std_thread", "openmp"]
task_size = 100
)",
                                      "dir/some.toml");
  EXPECT_EQ(sweep.name, "some");
  EXPECT_EQ(sweep.question, "why?");
  EXPECT_EQ(sweep.rounds, 7);
  EXPECT_EQ(sweep.repetitions, 3);
  EXPECT_EQ(sweep.warmups, 0);
  ASSERT_EQ(sweep.groups.size(), 1U);
  EXPECT_EQ(sweep.groups[0].question, "how?");
  std::vector<std::string> seen;
  for (const Cell& cell : cells(sweep)) {
    EXPECT_EQ(cell.sweep, "some.g");
    EXPECT_EQ(cell.workload, "spin");
    EXPECT_EQ(cell.tasks, 12U);
    EXPECT_EQ(cell.task_size, 100U);
    seen.push_back(cell.strategy + std::to_string(cell.chunk_size));
  }
  EXPECT_THAT(seen, ElementsAre("std_thread1", "std_thread4", "openmp1", "openmp4"));
  EXPECT_EQ(count_points(sweep), 4U);
}

TEST(SweepFile, DefaultsToTwelveRoundsOfFiveRepetitionsAfterTwoWarmups) {
  const SweepFile sweep = parse_sweep(with_group("workload = \"spin\"\n"), "dir/some.toml");
  EXPECT_EQ(sweep.rounds, 12);
  EXPECT_EQ(sweep.repetitions, 5);
  EXPECT_EQ(sweep.warmups, 2);
}

TEST(SweepFile, MayHaveABudget) {
  EXPECT_EQ(parse_sweep("budget = \"3m\"\n" + with_group("workload = \"spin\"\n"), "s.toml").budget,
            std::chrono::seconds(180));
  EXPECT_THAT(problem("budget = \"3\"\n"), HasSubstr("some.toml:1:10: '3' is no duration"));
  EXPECT_THAT(problem("budget = 180\n"), HasSubstr("budget must be a text"));
}

TEST(SweepFile, AnUnnamedGroupIsCalledAfterTheFile) {
  const auto all = cells(parse_sweep(with_group("workload = \"spin\"\n"), "dir/some.toml"));
  ASSERT_EQ(all.size(), 1U);
  EXPECT_EQ(all[0].sweep, "some");
}

TEST(SweepFile, BlocksOfOneNameMakeOneGroupAndEqualCellsCollapse) {
  const SweepFile sweep = parse_sweep(
      "[base]\nworkload = \"spin\"\ntasks = 8\n[[group]]\nname = \"g\"\n[[group]]\nname = \"g\"\nchunk_size = [1, 2]\n"
      "[[group]]\nname = \"h\"\n",
      "some.toml");
  const auto all = cells(sweep);
  ASSERT_EQ(all.size(), 3U);
  EXPECT_EQ(all[0].sweep, "some.g");
  EXPECT_EQ(all[1].chunk_size, 2U);
  EXPECT_EQ(all[2].sweep, "some.h");  // the same factors in another group are another cell
}

TEST(SweepFile, AllWorkersAreThoseOfThisMachine) {
  const auto text =
      "workload = \"spin\"\nstrategy = \"openmp\"\nworkers = [\"all\", " + std::to_string(available_workers()) + "]\n";
  const auto all = cells(parse_sweep(with_group(text), "some.toml"));
  ASSERT_EQ(all.size(), 1U) << "all and its number are the same cell";
  EXPECT_EQ(all[0].workers, available_workers());
}

TEST(SweepFile, KernelsOfAWorkloadWithoutKernelAreOneCell) {
  EXPECT_EQ(cells(parse_sweep(with_group("workload = \"spin\"\nkernel = [\"scalar\", \"auto\"]\n"), "s.toml")).size(),
            1U);
}

TEST(SweepFile, ManyPointsAreCountedWithoutBeingMade) {
  std::string values = " = [1";
  for (int i = 2; i <= 2000; ++i) values.append(",").append(std::to_string(i));
  values += "]\n";
  std::string axes;
  for (const char* axis : {"tasks", "task_size", "chunk_size"}) axes.append(axis).append(values);
  EXPECT_EQ(count_points(parse_sweep(with_group(axes), "s.toml")), 8'000'000'000U);
}

TEST(SweepFile, SetReplacesAnAxisInEveryCell) {
  SweepFile sweep = parse_sweep(with_group("workload = \"spin\"\ntasks = [1, 2, 3]\n"), "s.toml");
  replace_axis(sweep, parse_axis_values("tasks=5,6"));
  replace_axis(sweep, parse_axis_values("strategy=openmp"));
  const auto all = cells(sweep);
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[0].tasks, 5U);
  EXPECT_EQ(all[1].tasks, 6U);
  EXPECT_EQ(all[1].strategy, "openmp");
  EXPECT_EQ(parse_axis_values("workers=all").values, std::vector<std::string>{std::to_string(available_workers())});
}

TEST(SweepFile, SetRefusesWhatItCannotMean) {
  EXPECT_THROW(parse_axis_values("workers"), UsageError);
  EXPECT_THROW(parse_axis_values("workers="), UsageError);
  EXPECT_THROW(parse_axis_values("workers=1,,2"), UsageError);
  EXPECT_THROW(parse_axis_values("workers=1,1"), UsageError);
  EXPECT_THROW(parse_axis_values("workers=0"), UsageError);
  EXPECT_THROW(parse_axis_values("sweep=x"), UsageError);
  try {
    parse_axis_values("worker=1");
    FAIL();
  } catch (const UsageError& error) {
    EXPECT_THAT(error.what(), HasSubstr("did you mean 'workers'"));
  }
  try {
    parse_axis_values("strategy=opnmp");
    FAIL();
  } catch (const UsageError& error) {
    EXPECT_THAT(error.what(), AllOf(StartsWith("--set strategy=opnmp: "), HasSubstr("did you mean 'openmp'")));
  }
}

TEST(SweepFile, SaysWhereMalformedTomlIs) {
  EXPECT_THAT(problem("rounds = 3\n[base\nworkload = 1\n"), StartsWith("dir/some.toml:2:"));
  EXPECT_THAT(problem("rounds = = 3\n"), StartsWith("dir/some.toml:1:"));
}

TEST(SweepFile, SaysWhereAndWhatIsNearForUnknownNames) {
  EXPECT_THAT(problem("round = 3\n[[group]]\n"), AllOf(StartsWith("dir/some.toml:1:1: "), HasSubstr("'rounds'")));
  EXPECT_THAT(problem("[base]\nworkres = 2\n[[group]]\n"),
              AllOf(StartsWith("dir/some.toml:2:1: "), HasSubstr("did you mean 'workers'")));
  EXPECT_THAT(problem(with_group("chunksize = 2\n")),
              AllOf(StartsWith("dir/some.toml:2:1: "), HasSubstr("did you mean 'chunk_size'")));
  EXPECT_THAT(problem(with_group("task_ns = 2\n")), StartsWith("dir/some.toml:2:1: unknown axis"));
  EXPECT_THAT(problem(with_group("\nstrategy = [\"openmp\", \"std_tread\"]\n")),
              AllOf(StartsWith("dir/some.toml:3:23: "), HasSubstr("did you mean 'std_thread'")));
  EXPECT_THAT(problem(with_group("kernel = \"avx3\"\n")),
              AllOf(StartsWith("dir/some.toml:2:10: "), HasSubstr("did you mean 'avx2'")));
  EXPECT_THAT(problem(with_group("workload = \"elt\"\n")), HasSubstr("did you mean 'etl'"));
  EXPECT_THAT(problem(with_group("delivery = \"order\"\n")), HasSubstr("did you mean 'ordered'"));
}

TEST(SweepFile, SaysWhereValuesAreOfTheWrongKind) {
  EXPECT_THAT(problem(with_group("tasks = \"many\"\n")), StartsWith("dir/some.toml:2:9: tasks takes numbers"));
  EXPECT_THAT(problem(with_group("tasks = 1.5\n")), StartsWith("dir/some.toml:2:9: tasks takes whole numbers"));
  EXPECT_THAT(problem(with_group("workers = \"most\"\n")), HasSubstr("or \"all\""));
  EXPECT_THAT(problem(with_group("workers = 0\n")), StartsWith("dir/some.toml:2:11: workers"));
  EXPECT_THAT(problem(with_group("tasks = [1, -1]\n")), StartsWith("dir/some.toml:2:13: tasks"));
  EXPECT_THAT(problem(with_group("strategy = 3\n")), StartsWith("dir/some.toml:2:12: strategy takes texts"));
  EXPECT_THAT(problem(with_group("strategy = true\n")), HasSubstr("strategy takes texts"));
  EXPECT_THAT(problem(with_group("tasks = [[1]]\n")), StartsWith("dir/some.toml:2:10: tasks takes whole numbers"));
  EXPECT_THAT(problem(with_group("tasks = []\n")), StartsWith("dir/some.toml:2:9: tasks has no values"));
  EXPECT_THAT(problem(with_group("tasks = [1, 2, 1]\n")), StartsWith("dir/some.toml:2:16: tasks holds 1 twice"));
  EXPECT_THAT(problem(with_group("name = 3\n")), StartsWith("dir/some.toml:2:8: name must be a text"));
  EXPECT_THAT(problem(with_group("name = \"a.b\"\n")), StartsWith("dir/some.toml:2:8: the group's name"));
  EXPECT_THAT(problem("rounds = 0\n[[group]]\n"), StartsWith("dir/some.toml:1:10: rounds must be"));
  EXPECT_THAT(problem("repetitions = \"5\"\n[[group]]\n"), StartsWith("dir/some.toml:1:15: repetitions must be"));
  EXPECT_THAT(problem("warmups = -1\n[[group]]\n"), StartsWith("dir/some.toml:1:11: warmups must be"));
  EXPECT_THAT(problem("base = 3\n[[group]]\n"), StartsWith("dir/some.toml:1:1: base must be a table"));
  EXPECT_THAT(problem("group = 3\n"), StartsWith("dir/some.toml:1:1: group must be an array of tables"));
  EXPECT_THAT(problem("[base]\ntasks = [1, 2]\n[[group]]\n"), StartsWith("dir/some.toml:2:9: tasks in [base]"));
}

TEST(SweepFile, TheChangeToSeeIsAFractionAndOneForEachGroup) {
  EXPECT_EQ(parse_sweep(with_group("sees = 0.03\n"), "dir/some.toml").groups[0].sees, 0.03);
  EXPECT_FALSE(parse_sweep(with_group("tasks = 1\n"), "dir/some.toml").groups[0].sees);
  for (const std::string wrong : {"0.0", "1", "3", "\"3%\"", "-0.1", "nan", "[0.1]"}) {
    EXPECT_THAT(problem(with_group("sees = " + wrong + "\n")),
                AllOf(StartsWith("dir/some.toml:2:"), HasSubstr("fraction between 0 and 1")))
        << wrong;
  }
  const std::string blocks = "[[group]]\nname = \"g\"\nsees = 0.1\n[[group]]\nname = \"g\"\n";
  EXPECT_EQ(parse_sweep(blocks, "dir/some.toml").groups[0].sees, 0.1);
  EXPECT_THAT(problem(blocks + "sees = 0.2\n"), HasSubstr("two different changes"));
}

TEST(SweepFile, ASweepWithoutGroupsOrWithNamelessOnesIsRefused) {
  EXPECT_THAT(problem("rounds = 3\n"), HasSubstr("no [[group]]"));
  EXPECT_THAT(problem("group = []\n"), HasSubstr("group"));
  EXPECT_THAT(problem("[[group]]\n[[group]]\nname = \"b\"\n"), StartsWith("dir/some.toml:1:"));
  EXPECT_THAT(problem("[[group]]\nname = \"a\"\nquestion = \"x\"\n[[group]]\nname = \"a\"\nquestion = \"y\"\n"),
              AllOf(StartsWith("dir/some.toml:4:"), HasSubstr("two different questions")));
}

TEST(SweepFile, AFileThatCannotBeReadIsAUsageError) {
  const Folder folder;
  EXPECT_THROW(read_sweep(folder.path() + "/none.toml"), UsageError);
  EXPECT_THROW(read_sweep(folder.path()), UsageError);
}

TEST(SweepFile, IsFoundByNameInTheFirstFolderThatHasIt) {
  const Folder first;
  const Folder second;
  first.write("alpha.toml", "question = \"first\"\n[[group]]\n");
  second.write("alpha.toml", "question = \"second\"\n[[group]]\n");
  second.write("beta.toml", "rounds = \n");
  second.write("gamma.txt", "");
  const std::vector<std::string> folders = {"/nowhere", first.path(), second.path()};
  EXPECT_EQ(find_sweep("alpha", folders), first.path() + "/alpha.toml");
  EXPECT_EQ(find_sweep("x/y.toml", folders), "x/y.toml");
  const auto entries = list_sweeps(folders);
  ASSERT_EQ(entries.size(), 2U);
  EXPECT_EQ(entries[0].name, "alpha");
  EXPECT_EQ(entries[0].help, "first");
  EXPECT_EQ(entries[0].unavailable, "");
  EXPECT_EQ(entries[1].name, "beta");
  EXPECT_THAT(entries[1].unavailable, HasSubstr("beta.toml:1:"));
  try {
    find_sweep("alpah", folders);
    FAIL();
  } catch (const UsageError& error) {
    EXPECT_THAT(error.what(), AllOf(HasSubstr("did you mean 'alpha'"), HasSubstr("beta")));
  }
  EXPECT_THROW(find_sweep("alpha", {"/nowhere"}), UsageError);
}

TEST(SweepFile, EverySweepThatComesWithTheProgramIsGood) {
  const std::string folder = std::string(NOISEFLOOR_SOURCE) + "/benchmarks/sweeps";
  const auto entries = list_sweeps({folder});
  ASSERT_FALSE(entries.empty());
  for (const SweepEntry& entry : entries) {
    EXPECT_EQ(entry.unavailable, "");
    EXPECT_NE(entry.help, "") << entry.path;
    const auto all = cells(read_sweep(entry.path));
    EXPECT_FALSE(all.empty());
    for (const Cell& cell : all) {
      for (const Cell& one : expand_pitfalls(pitfalls(), cell)) EXPECT_NO_THROW(check_cell(one)) << format_cell(one);
    }
  }
}

}  // namespace
}  // namespace noisefloor
