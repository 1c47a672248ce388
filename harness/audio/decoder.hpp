// Compressed formats that libsndfile does not read to their end, read with the libraries that it reads them with.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace noisefloor {

/// What became of the bytes of a sound file, all of them.
struct ByteAccount {
  std::uint64_t sound = 0;     ///< decoded as samples
  std::uint64_t metadata = 0;  ///< headers, chunks and tags
  std::uint64_t other = 0;     ///< neither
};

/// Decodes a file from its beginning to its end. For one thread.
class Decoder {
 public:
  virtual ~Decoder() = default;
  /// Frames that the file promises, known when it was opened; empty if it says none.
  [[nodiscard]] virtual std::optional<std::int64_t> promised() const = 0;
  /// As SoundReader::read(). Throws Error if the system cannot read, or the file becomes another kind of sound.
  virtual std::size_t read(void* samples, std::size_t frames) = 0;
  /// After the end was read:
  [[nodiscard]] virtual bool damaged() const = 0;
  [[nodiscard]] virtual ByteAccount account() const = 0;
};

/// A FLAC file of `file_bytes` bytes with samples of `bits` bits, which become int16 (up to 16 bits) or int32, their
/// highest bits those of the type. `fd` and `path`, for messages, outlive it.
[[nodiscard]] std::unique_ptr<Decoder> decode_flac(int fd, std::uint64_t file_bytes, int channels, int rate, int bits,
                                                   const std::string& path);

/// An MPEG file; samples become float32.
[[nodiscard]] std::unique_ptr<Decoder> decode_mpeg(int fd, std::uint64_t file_bytes, int channels, int rate,
                                                   const std::string& path);

}  // namespace noisefloor
