// observations.csv: whole rows or none, and a file that a killed run left behind is taken up without loss.
// SPDX-License-Identifier: MIT
#include "harness/sweep/observations.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "harness/base/error.hpp"
#include "temporary_folder.hpp"

namespace noisefloor {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

std::vector<Row> launch(int number, int repetitions = 3) {
  std::vector<Row> rows;
  for (int i = 0; i < repetitions; ++i) {
    Row row;
    row["cell_id"] = "c" + std::to_string(number % 2);
    row["arm"] = "head";
    row["round"] = std::to_string(number / 2);
    row["order"] = row["launch"] = std::to_string(number);
    row["repetition"] = std::to_string(i);
    row["status"] = "ok";
    row["message"] = "a, \"quoted\" one";
    rows.push_back(row);
  }
  return rows;
}

bool has_three(std::span<const Row> rows) { return rows.size() == 3; }

class Observations : public ::testing::Test {
 protected:
  std::string text() const {
    std::ifstream file(path_, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  }
  void write(const std::string& text) const { std::ofstream(path_, std::ios::binary | std::ios::trunc) << text; }
  std::string refusal() const {
    try {
      ObservationFile::take_up(path_, has_three);
    } catch (const UsageError& error) {
      return error.what();
    }
    return {};
  }

  TemporaryFolder folder_;
  std::string path_ = folder_.path() + "/observations.csv";
};

TEST_F(Observations, AnExistingFileIsNotWrittenOver) {
  { const ObservationFile file(path_); }
  EXPECT_THROW(ObservationFile{path_}, Error);
}

TEST_F(Observations, CutAnywhereTheFileIsTakenUpWithoutLossAndWithoutHalfLaunches) {
  std::vector<std::size_t> ends;  // of the file after each launch
  {
    ObservationFile file(path_);
    ends.push_back(text().size());
    for (int i = 0; i < 3; ++i) {
      file.append(launch(i));
      ends.push_back(text().size());
    }
  }
  const std::string whole = text();
  for (std::size_t cut = 0; cut <= whole.size(); ++cut) {
    write(whole.substr(0, cut));
    std::size_t launches = 0;
    while (launches < 3 && ends[launches + 1] <= cut) ++launches;
    auto taken = ObservationFile::take_up(path_, has_three);
    ASSERT_EQ(taken.launches.size(), launches) << "cut at " << cut;
    if (cut >= ends[0]) {
      ASSERT_EQ(taken.removed_bytes, cut - ends[launches]) << "cut at " << cut;
    }
    for (std::size_t i = 0; i < launches; ++i) EXPECT_EQ(taken.launches[i].order, i);
    for (std::size_t i = launches; i < 3; ++i) taken.file->append(launch(static_cast<int>(i)));
    ASSERT_EQ(text(), whole) << "cut at " << cut;
  }
}

TEST_F(Observations, WhatTheCrashOfAMachineLeavesBehindIsCutOff) {
  { ObservationFile(path_).append(launch(0)); }
  const std::string whole = text();
  write(whole + std::string(5000, '\0'));
  EXPECT_EQ(ObservationFile::take_up(path_, has_three).launches.size(), 1U);
  EXPECT_EQ(text(), whole);
}

TEST_F(Observations, OfALaunchItIsKnownWhatItsWorstRowIs) {
  std::vector<Row> rows = launch(3);
  rows[1]["status"] = "failed";
  EXPECT_EQ(kept_launch(rows).status, "failed");
  rows[2]["status"] = "wrong_output";
  const KeptLaunch kept = kept_launch(rows);
  EXPECT_EQ(kept.status, "wrong_output");
  EXPECT_EQ(kept.cell_id, "c1");
  EXPECT_EQ(kept.round, 1);
  EXPECT_EQ(kept.order, 3U);
  EXPECT_EQ(kept.rows, 3U);
  EXPECT_EQ(kept.ok, 1U);
  rows[1]["status"] = "fine";
  EXPECT_THROW(kept_launch(rows), Error);
}

TEST_F(Observations, AFileThatIsNotARunsIsRefusedAndLeftAlone) {
  { ObservationFile(path_).append(launch(0)); }
  const std::string whole = text();
  const std::size_t header = whole.find('\n') + 1;
  for (const auto& [content, said] : std::vector<std::pair<std::string, std::string>>{
           {"a,b\n1,2\n", "observations.csv:1: other columns"},
           {whole.substr(0, header) + "1,2\n" + whole.substr(header), "observations.csv:2: a CSV line has 2 fields"},
           {whole + "1,2\n", "observations.csv:5: a CSV line has 2 fields"}}) {
    write(content);
    EXPECT_THAT(refusal(), HasSubstr(said));
    EXPECT_EQ(text(), content);
  }
}

TEST_F(Observations, ALaunchInTheMiddleThatIsNotWholeIsNamedByItsLine) {
  {
    ObservationFile file(path_);
    for (int i = 0; i < 3; ++i) file.append(launch(i));
  }
  const std::string whole = text();
  std::vector<std::size_t> lines{0};  // where each begins
  for (std::size_t end = 0; (end = whole.find('\n', end)) != std::string::npos;) lines.push_back(++end);
  std::string lacking = whole;
  lacking.erase(lines[5], lines[6] - lines[5]);  // the second row of the second launch
  std::string doubled = whole;
  doubled.insert(lines[4], whole.substr(lines[4], lines[5] - lines[4]));
  std::string mixed = whole;
  mixed.replace(mixed.find("c1", lines[5]), 2, "c0");
  for (const auto& [content, said] :
       std::vector<std::pair<std::string, std::string>>{{lacking, ":5: launch 1 begins here and has 2 rows"},
                                                        {doubled, ":5: launch 1 begins here and has 4 rows"},
                                                        {mixed, ":5: rows of one launch differ"}}) {
    write(content);
    EXPECT_THAT(refusal(), AllOf(HasSubstr("observations.csv" + said), HasSubstr("nothing was changed")));
    EXPECT_EQ(text(), content);
  }
}

TEST_F(Observations, AFileThatAnotherRunWritesIsRefused) {
  ObservationFile file(path_);
  file.append(launch(0));
  EXPECT_THAT(refusal(), AllOf(HasSubstr(path_), HasSubstr("a run that goes on")));
}

}  // namespace
}  // namespace noisefloor
