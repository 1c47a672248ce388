// Test signals: sines written once into the cache.
// SPDX-License-Identifier: MIT
#include "harness/audio/signals.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <numbers>
#include <system_error>

#include "harness/audio/atomic_file.hpp"
#include "harness/audio/sound_file.hpp"
#include "harness/base/error.hpp"

namespace noisefloor {
namespace {

constexpr double kAmplitude = 0.5;           // noise added to it does not saturate
constexpr std::size_t kPieceFrames = 65536;  // written at a time

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string() : std::string(value);
}

/// Cycles per frame of signal `index`: from 110 Hz up, in steps that never repeat within a corpus.
double frequency(std::uint32_t index) {
  constexpr double kLowest = 110.0, kRange = 4000.0;
  const double turns = index * std::numbers::phi;
  return (kLowest + kRange * (turns - std::floor(turns))) / kSignalRate;
}

template <class Sample>
void write_sine(SoundWriter& writer, std::uint32_t index, std::uint64_t frames, double scale) {
  // Each piece starts from an exact phase and turns a unit vector: no drift, and no sine per sample.
  std::vector<Sample> piece(kPieceFrames);
  const double step = frequency(index);
  const double cosine = std::cos(2 * std::numbers::pi * step), sine = std::sin(2 * std::numbers::pi * step);
  for (std::uint64_t first = 0; first < frames; first += kPieceFrames) {
    const double turns = step * static_cast<double>(first) + index * 0.1;
    const double angle = 2 * std::numbers::pi * (turns - std::floor(turns));
    double x = scale * std::cos(angle), y = scale * std::sin(angle);
    const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(kPieceFrames, frames - first));
    for (std::size_t k = 0; k < count; ++k) {
      piece[k] = static_cast<Sample>(y);
      const double turned = x * cosine - y * sine;
      y = x * sine + y * cosine;
      x = turned;
    }
    writer.write(piece.data(), count);
  }
}

SampleType sample_type_of(std::string_view format) {
  constexpr std::pair<std::string_view, SampleType> kTypes[] = {{"int16", SampleType::int16},
                                                                {"int32", SampleType::int32},
                                                                {"float32", SampleType::float32},
                                                                {"float64", SampleType::float64}};
  for (const auto& [name, type] : kTypes) {
    if (name == format) return type;
  }
  throw UsageError(fmt::format("no test signals of format '{}': int16, int32, float32 and float64 are made", format));
}

bool is_complete(const std::string& path, const SoundFacts& facts, std::uint64_t bytes) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) return false;
  if (static_cast<std::uint64_t>(status.st_size) <= bytes) return false;  // the header comes before the samples
  try {
    const SoundReader reader(path);
    return reader.facts().frames == facts.frames && reader.facts().channels == facts.channels &&
           reader.facts().rate == facts.rate && reader.facts().format == facts.format && reader.offset() >= 0 &&
           static_cast<std::uint64_t>(reader.offset()) + bytes == reader.file_bytes();
  } catch (const Error&) {
    return false;
  }
}

}  // namespace

std::string cache_folder() {
  std::string folder = variable("NOISEFLOOR_CACHE");
  if (folder.empty()) {
    if (const std::string base = variable("XDG_CACHE_HOME"); !base.empty()) {
      folder = base + "/noisefloor";
    } else if (const std::string home = variable("HOME"); !home.empty()) {
      folder = home + "/.cache/noisefloor";
    } else {
      throw MissingError("no place for test signals: set NOISEFLOOR_CACHE to a folder");
    }
  }
  return std::filesystem::absolute(folder).lexically_normal().string();
}

std::string cache_folder_if_any() {
  try {
    return cache_folder();
  } catch (const MissingError&) {
    return {};
  }
}

void make_folders(const std::string& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) throw system_error(fmt::format("cannot make the folder '{}'", folder), error.value());
}

std::vector<std::string> test_signals(std::uint32_t tasks, std::uint64_t frames, std::string_view format) {
  const SampleType type = sample_type_of(format);
  constexpr std::uint64_t kMostBytes = 0xffff'0000U;  // chunk sizes of WAV have 32 bits
  if (frames > kMostBytes / bytes_per_sample(type)) {
    throw UsageError(fmt::format("test signals of {} frames do not fit a WAV file: at most {} frames of {}", frames,
                                 kMostBytes / bytes_per_sample(type), format));
  }
  const SoundFacts facts = wav_facts(type, 1, kSignalRate, static_cast<std::int64_t>(frames));
  const std::uint64_t bytes = frames * bytes_per_sample(type);
  const std::string folder = fmt::format("{}/signals/{}-{}", cache_folder(), format, frames);
  std::vector<std::string> paths;
  paths.reserve(tasks);
  in_cache([&] {
    make_folders(folder);
    remove_stale(folder);
    for (std::uint32_t index = 0; index < tasks; ++index) {
      const std::string& path = paths.emplace_back(fmt::format("{}/{:04}.wav", folder, index));
      if (is_complete(path, facts, bytes)) continue;
      AtomicFile file(path);
      file.reserve(bytes);
      SoundWriter writer(file.fd(), facts, path);
      switch (type) {
        case SampleType::int16:
          write_sine<std::int16_t>(writer, index, frames, kAmplitude * 32767);
          break;
        case SampleType::int32:
          write_sine<std::int32_t>(writer, index, frames, kAmplitude * 2147483647);
          break;
        case SampleType::float32:
          write_sine<float>(writer, index, frames, kAmplitude);
          break;
        case SampleType::float64:
          write_sine<double>(writer, index, frames, kAmplitude);
          break;
      }
      const std::uint64_t written = writer.finish();
      file.publish(Publish::replace, written);
    }
  });
  return paths;
}

}  // namespace noisefloor
