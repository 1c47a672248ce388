// A pipe deadlock: write everything to a process, then read its answers, while it waits for its answers to be read.
// SPDX-License-Identifier: MIT
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <vector>

#include "benchmarks/pitfalls/support.hpp"
#include "benchmarks/pitfalls/table.hpp"

namespace noisefloor {
namespace {

constexpr std::size_t kBytes = std::size_t{4} << 20;  // a pipe holds 64 KiB

std::vector<std::byte> message() {
  std::vector<std::byte> bytes(kBytes);
  for (std::size_t i = 0; i < kBytes; ++i) bytes[i] = static_cast<std::byte>(i * 7);
  return bytes;
}

Answer digest(const std::vector<std::byte>& bytes) {
  Answer sum = bytes.size();
  for (const std::byte byte : bytes) sum = sum * 31 + static_cast<Answer>(byte);
  return sum;
}

// variant: write_then_read poll_and_drain
/// The other process: returns each piece as soon as it has it.
void echo(int in, int out) {
  std::array<std::byte, 4096> piece;
  for (ssize_t got = ::read(in, piece.data(), piece.size()); got > 0; got = ::read(in, piece.data(), piece.size())) {
    if (!write_all(out, std::span(piece).first(static_cast<std::size_t>(got)))) return;
  }
}
// end

// variant: write_then_read
Answer write_then_read(Bench& bench) {
  Pipe to;
  Pipe from;
  Process child(bench, [&] {
    to.write.reset();
    echo(to.read.get(), from.write.get());
  });
  write_all(to.write.get(), message());  // never returns: both pipes are full
  to.write.reset();
  std::vector<std::byte> answer(kBytes);
  read_all(from.read.get(), answer);
  return digest(answer);
}
// end

// variant: poll_and_drain
Answer poll_and_drain(Bench& bench) {
  Pipe to;
  Pipe from;
  Process child(bench, [&] {
    to.write.reset();
    echo(to.read.get(), from.write.get());
  });
  const std::vector<std::byte> question = message();
  std::vector<std::byte> answer(kBytes);
  std::size_t sent = 0;
  std::size_t got = 0;
  ::fcntl(to.write.get(), F_SETFL, O_NONBLOCK);
  while (got < kBytes) {
    pollfd ends[] = {{from.read.get(), POLLIN, 0}, {sent < kBytes ? to.write.get() : -1, POLLOUT, 0}};
    ::poll(ends, std::size(ends), -1);
    if (ends[0].revents != 0) {
      got += static_cast<std::size_t>(std::max<ssize_t>(::read(from.read.get(), &answer[got], kBytes - got), 0));
    }
    if (ends[1].revents != 0) {
      sent += static_cast<std::size_t>(std::max<ssize_t>(::write(to.write.get(), &question[sent], kBytes - sent), 0));
    }
  }
  to.write.reset();  // end of file: the child ends
  return digest(answer);
}
// end

constexpr Variant kVariants[] = {
    {.name = "write_then_read",
     .role = Role::bad,
     .help = "write 4 MiB, then read",
     .run = write_then_read,
     .hangs = true},
    {.name = "poll_and_drain",
     .role = Role::good,
     .help = "read what is there before writing more",
     .run = poll_and_drain},
};

}  // namespace

constexpr Pitfall kPipeDeadlock{
    .name = "pipe_deadlock",
    .title = "Writing everything before reading anything",
    .lesson = "A pipe holds 64 KiB. When both directions are full, each side waits in write() for the other to read.",
    .harm = Harm::hang,
    .source = "the manual page of pipe(7); Python's subprocess documentation warns of it",
    .advice =
        "Bound what is outstanding by less than the buffer holds, or poll both ends and drain answers first. Python: "
        "communicate(), not stdin.write() and then stdout.read().",
    .variants = kVariants,
};

}  // namespace noisefloor
