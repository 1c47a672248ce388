// Promise: what a file says beside its samples is found by name, wherever the format has it, and nothing else is.
// SPDX-License-Identifier: MIT
#include "harness/audio/chunks.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "harness/base/unique_fd.hpp"

namespace noisefloor {
namespace {

using namespace std::string_literals;
using testing::ElementsAre;
using testing::IsEmpty;

std::vector<std::string> names_in(const std::string& bytes) {
  const UniqueFd fd(::memfd_create("sound", MFD_CLOEXEC));
  EXPECT_EQ(::pwrite(fd.get(), bytes.data(), bytes.size(), 0), static_cast<ssize_t>(bytes.size()));
  return chunk_names(fd.get(), bytes.size());
}

std::string little(std::uint64_t value, unsigned width) {
  std::string bytes;
  for (unsigned i = 0; i < width; ++i, value >>= 8U) bytes += static_cast<char>(value & 0xFFU);
  return bytes;
}

std::string big(std::uint64_t value, unsigned width) {
  const std::string bytes = little(value, width);
  return {bytes.rbegin(), bytes.rend()};
}

std::string chunk(const std::string& name, const std::string& body) {
  return name + little(body.size(), 4) + body + std::string(body.size() % 2, '\0');
}

std::string big_chunk(const std::string& name, const std::string& body, unsigned width = 4) {
  return name + big(body.size(), width) + body + std::string(width == 4 ? body.size() % 2 : 0, '\0');
}

std::string comments(const std::vector<std::string>& texts) {
  std::string bytes = little(3, 4) + "lib" + little(texts.size(), 4);
  for (const std::string& text : texts) bytes += little(text.size(), 4) + text;
  return bytes;
}

const std::string kPlainWave = chunk("fmt ", std::string(16, '\1')) + chunk("data", std::string(7, '\2'));

TEST(Chunks, OfAPlainFileAreNone) {
  EXPECT_THAT(names_in("RIFF\0\0\0\0WAVE"s + kPlainWave), IsEmpty());
  EXPECT_THAT(names_in("RIFF\0\0\0\0WAVE"s + chunk("JUNK", "abc") + kPlainWave + chunk("PEAK", "abc")), IsEmpty());
  EXPECT_THAT(names_in(""), IsEmpty());
  EXPECT_THAT(names_in("something else"), IsEmpty());
}

TEST(Chunks, OfARiffFileAreFoundBeforeAndBehindItsSamples) {
  EXPECT_THAT(names_in("RIFF\0\0\0\0WAVE"s + chunk("iXML", "odd") + kPlainWave + chunk("cue ", "even") +
                       chunk("iXML", "again")),
              ElementsAre("cue ", "iXML"));
  const std::string rifx = "RIFX\0\0\0\0WAVE"s + big_chunk("acid", "abc") + big_chunk("data", "ab");
  EXPECT_THAT(names_in(rifx + big_chunk("LIST", "INFO" + big_chunk("INAM", "title"))),
              ElementsAre("LIST/INFO/INAM", "acid"));
}

TEST(Chunks, OfAListAreItsParts) {
  EXPECT_THAT(
      names_in("RIFF\0\0\0\0WAVE"s + kPlainWave + chunk("LIST", "adtl" + chunk("labl", "abc") + chunk("note", "abcd")) +
               chunk("LIST", "INFO" + chunk("ISFT", "abc"))),
      ElementsAre("LIST/INFO/ISFT", "LIST/adtl/labl", "LIST/adtl/note"));
}

TEST(Chunks, OfALongFileAreFoundBehindMoreThan32BitsCanSay) {
  // Its samples are 10 bytes by the long size, and the short size is all ones.
  EXPECT_THAT(names_in("RF64\xff\xff\xff\xffWAVE" + chunk("ds64", little(0, 8) + little(10, 8) + little(0, 12)) +
                       "data\xff\xff\xff\xff" + std::string(10, '\0') + chunk("axml", "abc")),
              ElementsAre("axml"));
}

TEST(Chunks, OfAW64File) {
  const std::string tail("\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a", 12);
  const auto part = [&](const std::string& name, const std::string& body) {
    return name + tail + little(24 + body.size(), 8) + body;
  };
  const std::string head("\x72\x69\x66\x66\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00", 16);
  EXPECT_THAT(names_in(head + little(0, 8) + "wave" + tail + part("data", "12345678") + part("bext", "12345678")),
              ElementsAre("bext"));
}

TEST(Chunks, OfAnAiffFile) {
  EXPECT_THAT(names_in("FORM\0\0\0\0AIFF"s + big_chunk("COMM", std::string(18, '\0')) + big_chunk("NAME", "abc") +
                       big_chunk("SSND", std::string(8, '\0')) + big_chunk("(c) ", "me")),
              ElementsAre("(c) ", "NAME"));
}

TEST(Chunks, OfACafFileAreItsKeysToo) {
  const std::string info = big(3, 4) + "title\0a\0approximate duration in seconds\0001\0artist\0b\0"s;
  EXPECT_THAT(names_in("caff\0\1\0\0"s + big_chunk("desc", std::string(32, '\0'), 8) + big_chunk("info", info, 8) +
                       big_chunk("free", "abc", 8) + big_chunk("mark", "abc", 8)),
              ElementsAre("info/artist", "info/title", "mark"));
}

TEST(Chunks, OfAFlacFileAreItsBlocksAndComments) {
  const auto block = [](unsigned type, const std::string& body) {
    return std::string(1, static_cast<char>(type)) + big(body.size(), 3) + body;
  };
  EXPECT_THAT(names_in("fLaC" + block(0, std::string(34, '\0')) + block(4, comments({"Title=a", "BPM=120"})) +
                       block(6, "picture") + block(3, "seek") + block(0x80 | 1, "padding") + block(5, "no block")),
              ElementsAre("comment/BPM", "comment/TITLE", "picture"));
}

TEST(Chunks, OfAnOggFileAreItsCommentsAcrossPages) {
  const std::string packet = "OpusTags" + comments({"ARTIST=" + std::string(300, 'x'), "mood=good"});
  const auto page = [](const std::string& body) {
    std::string lacing(body.size() / 255, '\xff');
    lacing += static_cast<char>(body.size() % 255);
    return "OggS" + std::string(22, '\0') + static_cast<char>(lacing.size()) + lacing + body;
  };
  EXPECT_THAT(names_in(page("OpusHead") + page(packet.substr(0, 100)) + page(packet.substr(100))),
              ElementsAre("comment/ARTIST", "comment/MOOD"));
}

TEST(Chunks, OfATagAreItsFramesUnderOneNameInAllVersions) {
  const auto frame = [](const std::string& name, const std::string& body) {
    return name + big(body.size(), 4) + "\0\0"s + body;
  };
  const std::string frames = frame("TIT2", "abc") + frame("TDRC", "2001") + frame("APIC", "picture");
  EXPECT_THAT(names_in("ID3\4\0\0\0\0\0"s + static_cast<char>(frames.size()) + frames + "sound"),
              ElementsAre("id3/APIC", "id3/TIT2", "id3/TYER"));
  const std::string old = "TT2" + big(3, 3) + "abc" + "PIC" + big(2, 3) + "ab";
  EXPECT_THAT(names_in("ID3\2\0\0\0\0\0"s + static_cast<char>(old.size()) + old), ElementsAre("id3/PIC", "id3/TIT2"));
}

// Under the sanitizers this is a test of its own.
TEST(Chunks, OfBrokenFilesAreFoundAsFarAsTheyGo) {
  const std::vector<std::string> whole = {
      "RIFF\0\0\0\0WAVE"s + chunk("iXML", "odd") + chunk("LIST", "INFO" + chunk("INAM", "abc")) + kPlainWave,
      "caff\0\1\0\0"s + big_chunk("info", big(1, 4) + "title\0a\0"s, 8),
      "fLaC\4"s + big(30, 3) + comments({"a=b", "c=d"}),
      "OggS" + std::string(22, '\0') + "\1\x20OpusTags" + comments({"a=b"}),
      "ID3\3\0\0\0\0\0\x7fTIT2\0\0\0\3\0\0abc"s,
      "FORM\0\0\0\0AIFF"s + big_chunk("NAME", "abc"),
  };
  std::mt19937 random(1);  // NOLINT(cert-msc51-cpp): the same in every run
  for (const std::string& file : whole) {
    for (std::size_t size = 0; size <= file.size(); ++size) EXPECT_LE(names_in(file.substr(0, size)).size(), 3U);
    for (int i = 0; i < 2000; ++i) {
      std::string broken = file;
      for (int k = 0; k < 3; ++k) broken[4 + random() % (file.size() - 4)] = static_cast<char>(random() % 3 * 127);
      EXPECT_LE(names_in(broken).size(), 4096U);
    }
  }
}

}  // namespace
}  // namespace noisefloor
