// Promise: samples pass through files without losing a bit, and bad files are told apart and named.
// SPDX-License-Identifier: MIT
#include "harness/audio/sound_file.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sndfile.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cmath>
#include <csignal>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <limits>
#include <string>
#include <tuple>
#include <vector>

#include "harness/base/error.hpp"
#include "harness/base/unique_fd.hpp"
#include "temporary_folder.hpp"

/// Of descriptors that are not open: somebody closed them before.
static int failed_closes = 0;

/// The C library's, counted; what is linked into this program calls this one.
extern "C" int close(int fd) {
  const auto result = static_cast<int>(::syscall(SYS_close, fd));
  if (result != 0 && errno == EBADF) ++failed_closes;
  return result;
}

namespace noisefloor {
namespace {

namespace fs = std::filesystem;

struct Kind {
  const char* name;
  int format;
  SampleType type;
  int step;
};

SoundFacts facts_of(const Kind& kind, int channels) {
  return {.frames = 0,
          .channels = channels,
          .rate = 22050,
          .format = kind.format,
          .sample_type = kind.type,
          .step = kind.step};
}

/// `frames` frames that use the type's whole range, in multiples of the step.
std::vector<std::byte> samples_of(const SoundFacts& facts, std::size_t frames) {
  const std::size_t count = frames * static_cast<std::size_t>(facts.channels);
  std::vector<std::byte> bytes(count * bytes_per_sample(facts.sample_type));
  for (std::size_t i = 0; i < count; ++i) {
    const auto hash = static_cast<std::uint32_t>((i + 1) * 0x9E3779B97F4A7C15U >> 32);
    if (facts.sample_type == SampleType::int16) {
      const auto value = static_cast<std::int16_t>(hash & ~static_cast<std::uint32_t>(facts.step - 1));
      std::memcpy(&bytes[i * 2], &value, 2);
    } else if (facts.sample_type == SampleType::int32) {
      const auto value = static_cast<std::int32_t>(hash & ~static_cast<std::uint32_t>(facts.step - 1));
      std::memcpy(&bytes[i * 4], &value, 4);
    } else if (facts.sample_type == SampleType::float32) {
      const float value = static_cast<float>(static_cast<std::int32_t>(hash)) * 0x1p-30F;  // beyond ±1, too
      std::memcpy(&bytes[i * 4], &value, 4);
    } else {
      const double value = static_cast<std::int32_t>(hash) * (1.0 / 3.0) * 0x1p-30;
      std::memcpy(&bytes[i * 8], &value, 8);
    }
  }
  return bytes;
}

void write_sound(const std::string& path, const SoundFacts& facts, const std::vector<std::byte>& samples) {
  const UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  ASSERT_TRUE(fd);
  SoundWriter writer(fd.get(), facts, path);
  writer.write(samples.data(), samples.size() / facts.frame_bytes());
  const std::uint64_t bytes = writer.finish();
  EXPECT_EQ(bytes, fs::file_size(path));
}

/// All samples, read `piece` frames at a time.
std::vector<std::byte> read_sound(SoundReader& reader, std::size_t piece) {
  std::vector<std::byte> all, buffer(piece * reader.facts().frame_bytes());
  for (;;) {
    const std::size_t got = reader.read(buffer.data(), piece);
    all.insert(all.end(), buffer.begin(),
               buffer.begin() + static_cast<std::ptrdiff_t>(got * reader.facts().frame_bytes()));
    if (got < piece) return all;
  }
}

std::string content(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void put(const std::string& path, const std::string& bytes) { std::ofstream(path, std::ios::binary) << bytes; }

std::string refusal(const std::string& path) {
  try {
    const SoundReader reader(path);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

std::string wav_bytes(const TemporaryFolder& folder, std::size_t frames) {
  const SoundFacts facts = wav_facts(SampleType::int16, 2, 8000, 0);
  write_sound(folder / "whole.wav", facts, samples_of(facts, frames));
  return content(folder / "whole.wav");
}

class RoundTrip : public testing::TestWithParam<Kind> {};

TEST_P(RoundTrip, KeepsEverySampleAndTheKindOfFile) {
  const TemporaryFolder folder;
  for (const int channels : {1, 2, 5}) {
    const SoundFacts facts = facts_of(GetParam(), channels);
    const std::vector<std::byte> samples = samples_of(facts, 10'007);
    write_sound(folder / "sound", facts, samples);
    SoundReader reader(folder / "sound");
    EXPECT_EQ(reader.facts().format & SF_FORMAT_SUBMASK, GetParam().format & SF_FORMAT_SUBMASK);
    EXPECT_EQ(reader.facts().format & SF_FORMAT_TYPEMASK, GetParam().format & SF_FORMAT_TYPEMASK);
    EXPECT_EQ(reader.facts().channels, channels);
    EXPECT_EQ(reader.facts().rate, 22050);
    EXPECT_EQ(reader.facts().frames, 10'007);
    EXPECT_EQ(reader.facts().sample_type, GetParam().type);
    EXPECT_EQ(reader.facts().step, GetParam().step);
    EXPECT_TRUE(read_sound(reader, 997) == samples);
    EXPECT_FALSE(reader.truncated());
    EXPECT_FALSE(reader.damaged());
  }
}

TEST_P(RoundTrip, GivesTheSameBytesAtAnotherTime) {
  const TemporaryFolder folder;
  const SoundFacts facts = facts_of(GetParam(), 1);
  const std::vector<std::byte> samples = samples_of(facts, 1000);
  write_sound(folder / "a", facts, samples);
  // A PEAK chunk would hold the second in which it was written.
  const auto second = std::time(nullptr);
  if ((GetParam().format & SF_FORMAT_SUBMASK) == SF_FORMAT_FLOAT) {
    while (std::time(nullptr) == second) ::usleep(10'000);
  }
  write_sound(folder / "b", facts, samples);
  EXPECT_TRUE(content(folder / "a") == content(folder / "b"));
  EXPECT_EQ(content(folder / "a").find("PEAK"), std::string::npos);
}

INSTANTIATE_TEST_SUITE_P(Kinds, RoundTrip,
                         testing::Values(Kind{"WavInt16", SF_FORMAT_WAV | SF_FORMAT_PCM_16, SampleType::int16, 1},
                                         Kind{"WavUint8", SF_FORMAT_WAV | SF_FORMAT_PCM_U8, SampleType::int16, 256},
                                         Kind{"WavInt24", SF_FORMAT_WAV | SF_FORMAT_PCM_24, SampleType::int32, 256},
                                         Kind{"WavInt32", SF_FORMAT_WAV | SF_FORMAT_PCM_32, SampleType::int32, 1},
                                         Kind{"WavFloat", SF_FORMAT_WAV | SF_FORMAT_FLOAT, SampleType::float32, 1},
                                         Kind{"WavDouble", SF_FORMAT_WAV | SF_FORMAT_DOUBLE, SampleType::float64, 1},
                                         Kind{"WavexInt16", SF_FORMAT_WAVEX | SF_FORMAT_PCM_16, SampleType::int16, 1},
                                         Kind{"Rf64Int16", SF_FORMAT_RF64 | SF_FORMAT_PCM_16, SampleType::int16, 1},
                                         Kind{"AiffInt8", SF_FORMAT_AIFF | SF_FORMAT_PCM_S8, SampleType::int16, 256},
                                         Kind{"AiffInt16", SF_FORMAT_AIFF | SF_FORMAT_PCM_16, SampleType::int16, 1},
                                         Kind{"AiffInt24", SF_FORMAT_AIFF | SF_FORMAT_PCM_24, SampleType::int32, 256},
                                         Kind{"AuInt16", SF_FORMAT_AU | SF_FORMAT_PCM_16, SampleType::int16, 1},
                                         Kind{"FlacInt8", SF_FORMAT_FLAC | SF_FORMAT_PCM_S8, SampleType::int16, 256},
                                         Kind{"FlacInt16", SF_FORMAT_FLAC | SF_FORMAT_PCM_16, SampleType::int16, 1},
                                         Kind{"FlacInt24", SF_FORMAT_FLAC | SF_FORMAT_PCM_24, SampleType::int32, 256}),
                         [](const auto& kind) { return std::string(kind.param.name); });

TEST(SoundReader, ReadsBothByteOrders) {
  const TemporaryFolder folder;
  const SoundFacts facts = facts_of({"", SF_FORMAT_WAV | SF_ENDIAN_BIG | SF_FORMAT_PCM_16, SampleType::int16, 1}, 1);
  const std::vector<std::byte> samples = samples_of(facts, 1000);
  write_sound(folder / "rifx.wav", facts, samples);
  EXPECT_EQ(content(folder / "rifx.wav").substr(0, 4), "RIFX");
  SoundReader reader(folder / "rifx.wav");
  EXPECT_EQ(reader.facts().frames, 1000);
  EXPECT_TRUE(read_sound(reader, 100) == samples);
  write_sound(folder / "again.wav", reader.facts(), samples);
  EXPECT_TRUE(content(folder / "rifx.wav") == content(folder / "again.wav")) << "the byte order must be kept";
}

TEST(SoundReader, TelephoneCodesSurviveAsTheyAre) {
  const TemporaryFolder folder;
  for (const int subtype : {SF_FORMAT_ULAW, SF_FORMAT_ALAW}) {
    SoundFacts facts = facts_of({"", SF_FORMAT_WAV | subtype, SampleType::int16, 1}, 1);
    write_sound(folder / "first.wav", facts, samples_of(facts, 5000));
    SoundReader reader(folder / "first.wav");
    EXPECT_EQ(reader.facts().step, subtype == SF_FORMAT_ULAW ? 4 : 16);
    const std::vector<std::byte> samples = read_sound(reader, 512);
    write_sound(folder / "second.wav", reader.facts(), samples);
    EXPECT_TRUE(content(folder / "first.wav") == content(folder / "second.wav")) << subtype_name(subtype);
  }
}

TEST(SoundReader, NamesWhatIsNoSoundFile) {
  const TemporaryFolder folder;
  EXPECT_THAT(refusal(folder / "missing.wav"),
              testing::AllOf(testing::HasSubstr("missing.wav"), testing::HasSubstr("No such file")));
  put(folder / "empty.wav", "");
  EXPECT_THAT(refusal(folder / "empty.wav"),
              testing::AllOf(testing::HasSubstr("empty.wav"), testing::HasSubstr("is empty")));
  put(folder / "text.wav", "This is a letter, not a sound, whatever its name says.\n");
  EXPECT_THAT(refusal(folder / "text.wav"), testing::HasSubstr("is no sound file"));
  fs::create_directory(folder / "folder.wav");
  EXPECT_THAT(refusal(folder / "folder.wav"), testing::HasSubstr("is a folder"));
  EXPECT_THAT(refusal("/dev/zero"), testing::HasSubstr("is a device"));
  put(folder / "cut.wav", wav_bytes(folder, 100).substr(0, 20));
  EXPECT_THAT(refusal(folder / "cut.wav"), testing::HasSubstr("is no sound file"));
}

TEST(SoundReader, DoesNotWaitForTheWriterOfAFifo) {
  const TemporaryFolder folder;
  ASSERT_EQ(::mkfifo((folder / "fifo.wav").c_str(), 0600), 0);
  EXPECT_THAT(refusal(folder / "fifo.wav"), testing::HasSubstr("is a FIFO"));
}

TEST(SoundReader, AHeaderWithoutSamplesIsASoundOfNoLength) {
  const TemporaryFolder folder;
  const SoundFacts facts = wav_facts(SampleType::int16, 1, 8000, 0);
  write_sound(folder / "silent.wav", facts, {});
  SoundReader reader(folder / "silent.wav");
  EXPECT_EQ(reader.facts().frames, 0);
  EXPECT_TRUE(read_sound(reader, 10).empty());
  EXPECT_FALSE(reader.truncated());
}

TEST(SoundReader, TellsATruncatedWavFromAWholeOne) {
  const TemporaryFolder folder;
  const std::string whole = wav_bytes(folder, 1000);
  for (const std::size_t lost : {std::size_t{1}, std::size_t{4}, std::size_t{1998}, std::size_t{4000}}) {
    put(folder / "cut.wav", whole.substr(0, whole.size() - lost));
    SoundReader reader(folder / "cut.wav");
    EXPECT_EQ(reader.facts().frames, 1000) << "the promise, not what is left";
    read_sound(reader, 64);
    EXPECT_EQ(reader.frames_read(), static_cast<std::int64_t>(1000 - (lost + 3) / 4));
    EXPECT_TRUE(reader.truncated()) << lost << " bytes lost";
  }
}

TEST(SoundReader, BytesAfterTheSamplesAreNoSamples) {
  const TemporaryFolder folder;
  const std::string whole = wav_bytes(folder, 1000);
  put(folder / "more.wav", whole + std::string("LIST\4\0\0\0abcd", 12));
  SoundReader reader(folder / "more.wav");
  read_sound(reader, 64);
  EXPECT_EQ(reader.frames_read(), 1000);
  EXPECT_FALSE(reader.truncated());
}

TEST(SoundReader, TellsATruncatedFileOfEveryPlainKindAndFlac) {
  const TemporaryFolder folder;
  for (const int container :
       {SF_FORMAT_AIFF, SF_FORMAT_AU, SF_FORMAT_RF64, SF_FORMAT_W64, SF_FORMAT_CAF, SF_FORMAT_FLAC}) {
    const SoundFacts facts = facts_of({"", container | SF_FORMAT_PCM_16, SampleType::int16, 1}, 1);
    write_sound(folder / "whole", facts, samples_of(facts, 50'000));
    const std::string whole = content(folder / "whole");
    put(folder / "cut", whole.substr(0, whole.size() / 2));
    SoundReader reader(folder / "cut");
    EXPECT_EQ(reader.facts().frames, 50'000) << std::hex << container;
    read_sound(reader, 1024);
    EXPECT_TRUE(reader.truncated()) << std::hex << container;
    EXPECT_GT(reader.frames_read(), 10'000) << std::hex << container;
    EXPECT_LT(reader.frames_read(), 30'000) << std::hex << container;
  }
}

TEST(SoundReader, AWavFromAPipeDoesNotSayItsLength) {
  const TemporaryFolder folder;
  std::string bytes = wav_bytes(folder, 1000);
  bytes.replace(4, 4, "\xff\xff\xff\xff");
  bytes.replace(40, 4, "\xff\xff\xff\xff");
  put(folder / "piped.wav", bytes);
  SoundReader reader(folder / "piped.wav");
  read_sound(reader, 64);
  EXPECT_EQ(reader.frames_read(), 1000);
  EXPECT_FALSE(reader.truncated());
  EXPECT_TRUE(reader.unsized());
}

TEST(SoundReader, WhatNeverGotItsLengthIsReadToTheEndOfTheFile) {
  const TemporaryFolder folder;
  struct Size {
    std::size_t at, width;
    char byte;
  };
  const std::vector<std::pair<int, std::vector<Size>>> never = {
      {SF_FORMAT_WAV, {{4, 4, '\0'}, {40, 4, '\0'}}},
      {SF_FORMAT_WAV, {{4, 4, '\xff'}, {40, 4, '\0'}}},
      {SF_FORMAT_RF64, {{20, 8, '\0'}, {28, 8, '\0'}, {36, 8, '\0'}}},
      {SF_FORMAT_RF64, {{20, 8, '\xff'}, {28, 8, '\xff'}}},
      {SF_FORMAT_W64, {{16, 8, '\0'}, {96, 8, '\0'}}},
      {SF_FORMAT_AU, {{8, 4, '\0'}}},
      {SF_FORMAT_AIFF, {{22, 4, '\0'}, {42, 4, '\0'}}},
  };
  for (const auto& [container, sizes] : never) {
    const SoundFacts facts = facts_of({"", container | SF_FORMAT_PCM_16, SampleType::int16, 1}, 1);
    const std::vector<std::byte> samples = samples_of(facts, 5000);
    write_sound(folder / "whole", facts, samples);
    std::string bytes = content(folder / "whole");
    for (const Size& size : sizes) bytes.replace(size.at, size.width, std::string(size.width, size.byte));
    put(folder / "open", bytes);
    SoundReader reader(folder / "open");
    EXPECT_TRUE(reader.unsized()) << std::hex << container;
    EXPECT_EQ(read_sound(reader, 777), samples) << std::hex << container;
    EXPECT_FALSE(reader.truncated() || reader.damaged()) << std::hex << container;
  }
}

TEST(SoundReader, ASoundOfNoLengthBeforeAnotherChunkIsNotReadOn) {
  const TemporaryFolder folder;
  std::string bytes = wav_bytes(folder, 0) + std::string("LIST\4\0\0\0abcd", 12);
  bytes[4] = static_cast<char>(bytes.size() - 8);
  put(folder / "none.wav", bytes);
  SoundReader reader(folder / "none.wav");
  EXPECT_FALSE(reader.unsized());
  EXPECT_TRUE(read_sound(reader, 64).empty());
}

TEST(SoundReader, WhatCannotBeOpenedIsClosedOnce) {
  const TemporaryFolder folder;
  put(folder / "text.wav", std::string(100, 'x'));
  const auto open_files = [] {
    return std::distance(fs::directory_iterator("/proc/self/fd"), fs::directory_iterator());
  };
  const auto before = open_files();
  failed_closes = 0;
  for (int i = 0; i < 3; ++i) EXPECT_THROW(SoundReader(folder / "text.wav"), Error);
  EXPECT_EQ(failed_closes, 0) << "of a descriptor that may be another thread's by then";
  EXPECT_EQ(open_files(), before);
}

TEST(SoundReader, AListThatLeadsBackToItselfIsLeftOut) {
  const TemporaryFolder folder;
  const std::string whole = wav_bytes(folder, 10);
  const std::string list("LIST\x0c\0\0\0INFOISFT\xf8\xff\xff\xff", 20);
  for (const std::string& bytes : {whole + list, whole.substr(0, 36) + list + whole.substr(36)}) {
    put(folder / "round.wav", bytes);
    SoundReader reader(folder / "round.wav");
    read_sound(reader, 64);
    EXPECT_EQ(reader.frames_read(), 10);
    EXPECT_TRUE(reader.hides_chunks());
  }
  put(folder / "whole.wav", whole + std::string("LIST\x10\0\0\0INFOISFT\4\0\0\0abc\0", 24));
  EXPECT_FALSE(SoundReader(folder / "whole.wav").hides_chunks());
}

TEST(SoundReader, RefusesAnAlignmentThatContradictsTheSamples) {
  const TemporaryFolder folder;
  std::string bytes = wav_bytes(folder, 10);
  bytes[32] = 40;
  put(folder / "odd.wav", bytes);
  try {
    const SoundReader reader(folder / "odd.wav");
    FAIL() << "samples 40 bytes apart were read as neighbours";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), testing::AllOf(testing::HasSubstr("odd.wav"), testing::HasSubstr("40 bytes")));
  }
}

TEST(SoundReader, SetsAsideNoMoreThanItsSamplesTake) {
  const TemporaryFolder folder;
  wav_bytes(folder, 1000);
  put(folder / "tail.wav", wav_bytes(folder, 1000));
  fs::resize_file(folder / "tail.wav", std::uintmax_t{1} << 34);
  EXPECT_LT(SoundReader(folder / "tail.wav").likely_bytes(), 100'000U);
}

/// A file that says `kind`, with samples that a hole in it makes more than 4 GiB.
std::string large_file(const TemporaryFolder& folder, const std::string& name, int format, std::size_t ones_at) {
  SoundFacts facts = wav_facts(SampleType::int16, 1, 8000, 0);
  facts.format = format;
  write_sound(folder / name, facts, samples_of(facts, 10));
  std::string bytes = content(folder / name);
  bytes.replace(ones_at, 4, "\xff\xff\xff\xff");
  put(folder / name, bytes);
  fs::resize_file(folder / name, (std::uintmax_t{1} << 32) + 1'000'000);
  return folder / name;
}

TEST(SoundReader, MoreSamplesThanAWavCanSayBecomeRf64OrAnError) {
  const TemporaryFolder folder;
  const SoundReader wav(large_file(folder, "large.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_16, 40));
  EXPECT_TRUE(wav.unsized());
  EXPECT_EQ(wav.facts().frames, ((std::int64_t{1} << 32) + 1'000'000 - 44) / 2);
  EXPECT_EQ(wav.facts_to_write(true).format, SF_FORMAT_RF64 | SF_FORMAT_PCM_16);
  EXPECT_THROW(static_cast<void>(wav.facts_to_write(false)), Error);
}

TEST(SoundReader, MoreSamplesThanAnotherKindCanSayAreAnErrorOrItsOwnUnknownSize) {
  const TemporaryFolder folder;
  const int big = SF_FORMAT_PCM_16;
  const SoundReader au(large_file(folder, "large.au", SF_FORMAT_AU | big, 8));
  EXPECT_EQ(au.facts_to_write(true).format, au.facts().format);
  const std::string path = large_file(folder, "large.aiff", SF_FORMAT_AIFF | big, 4);
  std::string bytes(4096, '\0');
  std::ifstream(path, std::ios::binary).read(bytes.data(), 4096);
  const std::size_t ssnd = bytes.find("SSND"), comm = bytes.find("COMM");
  std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
  file.seekp(static_cast<std::streamoff>(ssnd) + 4).write("\xff\xff\xff\xff", 4);
  file.seekp(static_cast<std::streamoff>(comm) + 10).write("\xff\xff\xff\xff", 4);
  file.close();
  const SoundReader aiff(path);
  try {
    static_cast<void>(aiff.facts_to_write(true));
    FAIL() << "an AIFF file beyond 4 GiB";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), testing::AllOf(testing::HasSubstr("AIFF"), testing::HasSubstr("4 GiB")));
  }
}

/// What a copy of the file of `bytes` holds at `at` and behind.
std::string copied_field(const TemporaryFolder& folder, const std::string& bytes, std::size_t at, std::size_t count) {
  put(folder / "in", bytes);
  SoundReader reader(folder / "in");
  write_sound(folder / "out", reader.facts(), read_sound(reader, 64));
  return content(folder / "out").substr(at, count);
}

TEST(SoundWriter, KeepsTheMaskOfChannelsAndTheValidBits) {
  const TemporaryFolder folder;
  SoundFacts facts = wav_facts(SampleType::int32, 4, 8000, 0);
  facts.format = SF_FORMAT_WAVEX | SF_FORMAT_PCM_32;
  write_sound(folder / "x.wav", facts, samples_of(facts, 10));
  constexpr std::size_t kValidBits = 38;
  for (const std::string& field : {std::string("\x18\0\0\0\0\0", 6), std::string("\x14\0\x0f\x10\0\0", 6)}) {
    std::string bytes = content(folder / "x.wav");
    bytes.replace(kValidBits, field.size(), field);
    EXPECT_EQ(copied_field(folder, bytes, kValidBits, field.size()), field);
    EXPECT_EQ(SoundReader(folder / "in").facts().step, 1 << (32 - field[0]));
  }
}

TEST(SoundWriter, KeepsTheFractionOfARate) {
  const TemporaryFolder folder;
  SoundFacts facts = wav_facts(SampleType::int16, 1, 44056, 0);
  for (const auto& [format, chunk, offset, half] : {std::tuple(SF_FORMAT_AIFF, "COMM", 16U, "\x40\x0e\xac\x18\x80"),
                                                    std::tuple(SF_FORMAT_CAF, "desc", 12U, "\x40\xe5\x83\x10")}) {
    facts.format = format | SF_FORMAT_PCM_16;
    write_sound(folder / "x", facts, samples_of(facts, 10));
    std::string bytes = content(folder / "x");
    const std::size_t at = bytes.find(chunk) + offset;
    const std::string field(half, std::strlen(half));
    bytes.replace(at, field.size(), field);
    EXPECT_EQ(copied_field(folder, bytes, at, field.size()), field) << chunk;
  }
}

TEST(SoundReader, HostileChunkSizesEndTheSearch) {
  const TemporaryFolder folder;
  const std::string whole = wav_bytes(folder, 10);
  for (std::size_t at = 4; at < 44; at += 4) {
    for (const char* value : {"\xff\xff\xff\xff", "\0\0\0\0", "\xfe\xff\xff\x7f", "\1\0\0\0"}) {
      std::string bytes = whole;
      bytes.replace(at, 4, std::string(value, 4));
      put(folder / "hostile.wav", bytes);
      try {
        SoundReader reader(folder / "hostile.wav");
        if (reader.facts().channels > 64) continue;
        read_sound(reader, 64);
        EXPECT_LE(reader.frames_read(), 64);
      } catch (const Error& error) {
        EXPECT_THAT(error.what(), testing::HasSubstr("hostile.wav"));
      }
    }
  }
}

TEST(SoundWriter, AFullDiskIsAnErrorWithTheSystemsReason) {
  const TemporaryFolder folder;
  for (const int container : {SF_FORMAT_WAV, SF_FORMAT_FLAC}) {
    const pid_t child = ::fork();
    if (child == 0) {
      // A limit on the file's size fails writes like a full disk does.
      std::signal(SIGXFSZ, SIG_IGN);
      const rlimit limit{64 << 10, 64 << 10};
      ::setrlimit(RLIMIT_FSIZE, &limit);
      const SoundFacts facts = facts_of({"", container | SF_FORMAT_PCM_16, SampleType::int16, 1}, 1);
      const std::vector<std::byte> samples = samples_of(facts, 100'000);
      const UniqueFd fd(::open((folder / "full").c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
      try {
        SoundWriter writer(fd.get(), facts, "full");
        writer.write(samples.data(), 100'000);
        writer.finish();
      } catch (const Error& error) {
        ::_exit(std::string(error.what()).find("File too large") != std::string::npos ? 0 : 1);
      }
      ::_exit(2);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0) << std::hex << container;
  }
}

TEST(SoundWriter, AFailureInTheLastWriteIsSeen) {
  // A FLAC encoder holds its last frame back until it is closed: the error comes then, or never.
  const pid_t child = ::fork();
  const TemporaryFolder folder;
  if (child == 0) {
    std::signal(SIGXFSZ, SIG_IGN);
    const SoundFacts facts = facts_of({"", SF_FORMAT_FLAC | SF_FORMAT_PCM_16, SampleType::int16, 1}, 1);
    const std::vector<std::byte> samples = samples_of(facts, 100);
    const UniqueFd fd(::open((folder / "full").c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    SoundWriter writer(fd.get(), facts, "full");
    writer.write(samples.data(), 100);
    const rlimit limit{static_cast<rlim_t>(fs::file_size(folder / "full")), RLIM_INFINITY};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    int result = 2;
    try {
      writer.finish();
    } catch (const Error&) {
      result = 0;
    }
    fs::remove_all(folder.path());
    ::_exit(result);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

TEST(SoundWriter, RefusesAKindThatCannotBeWritten) {
  const TemporaryFolder folder;
  const UniqueFd fd(::open((folder / "x").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  const SoundFacts facts = facts_of({"", SF_FORMAT_FLAC | SF_FORMAT_FLOAT, SampleType::float32, 1}, 1);
  EXPECT_THROW(SoundWriter(fd.get(), facts, "x"), Error);
}

TEST(SoundWriter, AFileOfEveryKindWithoutASampleIsStillAFile) {
  const TemporaryFolder folder;
  for (const int container :
       {SF_FORMAT_WAV, SF_FORMAT_AIFF, SF_FORMAT_AU, SF_FORMAT_RF64, SF_FORMAT_W64, SF_FORMAT_CAF, SF_FORMAT_FLAC}) {
    const SoundFacts facts = facts_of({"", container | SF_FORMAT_PCM_16, SampleType::int16, 1}, 1);
    write_sound(folder / "none", facts, {});
    SoundReader reader(folder / "none");
    EXPECT_TRUE(read_sound(reader, 64).empty()) << std::hex << container;
    EXPECT_FALSE(reader.truncated() || reader.damaged() || reader.unsized()) << std::hex << container;
  }
}

TEST(MakeFinite, TurnsNanTo0AndInfinityTo1AndCounts) {
  const float inf = std::numeric_limits<float>::infinity();
  std::vector<float> samples = {0.5F, std::nanf(""), inf, -inf, -3.5F, -std::nanf("")};
  EXPECT_EQ(make_finite(samples.data(), samples.size()), 4U);
  EXPECT_THAT(samples, testing::ElementsAre(0.5F, 0.0F, 1.0F, -1.0F, -3.5F, 0.0F));
  std::vector<double> doubles = {std::nan(""), 2.0, -std::numeric_limits<double>::infinity()};
  EXPECT_EQ(make_finite(doubles.data(), doubles.size()), 2U);
  EXPECT_THAT(doubles, testing::ElementsAre(0.0, 2.0, -1.0));
  EXPECT_EQ(make_finite(doubles.data(), doubles.size()), 0U);
}

TEST(PieceFrames, EndsAtAPageBorderWhereOneIsWithinReach) {
  const std::size_t first = piece_frames(44, 65536, 2);
  EXPECT_EQ((44 + first * 2) % 4096, 0U);
  EXPECT_LE(first * 2, 65536U);
  EXPECT_EQ(piece_frames(65536, 65536, 2) * 2, 65536U);
  const std::size_t odd = piece_frames(44, 65536, 10);
  EXPECT_EQ((44 + odd * 10) % 4096, 0U);
  EXPECT_EQ(piece_frames(44, 65536, 8), 65536U / 8) << "no multiple of 8 ends there";
  EXPECT_EQ(piece_frames(-1, 65536, 2), 32768U);
  EXPECT_EQ(piece_frames(44, 1000, 2), 500U);
}

}  // namespace
}  // namespace noisefloor
