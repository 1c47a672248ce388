// Replacing files: truncate and rewrite the old one, rename a new one over it, or exchange the two and unlink.
// SPDX-License-Identifier: MIT
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <string>
#include <vector>

#include "benchmarks/pitfalls/support.hpp"
#include "benchmarks/pitfalls/table.hpp"
#include "harness/base/error.hpp"

namespace noisefloor {
namespace {

constexpr int kFiles = 16;
constexpr std::size_t kBytes = std::size_t{1} << 20;

const std::vector<std::byte>& content() {
  static const std::vector<std::byte> bytes(kBytes, std::byte{42});
  return bytes;
}

std::string path_of(const Bench& bench, int file) { return bench.folder + "/" + std::to_string(file) + ".wav"; }

// variant: truncate exchange rename_over
void write_file(const std::string& path, int flags) {
  const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0666));
  if (!fd || !write_all(fd.get(), content())) throw Error("cannot write " + path);
}
// end

/// The earlier output, which is to be replaced.
void write_old(Bench& bench) {
  for (int file = 0; file < kFiles; ++file) write_file(path_of(bench, file), O_TRUNC);
}

/// Bytes that are there now.
Answer total(const Bench& bench) {
  Answer sum = 0;
  for (int file = 0; file < kFiles; ++file) {
    struct stat status {};
    if (::stat(path_of(bench, file).c_str(), &status) == 0) sum += static_cast<Answer>(status.st_size);
  }
  return sum;
}

// variant: truncate
Answer truncate(Bench& bench) {
  for (int file = 0; file < kFiles; ++file) write_file(path_of(bench, file), O_TRUNC);
  return total(bench);
}
// end

// variant: exchange
Answer exchange(Bench& bench) {
  const std::string fresh = bench.folder + "/new";
  for (int file = 0; file < kFiles; ++file) {
    const std::string path = path_of(bench, file);
    write_file(fresh, O_EXCL);
    ::renameat2(AT_FDCWD, fresh.c_str(), AT_FDCWD, path.c_str(), RENAME_EXCHANGE);
    ::unlink(fresh.c_str());  // it holds the old content now
  }
  return total(bench);
}
// end

// variant: rename_over
Answer rename_over(Bench& bench) {
  const std::string fresh = bench.folder + "/new";
  for (int file = 0; file < kFiles; ++file) {
    write_file(fresh, O_EXCL);
    ::rename(fresh.c_str(), path_of(bench, file).c_str());
  }
  return total(bench);
}
// end

constexpr Variant kVariants[] = {
    {.name = "truncate", .role = Role::bad, .help = "O_TRUNC over the old file", .run = truncate, .prepare = write_old},
    {.name = "exchange",
     .role = Role::good,
     .help = "write a new file, exchange the names, unlink the old one",
     .run = exchange,
     .prepare = write_old},
    {.name = "rename_over",
     .role = Role::reference,
     .help = "write a new file, rename it over the old one",
     .run = rename_over,
     .prepare = write_old},
};

}  // namespace

constexpr Pitfall kReplaceByTruncation{
    .name = "replace_by_truncation",
    .title = "Rewriting files in place",
    .lesson =
        "A file that is truncated and rewritten is half a file in between, and ext4 flushes it at the end, to save "
        "those who "
        "do that from a crash.",
    .least = 1.2,
    .most = 3,
    .source =
        "136 ms (O_TRUNC) and 162 ms (rename over) against 113 ms, 24 files on ext4; 3 times between output modes",
    .advice =
        "Write under a temporary name in the same folder and exchange the names: readers see the old file or the new "
        "one. "
        "If it must survive a crash, fsync and say what that costs.",
    .variants = kVariants,
    .uses_files = true,
};

}  // namespace noisefloor
