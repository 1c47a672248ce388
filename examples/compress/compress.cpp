// Compress buffers with zlib: tasks of very uneven length, since the buffers differ in size and in what is in them.
// Finding: chunks lose. The longest buffers end up in one chunk and one worker waits for the other; hand them out one
// at a time (schedule dynamic, chunk size 1), as the figure "With which chunk size?" shows.
//
// SPDX-License-Identifier: MIT
// c++ -std=c++17 -O2 -shared -fPIC compress.cpp -o compress.so -lz
#include <noisefloor/work.h>
#include <zlib.h>

#include <stdexcept>
#include <vector>

struct Compress : noisefloor::Work {
  std::vector<std::vector<Bytef>> buffers;

  explicit Compress(const noisefloor_options& options) {
    std::uint64_t state = options.seed;
    for (std::uint32_t number = 0; number < 200; ++number) {
      // 4 KiB to 256 KiB, of 2 to 64 different bytes: from well compressed to hardly at all.
      std::vector<Bytef> buffer((std::size_t{4096} << (number * 7 / 200)) + number);
      const std::uint64_t kinds = 2 + number * 62 / 199;
      for (Bytef& byte : buffer) {
        state = state * 6364136223846793005U + 1442695040888963407U;
        byte = static_cast<Bytef>((state >> 33U) % kinds);
      }
      buffers.push_back(std::move(buffer));
    }
  }
  std::uint32_t tasks() const { return static_cast<std::uint32_t>(buffers.size()); }
  std::uint64_t run(std::uint32_t task) const {
    const std::vector<Bytef>& from = buffers[task];
    std::vector<Bytef> to(compressBound(from.size()));
    uLongf size = to.size();
    if (compress2(to.data(), &size, from.data(), from.size(), 9) != Z_OK) throw std::runtime_error("zlib failed");
    return adler32(1, to.data(), static_cast<uInt>(size));
  }
};
NOISEFLOOR_WORK(Compress)
