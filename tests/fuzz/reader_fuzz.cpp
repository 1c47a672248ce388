// Any bytes as a sound file, on the way of an ETL task: opened, read in its pieces, made finite, written with what is
// said beside the samples, and read again. The fuzzer's entry point.
// SPDX-License-Identifier: MIT
//
// libsndfile and its decoders are the system's, not instrumented: the sanitizers see the memory that they allocate and
// copy by the C library, not their own loads and stores, and the fuzzer's coverage is that of this project's code.
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "harness/audio/metadata.hpp"
#include "harness/audio/sound_file.hpp"
#include "harness/base/error.hpp"
#include "harness/base/unique_fd.hpp"

using noisefloor::SampleType;
using noisefloor::SoundFacts;
using noisefloor::SoundReader;
using noisefloor::SoundWriter;
using noisefloor::UniqueFd;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

constexpr std::size_t kBufferBytes = 64 << 10;
constexpr std::int64_t kMostBytes = 4 << 20;  // of samples: a few bytes of FLAC can be hours

/// Ends the process, for the fuzzer to keep the input.
void require(bool holds, std::string_view promise) {
  if (holds) return;
  fmt::print(stderr, "broken promise: {}\n", promise);
  std::abort();
}

/// A file in memory, which has a path.
class MemoryFile {
 public:
  explicit MemoryFile(const char* name) : fd_(::memfd_create(name, MFD_CLOEXEC)) {
    require(static_cast<bool>(fd_), "there is a file in memory");
  }
  [[nodiscard]] int fd() const noexcept { return fd_.get(); }
  [[nodiscard]] std::string path() const { return fmt::format("/proc/self/fd/{}", fd_.get()); }
  void fill(const std::uint8_t* data, std::size_t size) const {
    require(::ftruncate(fd_.get(), 0) == 0 && ::lseek(fd_.get(), 0, SEEK_SET) == 0, "it can be emptied");
    for (std::size_t done = 0; done < size;) {
      const ssize_t written = ::pwrite(fd_.get(), data + done, size - done, static_cast<off_t>(done));
      if (written < 0 && errno == EINTR) continue;
      require(written > 0, "it can be written");
      done += static_cast<std::size_t>(written);
    }
  }

 private:
  UniqueFd fd_;
};

template <class T>
void require_finite(const std::byte* bytes, std::size_t count) {
  const auto* samples = reinterpret_cast<const T*>(bytes);
  require(std::all_of(samples, samples + count, [](T x) { return std::isfinite(x); }), "samples are finite");
}

void clean(SampleType type, std::byte* samples, std::size_t count) {
  if (type == SampleType::float32) {
    noisefloor::make_finite(reinterpret_cast<float*>(samples), count);
    require_finite<float>(samples, count);
  } else if (type == SampleType::float64) {
    noisefloor::make_finite(reinterpret_cast<double*>(samples), count);
    require_finite<double>(samples, count);
  }
}

/// Reads pieces as the ETL does, and calls take(frames) for each: at most kMostBytes and a piece.
template <class F>
void read_all(SoundReader& reader, std::vector<std::byte>& buffer, F&& take) {
  const SoundFacts& facts = reader.facts();
  const std::size_t frame_bytes = facts.frame_bytes();
  const std::int64_t most = std::max<std::int64_t>(1, kMostBytes / static_cast<std::int64_t>(frame_bytes));
  while (reader.frames_read() < most) {
    const std::size_t wanted = noisefloor::piece_frames(reader.offset(), buffer.size(), frame_bytes);
    require(wanted > 0 && wanted * frame_bytes <= buffer.size(), "a piece is at least a frame, and fits");
    const std::size_t got = reader.read(buffer.data(), wanted);
    require(got <= wanted, "no more is read than was asked for");
    clean(facts.sample_type, buffer.data(), got * static_cast<std::size_t>(facts.channels));
    if (got > 0) take(got);
    if (got < wanted) return;
  }
}

void run(const MemoryFile& in, const MemoryFile& out, std::vector<std::byte>& buffer) {
  SoundReader reader(in.path());
  const SoundFacts facts = reader.facts();
  require(facts.channels >= 1 && facts.channels <= 1024, "channels are few");
  require(facts.rate >= 1, "the rate is positive");
  require(facts.frames >= -1 && facts.step >= 1, "facts make sense");
  require(reader.likely_bytes() <= reader.file_bytes(), "no more is set aside than the file is long");
  out.fill(nullptr, 0);
  SoundWriter writer(out.fd(), reader.facts_to_write(true), "the output");
  noisefloor::copy_metadata(reader, writer);
  const bool is_plain = writer.offset() >= 0;
  read_all(reader, buffer, [&](std::size_t frames) { writer.write(buffer.data(), frames); });
  const noisefloor::ByteAccount account = reader.account();
  require(account.sound <= reader.file_bytes() && account.other <= reader.file_bytes() &&
              account.sound + account.metadata + account.other == reader.file_bytes(),
          "every byte is accounted for");
  const std::int64_t frames = reader.frames_read();
  const std::uint64_t bytes = writer.finish();
  noisefloor::keeps_metadata(reader, out.fd(), bytes);
  require(bytes > 0 && ::lseek(out.fd(), 0, SEEK_END) == static_cast<off_t>(bytes), "what is written is all there");

  SoundReader again(out.path());
  const SoundFacts& copy = again.facts();
  require(copy.channels == facts.channels && copy.rate == facts.rate, "channels and rate are kept");
  require(copy.sample_type == facts.sample_type, "the type of the samples is kept");
  read_all(again, buffer, [](std::size_t) {});
  if (is_plain) require(again.frames_read() == frames, "every frame is written");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const MemoryFile in("in"), out("out");
  static std::vector<std::byte> buffer(kBufferBytes);
  in.fill(data, size);
  try {
    run(in, out, buffer);
  } catch (const noisefloor::Error& error) {
    const std::string_view what = error.what();
    require(what.find(in.path()) != what.npos || what.find("the output") != what.npos, "an error names its file");
  }
  return 0;
}
