// An unbounded queue: a reader hands blocks to a slower consumer, all at once or at most 16 ahead.
// SPDX-License-Identifier: MIT
#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

#include "benchmarks/pitfalls/table.hpp"
#include "kernels/spin.hpp"

namespace noisefloor {
namespace {

constexpr std::uint32_t kBlocks = 1'500;
constexpr std::size_t kBlockBytes = 64UL << 10;

struct Block {
  std::uint32_t number;
  std::vector<std::uint8_t> samples;
};

// variant: unbounded window
/// The queue never holds more than `most` blocks.
Answer run_with(Bench& bench, std::size_t most) {
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<Block> queue;
  std::jthread reader([&] {
    for (std::uint32_t i = 0; i < kBlocks; ++i) {
      Block block{i, std::vector<std::uint8_t>(kBlockBytes, static_cast<std::uint8_t>(i))};  // "read"
      std::unique_lock lock(mutex);
      changed.wait(lock, [&] { return queue.size() < most; });
      queue.push_back(std::move(block));
      bench.count.held = std::max<std::uint64_t>(bench.count.held, queue.size());
      changed.notify_all();
    }
  });
  Answer sum = 0;
  for (std::uint32_t done = 0; done < kBlocks; ++done) {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return !queue.empty(); });
    const Block block = std::move(queue.front());
    queue.pop_front();
    changed.notify_all();
    lock.unlock();
    sum += spin(block.number, 40'000) ^ block.samples.back();  // longer than reading
  }
  return sum;
}
// end

// variant: unbounded
Answer unbounded(Bench& bench) { return run_with(bench, kBlocks); }
// end

// variant: window
Answer window(Bench& bench) { return run_with(bench, 16); }
// end

constexpr Variant kVariants[] = {
    {.name = "unbounded", .role = Role::bad, .help = "everything is submitted at once", .run = unbounded},
    {.name = "window", .role = Role::good, .help = "the reader is at most 16 blocks ahead", .run = window},
};

}  // namespace

constexpr Pitfall kUnboundedQueue{
    .name = "unbounded_queue",
    .title = "Submitting everything at once",
    .lesson = "A queue without a limit turns the difference in speed between reader and worker into memory.",
    .harm = Harm::memory,
    .measure = "peak_rss_bytes",
    .source = "by construction: 1500 blocks of 64 KiB against 16, beside what the program itself needs",
    .advice =
        "Bound what is in flight: a few chunks per worker. It costs no speed, for a full queue is as good as a longer "
        "one.",
    .variants = kVariants,
};

}  // namespace noisefloor
