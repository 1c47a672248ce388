// GB/s of every way to bring bytes from a worker process to its parent, by their size.
// SPDX-License-Identifier: MIT
//
//   micro_payload [--benchmark_filter=…]
//
// One iteration: the parent asks a forked process for a payload that lies ready in its memory, and has it when it can
// read all of it: by the clock of the parent, with the request, the wake-ups and, for shared memory, the answer.
// `pipe`, `socketpair` and `vmsplice` end in a buffer of the parent, as does `process_vm_readv`, which reads the memory
// of the other process. `shm_copied_in` is copied into shared memory by the process; `shm_in_place` was built there.
// Each payload bears the number of its request at both ends, and the last one is compared as a whole.
#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "harness/base/error.hpp"
#include "harness/base/shared_mapping.hpp"
#include "harness/base/unique_fd.hpp"
#include "harness/strategies/process_workers.hpp"

namespace noisefloor::micro {
namespace {

enum class Way : std::uint8_t { pipe, socketpair, vmsplice, process_vm_readv, shm_copied_in, shm_in_place };

struct WayRow {
  std::string_view name;
  Way way;
};
constexpr std::array kWays = {
    WayRow{"pipe", Way::pipe},
    WayRow{"socketpair", Way::socketpair},
    WayRow{"vmsplice", Way::vmsplice},
    WayRow{"process_vm_readv", Way::process_vm_readv},
    WayRow{"shm_copied_in", Way::shm_copied_in},
    WayRow{"shm_in_place", Way::shm_in_place},
};
constexpr std::array<std::size_t, 8> kSizes = {64,
                                               std::size_t{1} << 10,
                                               std::size_t{16} << 10,
                                               std::size_t{256} << 10,
                                               std::size_t{1} << 20,
                                               std::size_t{4} << 20,
                                               std::size_t{16} << 20,
                                               std::size_t{64} << 20};

[[noreturn]] void fail(const char* what) { throw system_error(what, errno); }

/// Calls step(at, left), which moves some bytes, until all are moved; it returns as read() does.
template <class Step>
void all_of(std::span<std::byte> bytes, const char* what, const Step& step) {
  while (!bytes.empty()) {
    const ssize_t moved = step(bytes.data(), bytes.size());
    if (moved < 0 && errno == EINTR) continue;
    if (moved == 0) errno = EPIPE;
    if (moved <= 0) fail(what);
    bytes = bytes.subspan(static_cast<std::size_t>(moved));
  }
}
void read_all(int fd, std::span<std::byte> bytes) {
  all_of(bytes, "read", [fd](std::byte* at, std::size_t left) { return ::read(fd, at, left); });
}
void write_all(int fd, std::span<std::byte> bytes) {
  all_of(bytes, "write", [fd](std::byte* at, std::size_t left) { return ::write(fd, at, left); });
}
template <class T>
std::span<std::byte> bytes_of(T& value) {
  return std::as_writable_bytes(std::span(&value, 1));
}

void fill(std::span<std::byte> bytes) {
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>((i * 131 + 7) & 255U);
}
void stamp(std::span<std::byte> bytes, std::uint64_t number) {
  std::memcpy(bytes.data(), &number, sizeof number);
  std::memcpy(bytes.data() + bytes.size() - sizeof number, &number, sizeof number);
}
bool is_stamped(std::span<const std::byte> bytes, std::uint64_t number) {
  return std::memcmp(bytes.data(), &number, sizeof number) == 0 &&
         std::memcmp(bytes.data() + bytes.size() - sizeof number, &number, sizeof number) == 0;
}

/// The parent's side of a process that gives payloads.
class Giver {
 public:
  Giver(Way way, std::size_t size)
      : way_(way),
        shared_(way == Way::shm_copied_in || way == Way::shm_in_place ? size : 0),
        room_(shared_.size() == 0 ? size : 0) {
    std::array<int, 2> ends{};
    if (way == Way::pipe || way == Way::vmsplice) {
      if (::pipe2(ends.data(), O_CLOEXEC) != 0) fail("pipe");
      data_in_.reset(ends[0]);
      data_out_.reset(ends[1]);
    } else if (way == Way::socketpair) {
      SocketPair pair;
      data_in_ = std::move(pair.parent);
      data_out_ = std::move(pair.child);
    }
    const std::array keep = {control_.child.get(), data_out_ ? data_out_.get() : control_.child.get()};
    process_ = ChildProcess(keep, [&] { give(size); });
    data_out_.reset();
    control_.child.reset();
  }

  /// The next payload: valid until the next call. Throws Error.
  std::span<const std::byte> take(std::uint64_t number) {
    write_all(control_.parent.get(), bytes_of(number));
    std::byte* answer = nullptr;  // where the payload lies in the other process
    switch (way_) {
      case Way::pipe:
      case Way::socketpair:
      case Way::vmsplice:
        read_all(data_in_.get(), room_);
        return room_;
      case Way::process_vm_readv: {
        read_all(control_.parent.get(), bytes_of(answer));
        all_of(room_, "process_vm_readv", [&](std::byte* at, std::size_t left) {
          const iovec here{at, left};
          const iovec other{answer, left};
          const ssize_t got = ::process_vm_readv(process_.pid(), &here, 1, &other, 1, 0);
          if (got > 0) answer += got;
          return got;
        });
        return room_;
      }
      case Way::shm_copied_in:
      case Way::shm_in_place:
        read_all(control_.parent.get(), bytes_of(answer));
        return shared_.as<std::byte>();
    }
    return {};
  }

 private:
  /// In the other process, until the parent hangs up.
  void give(std::size_t size) {
    std::vector<std::byte> own(way_ == Way::shm_in_place ? 0 : size);
    const std::span<std::byte> payload =
        way_ == Way::shm_in_place ? shared_.as<std::byte>().first(size) : std::span(own);
    fill(payload);
    for (std::uint64_t number = 0;;) {
      read_all(control_.child.get(), bytes_of(number));
      stamp(payload, number);
      std::byte* answer = payload.data();
      switch (way_) {
        case Way::pipe:
        case Way::socketpair:
          write_all(data_out_.get(), payload);
          break;
        case Way::vmsplice:
          all_of(payload, "vmsplice", [this](std::byte* at, std::size_t left) {
            const iovec part{at, left};
            return ::vmsplice(data_out_.get(), &part, 1, 0);
          });
          break;
        case Way::shm_copied_in:
          std::memcpy(shared_.as<std::byte>().data(), payload.data(), size);
          write_all(control_.child.get(), bytes_of(answer));
          break;
        case Way::shm_in_place:
        case Way::process_vm_readv:
          write_all(control_.child.get(), bytes_of(answer));
          break;
      }
    }
  }

  Way way_;
  SharedMapping shared_;
  std::vector<std::byte> room_;
  SocketPair control_;
  UniqueFd data_in_, data_out_;
  ChildProcess process_;
};

void payload(benchmark::State& state, Way way, std::size_t size) {
  try {
    Giver giver(way, size);
    std::uint64_t number = 1;
    std::span<const std::byte> got = giver.take(number);  // pages
    bool is_right = is_stamped(got, number);
    for (auto _ : state) {  // NOLINT(clang-analyzer-deadcode.DeadStores): the library's loop
      got = giver.take(++number);
      is_right = is_right && is_stamped(got, number);
    }
    std::vector<std::byte> expected(size);
    fill(expected);
    stamp(expected, number);
    if (!is_right || !std::equal(got.begin(), got.end(), expected.begin(), expected.end())) {
      state.SkipWithError("wrong payload");
      return;
    }
    state.counters["GB_per_s"] = benchmark::Counter(
        static_cast<double>(state.iterations()) * static_cast<double>(size) / 1e9, benchmark::Counter::kIsRate);
  } catch (const std::exception& error) {
    state.SkipWithError(error.what());
  }
}

void add_all() {
  for (const WayRow& row : kWays) {
    for (const std::size_t size : kSizes) {
      const std::string name = fmt::format("{}/bytes:{}", row.name, size);
      benchmark::RegisterBenchmark(name.c_str(),
                                   [&row, size](benchmark::State& state) { payload(state, row.way, size); })
          ->UseRealTime()
          ->Unit(benchmark::kMicrosecond);
    }
  }
}

}  // namespace
}  // namespace noisefloor::micro

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  noisefloor::micro::add_all();
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
}
