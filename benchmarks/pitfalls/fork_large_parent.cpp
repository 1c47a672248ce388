// Forking from a large process: the kernel copies the page tables of all that the parent has touched.
// SPDX-License-Identifier: MIT
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <optional>

#include "benchmarks/pitfalls/support.hpp"
#include "benchmarks/pitfalls/table.hpp"
#include "harness/base/error.hpp"

namespace noisefloor {
namespace {

constexpr std::size_t kHeldBytes = std::size_t{256} << 20;
constexpr std::size_t kPageBytes = 4096;

/// 256 MiB of data, as a program has read it by the time when it starts its workers. In pages of 4 KiB: huge
/// pages have 512 times fewer entries to copy.
void hold_data(Bench&) {
  void* memory = ::mmap(nullptr, kHeldBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw system_error("cannot have 256 MiB", errno);
  ::madvise(memory, kHeldBytes, MADV_NOHUGEPAGE);
  for (std::size_t at = 0; at < kHeldBytes; at += kPageBytes) static_cast<std::byte*>(memory)[at] = std::byte{1};
}

// variant: fork_late fork_early
/// The task: a process that answers with a number.
Answer ask_process(Bench& bench) {
  Pipe pipe;
  Process child(bench, [&] { send(bench, pipe.write.get(), Answer{42}); });
  Answer answer = 0;
  receive(bench, pipe.read.get(), answer);
  return answer;
}
// end

// variant: fork_late
Answer fork_late(Bench& bench) { return ask_process(bench); }  // after hold_data()
// end

// variant: fork_early
/// A helper that was forked while the parent was small, and forks the tasks from then on.
struct Helper {
  explicit Helper(Bench& bench)
      : process(bench, [this] {
          channel.ours.reset();
          Bench own;
          for (char request = 0; read_all(channel.theirs.get(), std::as_writable_bytes(std::span(&request, 1)));) {
            send(own, channel.theirs.get(), ask_process(own));
          }
        }) {
    channel.theirs.reset();
  }
  ~Helper() { channel.ours.reset(); }  // end of file: it ends
  Channel channel;
  Process process;
};
std::unique_ptr<Helper> helper;

void start_helper_then_hold_data(Bench& bench) {
  helper = std::make_unique<Helper>(bench);
  hold_data(bench);
}

Answer fork_early(Bench& bench) {
  Answer answer = 0;
  send(bench, helper->channel.ours.get(), 'x');
  receive(bench, helper->channel.ours.get(), answer);
  return answer;
}
// end

std::string needs_memory(int) {
  const auto free_bytes =
      static_cast<std::size_t>(::sysconf(_SC_AVPHYS_PAGES)) * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  return free_bytes >= 2 * kHeldBytes
             ? std::string()
             : fmt::format("it needs {} MiB of free memory, there are {}", 2 * kHeldBytes >> 20, free_bytes >> 20);
}

constexpr Variant kVariants[] = {
    {.name = "fork_late",
     .role = Role::bad,
     .help = "fork a process while 256 MiB are held",
     .run = fork_late,
     .prepare = hold_data},
    {.name = "fork_early",
     .role = Role::good,
     .help = "ask a helper that was forked before the memory was touched",
     .run = fork_early,
     .prepare = start_helper_then_hold_data},
};

}  // namespace

constexpr Pitfall kForkLargeParent{
    .name = "fork_large_parent",
    .title = "Forking after the data were loaded",
    .lesson =
        "fork copies no data, but the page tables for all of them: 0.16 ms for a small process, 36 ms after 1 GiB was "
        "touched.",
    .least = 56,
    .most = 56,
    .source = "0.16 ms against 36 ms with 1 GiB touched, 2-core Zen 5 guest; a quarter of that is held here",
    .advice =
        "Fork the workers (or one helper that forks them) first, load data afterwards; or start programs with "
        "posix_spawn, which copies no page tables.",
    .variants = kVariants,
    .refuse = needs_memory,
};

}  // namespace noisefloor
