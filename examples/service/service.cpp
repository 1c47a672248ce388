// Call a service and wait for its answer: a process that answers over a socket after 2 ms, however many ask at once.
// Finding: workers beyond the number of CPUs still pay, since none of them computes; the sweep's axis workers tells how
// many the service bears.
// SPDX-License-Identifier: MIT
// c++ -std=c++17 -O2 -shared -fPIC -pthread service.cpp -o service.so
#include <noisefloor/work.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstddef>
#include <cstring>
#include <stdexcept>
#include <string>
#include <thread>

struct Service : noisefloor::Work {
  sockaddr_un address{};
  socklen_t size = 0;
  pid_t server = -1;

  explicit Service(const noisefloor_options&) {
    address.sun_family = AF_UNIX;  // a name of its own, without a file
    const std::string name = "noisefloor-example-" + std::to_string(::getpid()) + "-" + std::to_string(serial()++);
    std::memcpy(address.sun_path + 1, name.c_str(), name.size());
    size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
    const int listening = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (::bind(listening, reinterpret_cast<sockaddr*>(&address), size) != 0 || ::listen(listening, 1024) != 0)
      throw std::runtime_error("the service cannot listen");
    server = ::fork();
    if (server == 0) serve(listening);
    ::close(listening);
    if (server < 0) throw std::runtime_error("the service cannot be started");
  }
  ~Service() {
    ::kill(server, SIGKILL);
    ::waitpid(server, nullptr, 0);
  }
  static unsigned& serial() {
    static unsigned number = 0;
    return number;
  }
  [[noreturn]] static void serve(int listening) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;) {
      const int peer = ::accept(listening, nullptr, nullptr);
      std::thread([peer] {
        std::uint32_t asked = 0;
        if (::read(peer, &asked, sizeof asked) == sizeof asked) {
          std::this_thread::sleep_for(std::chrono::milliseconds(2));
          const std::uint64_t answer = asked * std::uint64_t{2654435761};
          if (::write(peer, &answer, sizeof answer) < 0) std::perror("service");
        }
        ::close(peer);
      }).detach();
    }
  }

  std::uint32_t tasks() const { return 64; }
  std::uint64_t run(std::uint32_t task) const {
    const int peer = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    std::uint64_t answer = 0;
    const bool done = ::connect(peer, reinterpret_cast<const sockaddr*>(&address), size) == 0 &&
                      ::write(peer, &task, sizeof task) == sizeof task &&
                      ::read(peer, &answer, sizeof answer) == sizeof answer;
    ::close(peer);
    if (!done) throw std::runtime_error("the service does not answer");
    return answer;
  }
};
NOISEFLOOR_WORK(Service)
