// Promise: what libsndfile carries beside the samples arrives in the copy, and what cannot is said.
// SPDX-License-Identifier: MIT
#include "harness/audio/metadata.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sndfile.h>

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "harness/audio/sound_file.hpp"
#include "harness/base/unique_fd.hpp"
#include "temporary_folder.hpp"

namespace noisefloor {
namespace {

struct CloseSound {
  void operator()(SNDFILE* file) const noexcept { sf_close(file); }
};
using Sound = std::unique_ptr<SNDFILE, CloseSound>;

constexpr int kFrames = 4096;

class Metadata : public testing::Test {
 protected:
  void make(int format, int channels, const std::function<void(SNDFILE*)>& describe) const {
    SF_INFO info{};
    info.channels = channels;
    info.samplerate = 48000;
    info.format = format;
    const Sound file(sf_open((folder_ / "in").c_str(), SFM_WRITE, &info));
    ASSERT_TRUE(file) << sf_strerror(nullptr);
    describe(file.get());
    std::vector<short> samples(static_cast<std::size_t>(kFrames * channels));
    for (std::size_t i = 0; i < samples.size(); ++i) samples[i] = static_cast<short>(i * 37 % 20'000);
    ASSERT_EQ(sf_writef_short(file.get(), samples.data(), kFrames), kFrames);
  }

  /// "in" to "out", as a task does it; whether all is said to be kept.
  [[nodiscard]] bool copy() const {
    SoundReader reader(folder_ / "in");
    std::filesystem::remove(folder_ / "out");
    const UniqueFd fd(::open((folder_ / "out").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    SoundWriter writer(fd.get(), reader.facts(), "out");
    const bool all = copy_metadata(reader, writer);
    std::vector<std::byte> buffer(10'000 * reader.facts().frame_bytes());
    const std::size_t got = reader.read(buffer.data(), 10'000);
    writer.write(buffer.data(), got);
    const std::uint64_t bytes = writer.finish();
    EXPECT_GE(got, static_cast<std::size_t>(kFrames));
    return keeps_metadata(reader, fd.get(), bytes) && all;
  }

  [[nodiscard]] Sound open(const std::string& name) const {
    SF_INFO info{};
    Sound file(sf_open((folder_ / name).c_str(), SFM_READ, &info));
    EXPECT_TRUE(file) << sf_strerror(nullptr);
    EXPECT_GE(info.frames, kFrames);
    return file;
  }

  [[nodiscard]] std::map<int, std::string> texts(const std::string& name) const {
    const Sound file = open(name);
    std::map<int, std::string> all;
    for (int kind = SF_STR_FIRST; kind <= SF_STR_LAST; ++kind) {
      if (const char* text = sf_get_string(file.get(), kind)) all[kind] = text;
    }
    return all;
  }

  const TemporaryFolder folder_;
};

std::string content(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST_F(Metadata, TextsSurvive) {
  const std::map<int, std::string> all = {{SF_STR_TITLE, "A title, with \xC3\xBC"},
                                          {SF_STR_COPYRIGHT, "somebody"},
                                          {SF_STR_SOFTWARE, "a recorder"},
                                          {SF_STR_ARTIST, "an artist"},
                                          {SF_STR_COMMENT, "a comment"},
                                          {SF_STR_DATE, "2001-02-03"},
                                          {SF_STR_ALBUM, "an album"},
                                          {SF_STR_LICENSE, "a license"},
                                          {SF_STR_TRACKNUMBER, "7"},
                                          {SF_STR_GENRE, "a genre"}};
  for (const auto& [format, at_least] :
       std::vector<std::pair<int, std::size_t>>{{SF_FORMAT_WAV | SF_FORMAT_PCM_16, 9},
                                                {SF_FORMAT_WAVEX | SF_FORMAT_PCM_24, 9},
                                                {SF_FORMAT_RF64 | SF_FORMAT_FLOAT, 9},
                                                {SF_FORMAT_AIFF | SF_FORMAT_PCM_16, 5},
                                                {SF_FORMAT_CAF | SF_FORMAT_PCM_16, 10},
                                                {SF_FORMAT_CAF | SF_FORMAT_ALAC_16, 10},
                                                {SF_FORMAT_FLAC | SF_FORMAT_PCM_16, 10},
                                                {SF_FORMAT_OGG | SF_FORMAT_VORBIS, 10},
                                                {SF_FORMAT_OGG | SF_FORMAT_OPUS, 10},
                                                {SF_FORMAT_MPEG | SF_FORMAT_MPEG_LAYER_III, 8}}) {
    SCOPED_TRACE(format);
    SF_INFO info{};
    info.channels = 1;
    info.samplerate = 48000;
    info.format = format;
    if (sf_format_check(&info) == SF_FALSE) continue;  // an older libsndfile, or one built without it
    make(format, 1, [&](SNDFILE* file) {
      for (const auto& [kind, text] : all) sf_set_string(file, kind, text.c_str());
    });
    EXPECT_TRUE(copy());
    EXPECT_GE(texts("in").size(), at_least);
    if ((format & SF_FORMAT_TYPEMASK) != SF_FORMAT_MPEG) {  // there libsndfile itself writes UTF-8 as Latin-1
      EXPECT_EQ(texts("in").at(SF_STR_TITLE), all.at(SF_STR_TITLE));
    }
    EXPECT_EQ(texts("out"), texts("in"));
  }
}

TEST_F(Metadata, LoopsAndInstrumentSurvive) {
  for (const int container : {SF_FORMAT_WAV, SF_FORMAT_WAVEX}) {
    make(container | SF_FORMAT_PCM_16, 1, [](SNDFILE* file) {
      SF_INSTRUMENT instrument{};
      instrument.gain = 1;
      instrument.basenote = 60;
      instrument.detune = 2;
      instrument.velocity_hi = instrument.key_hi = 127;
      instrument.loop_count = 2;
      instrument.loops[0] = {SF_LOOP_FORWARD, 10, 500, 3};
      instrument.loops[1] = {SF_LOOP_ALTERNATING, 600, 700, 0};
      ASSERT_EQ(sf_command(file, SFC_SET_INSTRUMENT, &instrument, sizeof instrument), SF_TRUE);
    });
    EXPECT_TRUE(copy());
    SF_INSTRUMENT out{};
    ASSERT_EQ(sf_command(open("out").get(), SFC_GET_INSTRUMENT, &out, sizeof out), SF_TRUE);
    EXPECT_EQ(out.basenote, 60);
    EXPECT_EQ(out.detune, 2);
    ASSERT_EQ(out.loop_count, 2);
    EXPECT_EQ(out.loops[0].mode, SF_LOOP_FORWARD);
    EXPECT_EQ(out.loops[0].start, 10U);
    EXPECT_EQ(out.loops[0].end, 500U);
    EXPECT_EQ(out.loops[0].count, 3U);
    EXPECT_EQ(out.loops[1].mode, SF_LOOP_ALTERNATING);
  }
}

TEST_F(Metadata, CuesSurvive) {
  for (const int container : {SF_FORMAT_WAV, SF_FORMAT_WAVEX, SF_FORMAT_AIFF}) {
    make(container | SF_FORMAT_PCM_16, 2, [](SNDFILE* file) {
      SF_CUES_VAR(150) cues{};
      cues.cue_count = 150;
      for (int i = 0; i < 150; ++i) {
        cues.cue_points[i].indx = i + 1;
        cues.cue_points[i].position = cues.cue_points[i].sample_offset = static_cast<std::uint32_t>(20 * i + 5);
        std::memcpy(&cues.cue_points[i].fcc_chunk, "data", 4);
        std::strcpy(cues.cue_points[i].name, "mark");
      }
      ASSERT_EQ(sf_command(file, SFC_SET_CUE, &cues, sizeof cues), SF_TRUE);
    });
    EXPECT_TRUE(copy());
    const Sound out = open("out");
    std::uint32_t count = 0;
    ASSERT_EQ(sf_command(out.get(), SFC_GET_CUE_COUNT, &count, sizeof count), SF_TRUE);
    ASSERT_EQ(count, 150U);
    SF_CUES_VAR(150) cues{};
    ASSERT_EQ(sf_command(out.get(), SFC_GET_CUE, &cues, sizeof cues), SF_TRUE);
    EXPECT_EQ(cues.cue_points[149].indx, 150);
    EXPECT_EQ(cues.cue_points[149].sample_offset, 20U * 149 + 5);
  }
}

TEST_F(Metadata, BroadcastAndCartChunksSurvive) {
  for (const int container : {SF_FORMAT_WAV, SF_FORMAT_WAVEX, SF_FORMAT_RF64}) {
    const bool has_cart = container != SF_FORMAT_WAVEX;
    make(container | SF_FORMAT_PCM_16, 1, [&](SNDFILE* file) {
      SF_BROADCAST_INFO broadcast{};
      std::strcpy(broadcast.description, "an interview");
      std::strcpy(broadcast.originator, "a station");
      std::memcpy(broadcast.origination_date, "2001-02-03", 10);
      std::memcpy(broadcast.origination_time, "04:05:06", 8);
      broadcast.time_reference_low = 12345;
      broadcast.time_reference_high = 6;
      broadcast.version = 1;
      std::strcpy(broadcast.umid, "unique");
      std::strcpy(broadcast.coding_history, "A=ANALOGUE,M=mono\r\n");
      broadcast.coding_history_size = 19;
      ASSERT_EQ(sf_command(file, SFC_SET_BROADCAST_INFO, &broadcast, sizeof broadcast), SF_TRUE);
      SF_CART_INFO cart{};
      std::memcpy(cart.version, "0101", 4);
      std::strcpy(cart.title, "a jingle");
      std::strcpy(cart.tag_text, "text\r\n");
      cart.tag_text_size = 6;
      if (has_cart) {
        ASSERT_EQ(sf_command(file, SFC_SET_CART_INFO, &cart, sizeof cart), SF_TRUE);
      }
    });
    EXPECT_TRUE(copy());
    const Sound out = open("out");
    SF_BROADCAST_INFO_VAR(2000) broadcast{};
    ASSERT_EQ(sf_command(out.get(), SFC_GET_BROADCAST_INFO, &broadcast, sizeof broadcast), SF_TRUE);
    EXPECT_STREQ(broadcast.description, "an interview");
    EXPECT_STREQ(broadcast.originator, "a station");
    EXPECT_EQ(std::string(broadcast.origination_date, 10), "2001-02-03");
    EXPECT_EQ(broadcast.time_reference_low, 12345U);
    EXPECT_EQ(broadcast.time_reference_high, 6U);
    EXPECT_STREQ(broadcast.umid, "unique");
    EXPECT_THAT(std::string(broadcast.coding_history, broadcast.coding_history_size),
                testing::StartsWith("A=ANALOGUE,M=mono\r\n"));
    if (!has_cart) continue;
    SF_CART_INFO cart{};
    ASSERT_EQ(sf_command(out.get(), SFC_GET_CART_INFO, &cart, sizeof cart), SF_TRUE);
    EXPECT_STREQ(cart.title, "a jingle");
    EXPECT_EQ(std::string(cart.tag_text, 4), "text");
  }
}

TEST_F(Metadata, TheChannelMapSurvives) {
  // Not the order that any of them has without a map.
  std::vector<int> map = {SF_CHANNEL_MAP_LEFT,      SF_CHANNEL_MAP_RIGHT,      SF_CHANNEL_MAP_LFE,
                          SF_CHANNEL_MAP_REAR_LEFT, SF_CHANNEL_MAP_REAR_RIGHT, SF_CHANNEL_MAP_REAR_CENTER};
  const int bytes = static_cast<int>(map.size() * sizeof(int));
  int kept = 0;
  for (const int container : {SF_FORMAT_WAVEX, SF_FORMAT_RF64, SF_FORMAT_CAF, SF_FORMAT_AIFF}) {
    SCOPED_TRACE(container);
    make(container | SF_FORMAT_PCM_16, 6,
         [&](SNDFILE* file) { sf_command(file, SFC_SET_CHANNEL_MAP_INFO, map.data(), bytes); });
    std::vector<int> in(6), out(6);
    const int has_map = sf_command(open("in").get(), SFC_GET_CHANNEL_MAP_INFO, in.data(), bytes);
    EXPECT_TRUE(copy());
    EXPECT_EQ(sf_command(open("out").get(), SFC_GET_CHANNEL_MAP_INFO, out.data(), bytes), has_map);
    EXPECT_EQ(out, in);
    if (has_map == SF_TRUE && in == map) ++kept;
  }
  EXPECT_GE(kept, 1) << "or nothing was tested";
}

TEST_F(Metadata, AmbisonicSoundStaysSo) {
  make(SF_FORMAT_WAVEX | SF_FORMAT_PCM_16, 4,
       [](SNDFILE* file) { sf_command(file, SFC_WAVEX_SET_AMBISONIC, nullptr, SF_AMBISONIC_B_FORMAT); });
  EXPECT_TRUE(copy());
  EXPECT_EQ(sf_command(open("out").get(), SFC_WAVEX_GET_AMBISONIC, nullptr, 0), SF_AMBISONIC_B_FORMAT);
}

TEST_F(Metadata, AFileThatSaysNothingIsCopiedAsItIs) {
  for (const int container : {SF_FORMAT_WAV, SF_FORMAT_WAVEX, SF_FORMAT_AIFF, SF_FORMAT_CAF, SF_FORMAT_FLAC}) {
    make(container | SF_FORMAT_PCM_16, 2, [](SNDFILE*) {});
    EXPECT_TRUE(copy());
    EXPECT_TRUE(content(folder_ / "in") == content(folder_ / "out")) << container;
  }
}

TEST_F(Metadata, ATextThatNoHeaderHoldsIsLeftOutAndSaid) {
  make(SF_FORMAT_FLAC | SF_FORMAT_PCM_16, 1, [](SNDFILE* file) {
    sf_set_string(file, SF_STR_TITLE, "short");
    sf_set_string(file, SF_STR_COMMENT, std::string(100'000, 'x').c_str());
  });
  ASSERT_EQ(texts("in").at(SF_STR_COMMENT).size(), 100'000U);
  EXPECT_FALSE(copy());
  EXPECT_EQ(texts("out").at(SF_STR_TITLE), "short");
  EXPECT_EQ(texts("out").count(SF_STR_COMMENT), 0U);
}

TEST_F(Metadata, AChunkThatLibsndfileDoesNotCarryIsSaid) {
  const auto in_wav = [&](std::string chunk, bool behind) {
    make(SF_FORMAT_WAV | SF_FORMAT_PCM_16, 1, [](SNDFILE*) {});
    std::string bytes = content(folder_ / "in");
    bytes.insert(behind ? bytes.size() : bytes.find("data"), chunk);
    const auto size = static_cast<std::uint32_t>(bytes.size() - 8);
    std::memcpy(bytes.data() + 4, &size, 4);
    std::ofstream(folder_ / "in", std::ios::binary) << bytes;
    return copy();
  };
  using namespace std::string_literals;
  for (const bool behind : {false, true}) {
    SCOPED_TRACE(behind);
    EXPECT_FALSE(in_wav("iXML\4\0\0\0<a/>"s, behind));
    EXPECT_FALSE(in_wav("LIST\x14\0\0\0adtllabl\x08\0\0\0\1\0\0\0abc\0"s, behind));
    EXPECT_FALSE(in_wav("LIST\x10\0\0\0INFOIENG\x04\0\0\0abc\0"s, behind)) << "a text of no kind that is carried";
    EXPECT_TRUE(in_wav("LIST\x10\0\0\0INFOINAM\x04\0\0\0abc\0"s, behind));
    for (const char* filler : {"JUNK", "junk", "PAD ", "FLLR"}) {
      EXPECT_TRUE(in_wav(filler + "\4\0\0\0\1\2\3\4"s, behind)) << filler;
    }
  }

  make(SF_FORMAT_FLAC | SF_FORMAT_PCM_16, 1, [](SNDFILE*) {});
  std::string bytes = content(folder_ / "in");
  ASSERT_EQ(bytes.substr(0, 4), "fLaC");
  bytes.insert(42, "\6\0\0\x20"s + std::string(3, '\0') + "\3\0\0\0\0"s + std::string(24, '\0'));  // behind its facts
  std::ofstream(folder_ / "in", std::ios::binary) << bytes;
  EXPECT_FALSE(copy()) << "a picture";
}

TEST_F(Metadata, LoopsOfAnAiffFileAreReadButNotWrittenAndThatIsSaid) {
  make(SF_FORMAT_AIFF | SF_FORMAT_PCM_16, 1, [](SNDFILE*) {});
  std::string bytes = content(folder_ / "in");
  // INST: base note, detune, low and high note, low and high velocity, gain, two loops of three numbers.
  const std::string instrument("INST\0\0\0\x14\x3c\0\0\x7f\1\x7f\0\0\0\1\0\1\0\2\0\0\0\0\0\0", 28);
  bytes.insert(bytes.find("SSND"), instrument);
  const auto size = static_cast<std::uint32_t>(bytes.size() - 8);
  for (unsigned i = 0; i < 4; ++i) bytes[4 + i] = static_cast<char>(size >> (24 - 8 * i));
  std::ofstream(folder_ / "in", std::ios::binary) << bytes;
  SF_INSTRUMENT out{};
  ASSERT_EQ(sf_command(open("in").get(), SFC_GET_INSTRUMENT, &out, sizeof out), SF_TRUE);
  EXPECT_FALSE(copy());
}

}  // namespace
}  // namespace noisefloor
