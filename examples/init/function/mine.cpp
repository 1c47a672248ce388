// Your own function, for noisefloor. `make` builds it, `make measure` finds out how to run it.
#include <noisefloor/work.h>

#include <cmath>

struct Mine : noisefloor::Work {
  // Once, before any task: read what the tasks need.
  explicit Mine(const noisefloor_options&) {}

  // How many tasks there are.
  std::uint32_t tasks() const { return 500; }

  // One task: called by many threads at once, for different tasks. What it returns is the same each time: the result,
  // or a hash of it. What it throws is a task that failed. (Not thread-safe? Write in this class: static constexpr
  // std::uint32_t kFlags = NOISEFLOOR_ONE_THREAD;)
  std::uint64_t run(std::uint32_t task) const {
    double sum = task;
    for (std::uint32_t i = 0; i < 5000 + 40 * task; ++i) sum += std::sin(sum);
    return static_cast<std::uint64_t>(sum * 1e9);
  }
};

NOISEFLOOR_WORK(Mine)
