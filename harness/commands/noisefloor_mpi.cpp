// The program that every MPI rank runs: rank 0 reads the command line and measures, the others work for it.
// SPDX-License-Identifier: MIT
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <thread>

#include "harness/base/error.hpp"
#include "harness/base/limits.hpp"
#include "harness/base/unique_fd.hpp"
#include "harness/commands/command.hpp"
#include "harness/commands/launch.hpp"
#include "harness/mpi/ranks.hpp"
#include "noisefloor_version.hpp"

namespace noisefloor {
namespace {

/// Ends this process when its parent, the mpirun or its daemon here, dies in a way that leaves it no time to do that: a
/// measurement that nobody waits for would go on beside the next. Sleeps until then. A process
/// that nobody's mpirun started is left alone.
class EndWithParent {
 public:
  EndWithParent()
      : parent_(static_cast<int>(::syscall(SYS_pidfd_open, ::getppid(), 0))), stop_(::eventfd(0, EFD_CLOEXEC)) {
    if (std::getenv("PMIX_RANK") == nullptr || !parent_ || !stop_) return;  // older kernels have no such descriptor
    thread_ = std::thread([parent = parent_.get(), stop = stop_.get()] {
      std::array<pollfd, 2> ends{{{parent, POLLIN, 0}, {stop, POLLIN, 0}}};
      while (::poll(ends.data(), ends.size(), -1) < 0 && errno == EINTR) {
      }
      if (ends[1].revents == 0) ::_exit(static_cast<int>(ExitStatus::failed));
    });
  }
  EndWithParent(const EndWithParent&) = delete;
  EndWithParent& operator=(const EndWithParent&) = delete;
  ~EndWithParent() {
    if (!thread_.joinable()) return;
    const std::uint64_t one = 1;
    if (::write(stop_.get(), &one, sizeof one) != sizeof one) thread_.detach();
    if (thread_.joinable()) thread_.join();
  }

 private:
  UniqueFd parent_, stop_;
  std::thread thread_;
};

/// What rank 0 understands.
Command program(Ranks& ranks) {
  return {.name = "noisefloor-mpi",
          .help =
              "One cell of the strategy mpi, measured by the ranks of one job. `noisefloor launch` and `noisefloor "
              "run` start it under mpirun.",
          .examples = {"mpirun -n 4 noisefloor-mpi launch --cell strategy=mpi,workers=4"},
          .commands = {launch_command(&ranks)}};
}

int run(int argc, char** argv) {
  const EndWithParent end_with_mpirun;
  Ranks ranks(&argc, &argv);
  if (ranks.rank() == 0) {
    const int status = exit_status(
        "noisefloor-mpi", [&] { return parse(program(ranks), std::string(kVersion), words_of(argc, argv))(); });
    ranks.dismiss(status);
    return status;
  }
  const int status = exit_status("noisefloor-mpi", [&] {
    ranks.follow();
    return ExitStatus::done;
  });
  if (status != 0) Ranks::abort(status);
  return status;
}

}  // namespace
}  // namespace noisefloor

int main(int argc, char** argv) {
  noisefloor::use_given_cpus();
  return noisefloor::run(argc, argv);
}
