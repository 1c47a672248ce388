// A page-fault storm: a fresh buffer for every file, or one that is used again.
// SPDX-License-Identifier: MIT
#include <cstddef>
#include <cstring>
#include <memory>
#include <vector>

#include "benchmarks/pitfalls/support.hpp"
#include "benchmarks/pitfalls/table.hpp"

namespace noisefloor {
namespace {

constexpr int kFiles = 4;
constexpr std::size_t kFileBytes = std::size_t{40} << 20;  // 8 min of 16-bit mono: above malloc's largest threshold
constexpr std::size_t kPieceBytes = std::size_t{256} << 10;

/// The page cache, as it were: where reading copies from.
const std::vector<std::byte>& cached() {
  static const std::vector<std::byte> piece(kPieceBytes, std::byte{3});
  return piece;
}

// variant: fresh_buffers one_piece one_buffer
/// "Reads" a file into a buffer, and looks at the last byte of each piece.
Answer read_into(std::byte* buffer, std::size_t buffer_bytes) {
  Answer sum = 0;
  for (std::size_t at = 0; at < kFileBytes; at += kPieceBytes) {
    std::byte* piece = buffer + at % buffer_bytes;
    std::memcpy(piece, cached().data(), kPieceBytes);
    keep(*piece);
    sum += static_cast<Answer>(piece[kPieceBytes - 1]);
  }
  return sum;
}
// end

// variant: fresh_buffers
Answer fresh_buffers(Bench& bench) {
  Answer sum = 0;
  for (int file = 0; file < kFiles; ++file) {
    const std::unique_ptr<std::byte[]> buffer(new std::byte[kFileBytes]);  // new pages, zeroed one by one when touched
    ++bench.count.allocations;
    sum += read_into(buffer.get(), kFileBytes);
  }
  return sum;
}
// end

// variant: one_piece
Answer one_piece(Bench& bench) {
  const std::unique_ptr<std::byte[]> buffer(new std::byte[kPieceBytes]);
  ++bench.count.allocations;
  Answer sum = 0;
  for (int file = 0; file < kFiles; ++file) sum += read_into(buffer.get(), kPieceBytes);
  return sum;
}
// end

// variant: one_buffer
Answer one_buffer(Bench& bench) {
  static const std::unique_ptr<std::byte[]> buffer(new std::byte[kFileBytes]);
  ++bench.count.allocations;
  Answer sum = 0;
  for (int file = 0; file < kFiles; ++file) sum += read_into(buffer.get(), kFileBytes);
  return sum;
}
// end

void fill_cache(Bench&) { cached(); }

constexpr Variant kVariants[] = {
    {.name = "fresh_buffers",
     .role = Role::bad,
     .help = "a new buffer of 40 MiB for every file",
     .run = fresh_buffers,
     .prepare = fill_cache},
    {.name = "one_piece",
     .role = Role::good,
     .help = "one buffer of 256 KiB, used again for every piece",
     .run = one_piece,
     .prepare = fill_cache},
    {.name = "one_buffer",
     .role = Role::reference,
     .help = "one buffer of 40 MiB, used again for every file",
     .run = one_buffer,
     .prepare = fill_cache},
};

}  // namespace

constexpr Pitfall kPageFaultStorm{
    .name = "page_fault_storm",
    .title = "A fresh buffer for every file",
    .lesson =
        "Large buffers come from the kernel as promises: the first write to each page of 4 KiB is a fault, and the "
        "kernel "
        "zeroes the page. Freed, they go back at once.",
    .least = 2.5,
    .most = 2.5,
    .source = "a plain copy of 24 files, 350 against 138 ms, 2-core Zen 5 guest",
    .advice =
        "Read and write through one buffer per worker, 256 KiB to 1 MiB, used again for every piece. It stays in the "
        "cache, too.",
    .variants = kVariants,
};

}  // namespace noisefloor
