// Waits for MPI that leave the CPU to who works: MPI's own look for ever.
// SPDX-License-Identifier: MIT
#pragma once

#include <mpi.h>
#include <sched.h>

#include <algorithm>
#include <chrono>
#include <ctime>

namespace noisefloor {

/// One wait of one thread. Where there are more ranks than CPUs, or other programs, a wait that looks for ever would
/// keep from the others what it waits for.
class Idle {
 public:
  using Clock = std::chrono::steady_clock;

  /// How long this process looks for what it waits for before it sleeps between looks. Set before ranks wait, by
  /// whoever knows how many share the CPUs.
  static inline Clock::duration longest_look = std::chrono::milliseconds(10);

  /// It looks as long as the process may, and no longer than `look`.
  explicit Idle(Clock::duration look = longest_look) : look_(std::min(look, longest_look)) {}

  /// To be called whenever there is nothing yet.
  void wait() {
    if (Clock::now() - since_ < look_) {
      ::sched_yield();
    } else {
      ::nanosleep(&kNap, nullptr);
    }
  }
  /// Something has come.
  void restart() { since_ = Clock::now(); }

 private:
  static constexpr timespec kNap{0, 20'000};  // and some 50 us more until the kernel's timer wakes it

  Clock::duration look_;
  Clock::time_point since_ = Clock::now();
};

/// Open MPI looks at its sockets in every eighth of its calls (opal_progress() of Open MPI 4): who makes one call and
/// sleeps would see a message eight sleeps late.
inline constexpr int kCallsToLook = 8;

/// Whether the request is complete, all that has come considered.
inline bool is_complete(MPI_Request& request) {
  int done = 0;
  for (int i = 0; i < kCallsToLook && done == 0; ++i) MPI_Test(&request, &done, MPI_STATUS_IGNORE);
  return done != 0;
}

/// Returns when the request is complete; calls meanwhile() whenever it is not yet.
template <class Meanwhile>
void complete(MPI_Request& request, Meanwhile&& meanwhile) {
  if (is_complete(request)) return;
  for (Idle idle; !is_complete(request);) {
    meanwhile();
    idle.wait();
  }
}

inline void complete(MPI_Request& request) {
  complete(request, [] {});
}

}  // namespace noisefloor
