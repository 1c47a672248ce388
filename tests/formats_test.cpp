// Promise: every kind of file that the installed libsndfile reads and writes comes out as the same kind, with the same
// samples and the noise in full resolution, and the same bytes in every call.
// SPDX-License-Identifier: MIT
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sndfile.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <ostream>
#include <string>
#include <vector>

#include "harness/audio/sound_file.hpp"
#include "harness/base/error.hpp"
#include "harness/workloads/etl.hpp"
#include "temporary_folder.hpp"

namespace noisefloor {
namespace {

constexpr double kAmplitude = 0.01;
constexpr std::int64_t kFrames = 5'040;

struct Kind {
  std::string name;
  int format = 0;
};

bool is_lossless(int format) {
  switch (format & SF_FORMAT_SUBMASK) {
    case SF_FORMAT_PCM_S8:
    case SF_FORMAT_PCM_U8:
    case SF_FORMAT_PCM_16:
    case SF_FORMAT_PCM_24:
    case SF_FORMAT_PCM_32:
    case SF_FORMAT_FLOAT:
    case SF_FORMAT_DOUBLE:
    case SF_FORMAT_DWVW_16:
    case SF_FORMAT_DWVW_24:
    case SF_FORMAT_DPCM_8:
    case SF_FORMAT_DPCM_16:
    case SF_FORMAT_ALAC_16:
    case SF_FORMAT_ALAC_20:
    case SF_FORMAT_ALAC_24:
    case SF_FORMAT_ALAC_32:
      return true;
    default:
      return false;
  }
}

/// One of the containers that this libsndfile says it writes, with all it writes in it, in every byte order.
struct Container {
  std::string name;
  std::vector<Kind> kinds;
};
void PrintTo(const Container& container, std::ostream* out) { *out << container.name; }

std::vector<Container> containers() {
  std::vector<Container> all;
  int containers = 0, subtypes = 0;
  sf_command(nullptr, SFC_GET_FORMAT_MAJOR_COUNT, &containers, sizeof containers);
  sf_command(nullptr, SFC_GET_FORMAT_SUBTYPE_COUNT, &subtypes, sizeof subtypes);
  for (int c = 0; c < containers; ++c) {
    SF_FORMAT_INFO major{};
    major.format = c;
    sf_command(nullptr, SFC_GET_FORMAT_MAJOR, &major, sizeof major);
    // Samples without a header, and samples apart from theirs.
    if (major.format == SF_FORMAT_RAW || major.format == SF_FORMAT_SD2) continue;
    Container container;
    for (const char letter : std::string(major.name)) {
      if (std::isalnum(static_cast<unsigned char>(letter)) != 0) container.name += letter;
    }
    for (int s = 0; s < subtypes; ++s) {
      SF_FORMAT_INFO subtype{};
      subtype.format = s;
      sf_command(nullptr, SFC_GET_FORMAT_SUBTYPE, &subtype, sizeof subtype);
      for (const int order : {int{SF_ENDIAN_FILE}, int{SF_ENDIAN_LITTLE}, int{SF_ENDIAN_BIG}}) {
        SF_INFO info{};
        info.channels = 1;
        info.samplerate = 48000;
        info.format = major.format | subtype.format | order;
        if (sf_format_check(&info) == SF_FALSE) continue;
        const char* order_name = order == SF_ENDIAN_BIG ? ", big-endian" : order != 0 ? ", little-endian" : "";
        container.kinds.push_back({std::string(subtype.name) + order_name, info.format});
      }
    }
    all.push_back(container);
  }
  return all;
}

/// A chord in doubles, another in each channel. Loud enough for every code, soft enough not to be clipped.
std::vector<double> chord(int channels) {
  std::vector<double> samples(static_cast<std::size_t>(kFrames * channels));
  for (std::size_t i = 0; i < samples.size(); ++i) {
    const std::size_t frame = i / static_cast<std::size_t>(channels);
    const auto t = static_cast<double>(frame);
    const double pitch = 0.02 + 0.003 * static_cast<double>(i % static_cast<std::size_t>(channels));
    samples[i] = 0.3 * std::sin(pitch * t) + 0.2 * std::sin(0.0631 * t + 1);
  }
  return samples;
}

/// False if libsndfile cannot make the file after all.
bool make_sound(const std::string& path, int format, int channels) {
  SF_INFO info{};
  info.channels = channels;
  info.samplerate = (format & SF_FORMAT_TYPEMASK) == SF_FORMAT_XI ? 44100 : 48000;
  info.format = format;
  if (sf_format_check(&info) == SF_FALSE) return false;
  SNDFILE* file = sf_open(path.c_str(), SFM_WRITE, &info);
  if (file == nullptr) return false;
  const std::vector<double> samples = chord(channels);
  const bool is_written = sf_writef_double(file, samples.data(), kFrames) == kFrames;
  return sf_close(file) == 0 && is_written;
}

struct Sound {
  SoundFacts facts;
  std::vector<double> samples;  // in units of full scale
};

Sound read_sound(const std::string& path) {
  SoundReader reader(path);
  Sound sound{reader.facts(), {}};
  std::vector<std::byte> buffer(1000 * sound.facts.frame_bytes());
  for (std::size_t got = 1000; got == 1000;) {
    got = reader.read(buffer.data(), 1000);
    for (std::size_t i = 0; i < got * static_cast<std::size_t>(sound.facts.channels); ++i) {
      double value = 0;
      const auto take = [&]<class T>(T sample) {
        std::memcpy(&sample, buffer.data() + i * sizeof(T), sizeof(T));
        value = static_cast<double>(sample);
      };
      if (sound.facts.sample_type == SampleType::int16) {
        take(std::int16_t{});
      } else if (sound.facts.sample_type == SampleType::int32) {
        take(std::int32_t{});
      } else if (sound.facts.sample_type == SampleType::float32) {
        take(float{});
      } else {
        take(double{});
      }
      sound.samples.push_back(value / full_scale(sound.facts.sample_type));
    }
  }
  return sound;
}

std::string content(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string process(const TemporaryFolder& folder, const std::string& name, const std::string& output,
                    double amplitude) {
  EtlOptions options;
  options.kernel = &select_kernel("auto");
  options.amplitude = amplitude;
  options.output_root = folder.path();
  const EtlWorkload workload({{folder / name, output, 42}}, options);
  std::vector<TaskResult> results(1);
  std::vector<std::byte> returned;
  workload.run({0, 1}, results, returned);
  if (results[0].status == 0) return "";
  return {reinterpret_cast<const char*>(returned.data()), returned.size()};
}

class Formats : public testing::TestWithParam<Container> {
 protected:
  /// Whether libsndfile made one.
  bool keeps_all(int format, int channels) {
    for (const char* name : {"in", "same", "noisy", "again"}) std::filesystem::remove(folder_ / name);
    if (!make_sound(folder_ / "in", format, channels)) return false;
    EXPECT_EQ(process(folder_, "in", "same", 0), "");
    EXPECT_EQ(process(folder_, "in", "noisy", kAmplitude), "");
    EXPECT_EQ(process(folder_, "in", "again", kAmplitude), "");
    if (HasFailure()) return true;
    EXPECT_TRUE(content(folder_ / "noisy") == content(folder_ / "again")) << "the same bytes in every call";

    const Sound in = read_sound(folder_ / "in");
    const Sound same = read_sound(folder_ / "same");
    const Sound noisy = read_sound(folder_ / "noisy");
    for (const Sound* out : {&same, &noisy}) {
      EXPECT_EQ(out->facts.format, in.facts.format) << std::hex << in.facts.format;
      EXPECT_EQ(out->facts.channels, channels);
      EXPECT_EQ(out->facts.rate, in.facts.rate);
      EXPECT_EQ(out->facts.frames, in.facts.frames);
      EXPECT_EQ(out->samples.size(), in.samples.size());
    }
    // libsndfile writes the last block of a dump for MIDI with 8 bits, and does not read it.
    const std::int64_t unread = (format & SF_FORMAT_TYPEMASK) == SF_FORMAT_SDS ? 60 : 0;
    EXPECT_GE(in.samples.size(), static_cast<std::size_t>((kFrames - unread) * channels));
    if (!is_lossless(format) || noisy.samples.size() != in.samples.size()) return true;
    EXPECT_TRUE(same.samples == in.samples) << "no noise: the same samples";
    double power = 0, finest = 1;
    for (std::size_t i = 0; i < in.samples.size(); ++i) {
      const double noise = noisy.samples[i] - in.samples[i];
      power += noise * noise;
      if (noise != 0) finest = std::min(finest, std::abs(noise));
    }
    // Integer noise is rounded to steps: a variance of 1/12.
    const bool is_real = in.facts.sample_type == SampleType::float32 || in.facts.sample_type == SampleType::float64;
    const double step = is_real ? 0 : in.facts.step / full_scale(in.facts.sample_type);
    const double expected = std::sqrt(kAmplitude * kAmplitude + step * step / 12);
    EXPECT_NEAR(std::sqrt(power / static_cast<double>(in.samples.size())), expected, 0.05 * expected);
    // Full resolution: noise as fine as the least step, or, where that is too rare, as finely as this many samples
    // show.
    EXPECT_LE(finest, std::max(step, 0.01 * kAmplitude) * 1.001);
    return true;
  }

  const TemporaryFolder folder_;
};

TEST_P(Formats, KeepTheirKindTheirSamplesAndTheirBytes) {
  for (const Kind& kind : GetParam().kinds) {
    int made = 0;
    for (const int channels : {1, 2, 6}) {
      SCOPED_TRACE(kind.name + ", " + std::to_string(channels) + " channels");
      if (keeps_all(kind.format, channels)) ++made;
    }
    if (made == 0) std::printf("not made by this libsndfile after all: %s\n", kind.name.c_str());
  }
}

INSTANTIATE_TEST_SUITE_P(Installed, Formats, testing::ValuesIn(containers()),
                         [](const auto& container) { return container.param.name; });

TEST(Channels, OfAnyNumberKeepTheirOrder) {
  const TemporaryFolder folder;
  for (const int channels : {1, 2, 3, 4, 5, 6, 7, 8, 11, 64}) {
    ASSERT_TRUE(make_sound(folder / "in", SF_FORMAT_WAV | SF_FORMAT_PCM_16, channels));
    std::filesystem::remove(folder / "out");
    ASSERT_EQ(process(folder, "in", "out", 0), "");
    EXPECT_TRUE(read_sound(folder / "out").samples == read_sound(folder / "in").samples) << channels;
    if (channels > 8) continue;
    ASSERT_TRUE(make_sound(folder / "in", SF_FORMAT_FLAC | SF_FORMAT_PCM_24, channels));
    std::filesystem::remove(folder / "out");
    ASSERT_EQ(process(folder, "in", "out", 0), "");
    EXPECT_TRUE(read_sound(folder / "out").samples == read_sound(folder / "in").samples) << channels;
  }
}

}  // namespace
}  // namespace noisefloor
