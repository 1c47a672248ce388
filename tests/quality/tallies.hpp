// Counts and sums over a long stretch of noise, from which its quality is judged. Streaming: nothing is kept.
// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <thread>
#include <utility>
#include <vector>

#include "kernels/kernel.hpp"

namespace noisefloor::quality {

/// A stretch of one stream in whole blocks.
struct Stretch {
  NoiseKey key;
  std::uint64_t first_block = 0;
  std::uint64_t blocks = 0;
};

/// Splits `stretch` among `threads` threads, each of which fills a Tally of its own by tally.add(part), and
/// adds them up in order of their parts.
template <class Tally>
Tally in_threads(const Tally& empty, const Stretch& stretch, unsigned threads) {
  std::vector<Tally> parts(threads, empty);
  {
    std::vector<std::jthread> workers;
    for (unsigned t = 0; t < threads; ++t) {
      const std::uint64_t first = stretch.blocks * t / threads;
      const std::uint64_t last = stretch.blocks * (t + 1) / threads;
      workers.emplace_back(
          [&part = parts[t], own = Stretch{stretch.key, stretch.first_block + first, last - first}] { part.add(own); });
    }
  }
  Tally total = std::move(parts[0]);
  for (unsigned t = 1; t < threads; ++t) total.merge(parts[t]);
  return total;
}

/// Standard normals of `blocks` blocks into `out`.
inline void draw(const KernelCode& code, NoiseKey key, std::uint64_t first_block, std::uint64_t blocks, float* out) {
  const std::size_t n = static_cast<std::size_t>(blocks) * kBlockSamples;
  std::fill_n(out, n, 0.0F);
  code.f32(out, out, n, 1.0F, key, first_block * kBlockSamples);
}

inline constexpr std::uint64_t kPieceBlocks = 16;  ///< blocks drawn at a time

/// float32: how many normals lie in [k/kPerUnit, (k + 1)/kPerUnit), and the sums of their first four powers.
struct FloatTally {
  static constexpr int kPerUnit = 2048;
  static constexpr int kReach = 8;  ///< cells cover -kReach … kReach
  KernelCode code;
  std::vector<std::uint64_t> cells = std::vector<std::uint64_t>(2 * kReach * kPerUnit);
  std::array<double, 4> powers{};
  std::uint64_t samples = 0;

  void add(const Stretch& part) {
    std::vector<float> z(kPieceBlocks * kBlockSamples);
    for (std::uint64_t done = 0; done < part.blocks; done += kPieceBlocks) {
      const std::uint64_t blocks = std::min(kPieceBlocks, part.blocks - done);
      draw(code, part.key, part.first_block + done, blocks, z.data());
      const std::size_t n = static_cast<std::size_t>(blocks) * kBlockSamples;
      double sums[4] = {};
      for (std::size_t i = 0; i < n; ++i) {
        const double value = static_cast<double>(z[i]);
        const double square = value * value;
        sums[0] += value;
        sums[1] += square;
        sums[2] += square * value;
        sums[3] += square * square;
        ++cells[static_cast<std::size_t>(value * kPerUnit + kReach * kPerUnit)];
      }
      for (std::size_t p = 0; p < 4; ++p) powers[p] += sums[p];
      samples += n;
    }
  }
  void merge(const FloatTally& other) {
    for (std::size_t i = 0; i < cells.size(); ++i) cells[i] += other.cells[i];
    for (std::size_t p = 0; p < 4; ++p) powers[p] += other.powers[p];
    samples += other.samples;
  }
};

/// int16: how often each value came, from -32768.
struct ShortTally {
  KernelCode code;
  float sigma;
  std::vector<std::uint64_t> cells = std::vector<std::uint64_t>(65536);
  std::uint64_t samples = 0, saturated = 0;

  void add(const Stretch& part) {
    std::vector<std::int16_t> out(kPieceBlocks * kBlockSamples);
    for (std::uint64_t done = 0; done < part.blocks; done += kPieceBlocks) {
      const std::size_t n = static_cast<std::size_t>(std::min(kPieceBlocks, part.blocks - done)) * kBlockSamples;
      std::fill(out.begin(), out.end(), std::int16_t{0});
      saturated += code.i16(out.data(), out.data(), n, sigma, 1, part.key, (part.first_block + done) * kBlockSamples);
      for (std::size_t i = 0; i < n; ++i) ++cells[static_cast<std::size_t>(out[i] + 32768)];
      samples += n;
    }
  }
  void merge(const ShortTally& other) {
    for (std::size_t i = 0; i < cells.size(); ++i) cells[i] += other.cells[i];
    samples += other.samples;
    saturated += other.saturated;
  }
};

/// Sums of products of two normals, and of their squares brought to mean 0 and variance 1. Where the
/// normals are independent, a sum over n pairs has mean 0 and variance n.
struct Products {
  double values = 0, squares = 0;
  std::uint64_t pairs = 0;

  void add(const float* a, const float* b, const float* a_squares, const float* b_squares, std::size_t n) {
    // Pieces short enough for float32 sums.
    constexpr std::size_t kPiece = 1024;
    for (std::size_t start = 0; start < n; start += kPiece) {
      const std::size_t end = std::min(n, start + kPiece);
      float value_sum = 0, square_sum = 0;
#pragma omp simd reduction(+ : value_sum, square_sum)
      for (std::size_t i = start; i < end; ++i) {
        value_sum += a[i] * b[i];
        square_sum += a_squares[i] * b_squares[i];
      }
      values += static_cast<double>(value_sum);
      squares += static_cast<double>(square_sum);
    }
    pairs += n;
  }
  void merge(const Products& other) {
    values += other.values;
    squares += other.squares;
    pairs += other.pairs;
  }
};

inline void standard_squares(const float* z, float* out, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) out[i] = (z[i] * z[i] - 1.0F) * 0.70710678F;
}

/// Products of samples at a distance: everywhere, and only across the borders of blocks.
struct LagTally {
  KernelCode code;
  std::vector<std::size_t> lags;  ///< each at most kBlockSamples · 2
  std::vector<Products> all = std::vector<Products>(lags.size());
  std::vector<Products> borders = std::vector<Products>(lags.size());

  void add(const Stretch& part) {
    constexpr std::uint64_t kAhead = 2;  // blocks beyond the piece, for the partners of its last samples
    constexpr std::size_t kLength = (kPieceBlocks + kAhead) * kBlockSamples;
    std::vector<float> z(kLength), squares(kLength);
    for (std::uint64_t done = 0; done < part.blocks; done += kPieceBlocks) {
      const std::uint64_t blocks = std::min(kPieceBlocks, part.blocks - done);
      draw(code, part.key, part.first_block + done, blocks + kAhead, z.data());
      standard_squares(z.data(), squares.data(), kLength);
      const auto pairs = [&](Products& products, std::size_t from, std::size_t lag, std::size_t n) {
        products.add(&z[from], &z[from + lag], &squares[from], &squares[from + lag], n);
      };
      for (std::size_t k = 0; k < lags.size(); ++k) {
        pairs(all[k], 0, lags[k], static_cast<std::size_t>(blocks) * kBlockSamples);
        if (lags[k] > 64) continue;
        for (std::uint64_t border = 1; border <= blocks; ++border) {
          pairs(borders[k], static_cast<std::size_t>(border) * kBlockSamples - lags[k], lags[k], lags[k]);
        }
      }
    }
  }
  void merge(const LagTally& other) {
    for (std::size_t k = 0; k < lags.size(); ++k) {
      all[k].merge(other.all[k]);
      borders[k].merge(other.borders[k]);
    }
  }
};

/// Products of the samples at the same place of two streams.
struct StreamTally {
  KernelCode code;
  NoiseKey other_key;
  Products products{};

  void add(const Stretch& part) {
    constexpr std::size_t kLength = kPieceBlocks * kBlockSamples;
    std::vector<float> a(kLength), b(kLength), a_squares(kLength), b_squares(kLength);
    for (std::uint64_t done = 0; done < part.blocks; done += kPieceBlocks) {
      const std::uint64_t blocks = std::min(kPieceBlocks, part.blocks - done);
      draw(code, part.key, part.first_block + done, blocks, a.data());
      draw(code, other_key, part.first_block + done, blocks, b.data());
      standard_squares(a.data(), a_squares.data(), kLength);
      standard_squares(b.data(), b_squares.data(), kLength);
      products.add(a.data(), b.data(), a_squares.data(), b_squares.data(),
                   static_cast<std::size_t>(blocks) * kBlockSamples);
    }
  }
  void merge(const StreamTally& other) { products.merge(other.products); }
};

/// A hash of the first 32 samples of each block: equal blocks have equal ones.
struct BlockTally {
  KernelCode code;
  std::vector<std::uint64_t> hashes = {};

  void add(const Stretch& part) {
    for (std::uint64_t block = part.first_block; block < part.first_block + part.blocks; ++block) {
      std::array<float, kGroupSamples> z{};
      code.f32(z.data(), z.data(), z.size(), 1.0F, part.key, block * kBlockSamples);
      std::uint64_t hash = 0;
      for (const float sample : z) {
        hash = (hash ^ std::bit_cast<std::uint32_t>(sample)) * 0x9e3779b97f4a7c15U;
        hash ^= hash >> 29;
      }
      hashes.push_back(hash);
    }
  }
  void merge(const BlockTally& other) { hashes.insert(hashes.end(), other.hashes.begin(), other.hashes.end()); }

  [[nodiscard]] std::uint64_t repeated() {
    std::sort(hashes.begin(), hashes.end());
    std::uint64_t count = 0;
    for (std::size_t i = 1; i < hashes.size(); ++i) count += static_cast<std::uint64_t>(hashes[i] == hashes[i - 1]);
    return count;
  }
};

}  // namespace noisefloor::quality
