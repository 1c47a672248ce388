// Chunk size: 20,000 tasks of a µs on a pool of processes, sent one by one, in one giant chunk, or 100 at a time.
// SPDX-License-Identifier: MIT
#include <poll.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "benchmarks/pitfalls/support.hpp"
#include "benchmarks/pitfalls/table.hpp"
#include "kernels/spin.hpp"

namespace noisefloor {
namespace {

constexpr std::uint32_t kTasks = 20'000;
constexpr std::uint64_t kSteps = 900;  // about a µs

// variant: one_by_one one_chunk hundred
struct Chunk {
  std::uint32_t first, last;
};

/// A pool of processes as one writes it: a worker is sent chunks, four ahead, and answers each.
Answer run_with(Bench& bench, std::uint32_t chunk_size) {
  std::vector<Channel> channels(static_cast<std::size_t>(bench.workers));
  std::vector<Process> workers;
  for (Channel& channel : channels) {
    workers.emplace_back(bench, [&] {
      for (Channel& other : channels) other.ours.reset();  // else end of file never comes
      Chunk chunk{};
      while (receive(bench, channel.theirs.get(), chunk)) {
        Answer sum = 0;
        for (std::uint32_t task = chunk.first; task < chunk.last; ++task) sum += spin(task, kSteps);
        send(bench, channel.theirs.get(), sum);
      }
    });
    channel.theirs.reset();
  }
  std::uint32_t next = 0;
  std::uint32_t done = 0;
  const auto give = [&](const Channel& channel) {
    if (next == kTasks) return;
    const Chunk chunk{next, std::min(next + chunk_size, kTasks)};
    send(bench, channel.ours.get(), chunk);
    next = chunk.last;
  };
  std::vector<pollfd> ends;
  ends.reserve(channels.size());
  for (const Channel& channel : channels) ends.push_back({channel.ours.get(), POLLIN, 0});
  for (int ahead = 0; ahead < 4; ++ahead) {
    for (const Channel& channel : channels) give(channel);
  }
  Answer total = 0;
  const std::uint32_t chunks = (kTasks + chunk_size - 1) / chunk_size;
  while (done < chunks) {
    ::poll(ends.data(), ends.size(), -1);
    for (std::size_t i = 0; i < ends.size(); ++i) {
      Answer sum = 0;
      if (ends[i].revents == 0 || !receive(bench, ends[i].fd, sum)) continue;
      bench.first_result();
      total += sum;
      ++done;
      give(channels[i]);
    }
  }
  channels.clear();  // end of file: the workers end
  return total;
}
// end

// variant: one_by_one
Answer one_by_one(Bench& bench) { return run_with(bench, 1); }
// end

// variant: one_chunk
Answer one_chunk(Bench& bench) { return run_with(bench, kTasks); }  // one worker has it, the others have nothing
// end

// variant: hundred
Answer hundred(Bench& bench) { return run_with(bench, 100); }
// end

constexpr Variant kVariants[] = {
    {.name = "one_by_one",
     .role = Role::bad,
     .help = "chunk size 1: a message for every µs of work",
     .run = one_by_one},
    {.name = "one_chunk",
     .role = Role::bad,
     .help = "one chunk of 20,000: one worker, and the first result at the end",
     .run = one_chunk},
    {.name = "hundred", .role = Role::good, .help = "chunk size 100", .run = hundred},
};

}  // namespace

constexpr Pitfall kChunkSize{
    .name = "chunk_size",
    .title = "Chunks too small or too large",
    .lesson =
        "A chunk of one pays a message for every task; one giant chunk leaves all workers but one idle and keeps the "
        "first "
        "result until the end. In between is a wide valley.",
    .source =
        "the talk: larger chunks are faster, and use more memory; a message costs 0.7 to 40 µs, and 4 to 180 ns per "
        "task in chunks of 256",
    .advice =
        "Make a chunk last about a ms, and have at least four of them per worker. `noisefloor run chunk` shows the "
        "valley.",
    .variants = kVariants,
    .refuse = needs_two_cpus,
};

}  // namespace noisefloor
