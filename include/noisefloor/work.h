/* Your own function as a workload of noisefloor: the C interface of a shared library, and a C++ face on it.
 * SPDX-License-Identifier: MIT
 *
 * A library exports one function, noisefloor_work(), that says what it can do. In C++ that is:
 *
 *   #include <noisefloor/work.h>
 *
 *   struct Mine : noisefloor::Work {
 *     explicit Mine(const noisefloor_options&) {}
 *     std::uint32_t tasks() const { return 5000; }
 *     std::uint64_t run(std::uint32_t task) const { return compute(task); }
 *   };
 *   NOISEFLOOR_WORK(Mine)
 *
 *   g++ -std=c++17 -O2 -shared -fPIC mine.cpp -o mine.so && noisefloor run yours --library ./mine.so
 */
#ifndef NOISEFLOOR_WORK_H
#define NOISEFLOOR_WORK_H

#include <stddef.h>
#include <stdint.h>

/* Of all that follows. noisefloor refuses a library that was built for another version. */
#define NOISEFLOOR_WORK_VERSION 1

#ifdef __cplusplus
extern "C" {
#endif

/* Why something failed: text that ends with 0. Empty where a function that fails says nothing. */
typedef struct noisefloor_error {
  char text[512];
} noisefloor_error;

typedef struct noisefloor_options {
  uint64_t task_size; /* the axis task_size, where noisefloor_description.task_size_unit is given; else 1 */
  uint64_t seed;      /* of whatever is random: the same for all launches of a run */
  /* Zeroed memory of `bytes` bytes that forked workers share with this process, for as long as the work is open; NULL
   * if there is none. For open() alone: what tasks leave for digest() must lie in it. */
  void *(*shared)(void *host, size_t bytes);
  void *host; /* of shared() */
} noisefloor_options;

enum {
  /* No two threads may be in run(), extract(), transform() and load() at once. Only strategies whose workers are
   * processes, and `sequential`, then run the work. */
  NOISEFLOOR_ONE_THREAD = 1
};

/* All functions return 0, or another number if they fail (and then say why); extract() as it says. run() and the stages
 * are called by many threads at once, for different tasks, and in processes that were forked after open(). open(),
 * close(), prepare() and digest() are called by one thread while no task runs. NULL where there is no such function. */
typedef struct noisefloor_description {
  uint32_t version;           /* NOISEFLOOR_WORK_VERSION */
  uint32_t flags;             /* NOISEFLOOR_ONE_THREAD or 0 */
  const char *task_size_unit; /* what task_size counts, such as "bytes"; NULL: tasks have sizes of their own */

  /* Makes the work: *self is what all others are given, *tasks how many tasks there are. */
  int (*open)(const noisefloor_options *options, void **self, uint32_t *tasks, noisefloor_error *error);
  void (*close)(void *self); /* or NULL */

  /* Before the clock, once for every repetition: as if no task had run yet. Or NULL. */
  int (*prepare)(void *self, noisefloor_error *error);

  /* Runs one task. *result: what it found, or a hash of it: the same for every run of that task. NULL if there are
   * stages: these are then run one after the other. */
  int (*run)(void *self, uint32_t task, uint64_t *result, noisefloor_error *error);

  /* With the clock stopped: a hash of what `task` left in shared memory, used instead of what run() found. Or NULL. */
  int (*digest)(void *self, uint32_t task, uint64_t *result, noisefloor_error *error);

  /* The stages of a task, for strategies that run them apart; all of them or none. extract() reads at most
   * piece_bytes into `room` and returns how many (at least 1), or -1; transform() changes them in place, maybe in
   * another process; load() writes them. */
  size_t piece_bytes; /* at most NOISEFLOOR_MOST_PIECE_BYTES */
  int64_t (*extract)(void *self, uint32_t task, void *room, noisefloor_error *error);
  int (*transform)(void *self, uint32_t task, void *data, size_t bytes, noisefloor_error *error);
  int (*load)(void *self, uint32_t task, const void *data, size_t bytes, uint64_t *result, noisefloor_error *error);
} noisefloor_description;

#define NOISEFLOOR_MOST_PIECE_BYTES 262144

/* What a library exports. */
__attribute__((visibility("default"))) const noisefloor_description *noisefloor_work(void);

#ifdef __cplusplus
} /* extern "C" */

#include <cstdint>
#include <cstdio>
#include <exception>

namespace noisefloor {

/* Derive from it, and hide what you have better: tasks() and run(task) are yours to write. What throws is a task that
 * failed. */
struct Work {
  static constexpr std::uint32_t kFlags = 0;
  static constexpr const char *kTaskSizeUnit = nullptr;
  void prepare() {}
};

template <class T>
struct WorkFace {
  template <class F>
  static int guard(noisefloor_error *error, F &&f) noexcept {
    try {
      f();
      return 0;
    } catch (const std::exception &thrown) {
      std::snprintf(error->text, sizeof error->text, "%s", thrown.what());
    } catch (...) {
      std::snprintf(error->text, sizeof error->text, "unknown exception");
    }
    return 1;
  }
  static int open(const noisefloor_options *options, void **self, std::uint32_t *tasks, noisefloor_error *error) {
    return guard(error, [&] {
      *self = new T(*options);
      *tasks = static_cast<T *>(*self)->tasks();
    });
  }
  static void close(void *self) { delete static_cast<T *>(self); }
  static int prepare(void *self, noisefloor_error *error) {
    return guard(error, [&] { static_cast<T *>(self)->prepare(); });
  }
  static int run(void *self, std::uint32_t task, std::uint64_t *result, noisefloor_error *error) {
    return guard(error, [&] { *result = static_cast<T *>(self)->run(task); });
  }
};

}  // namespace noisefloor

#define NOISEFLOOR_WORK(Type)                                                                                       \
  extern "C" const noisefloor_description *noisefloor_work(void) {                                                  \
    using Face = noisefloor::WorkFace<Type>;                                                                        \
    static const noisefloor_description kDescription = {                                                            \
        NOISEFLOOR_WORK_VERSION, Type::kFlags, Type::kTaskSizeUnit, Face::open, Face::close, Face::prepare, Face::run, \
        nullptr,                 0,            nullptr,             nullptr,    nullptr};                             \
    return &kDescription;                                                                                           \
  }
#endif /* __cplusplus */

#endif /* NOISEFLOOR_WORK_H */
