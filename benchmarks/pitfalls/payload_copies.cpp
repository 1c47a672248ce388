// Large payloads: samples sent to a worker process and back, against the file's name, against shared memory.
// SPDX-License-Identifier: MIT
#include <fcntl.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "benchmarks/pitfalls/support.hpp"
#include "benchmarks/pitfalls/table.hpp"
#include "harness/base/error.hpp"
#include "harness/base/shared_mapping.hpp"

namespace noisefloor {
namespace {

constexpr int kFiles = 8;
constexpr std::size_t kSamples = std::size_t{2} << 20;  // 4 MiB of 16-bit samples per file: 48 s

using Samples = std::span<std::int16_t>;

std::string in_path(const Bench& bench, int file) { return bench.folder + "/in" + std::to_string(file); }
std::string out_path(const Bench& bench, int file) { return bench.folder + "/out" + std::to_string(file); }

void read_file(const std::string& path, Samples samples) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd || !read_all(fd.get(), std::as_writable_bytes(samples))) throw Error("cannot read " + path);
}
void write_file(const std::string& path, Samples samples) {
  const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666));
  if (!fd || !write_all(fd.get(), std::as_bytes(samples))) throw Error("cannot write " + path);
}

// variant: samples name shared_memory
/// The transform, and a digest of what came out.
Answer halve(Samples samples) {
  std::int64_t sum = 0;
  for (std::int16_t& sample : samples) {
    sample = static_cast<std::int16_t>(sample / 2);
    sum += sample;
  }
  return static_cast<Answer>(sum);
}
// end

/// One worker process per CPU, each on a channel of its own; every file goes to the next of them.
class Workers {
 public:
  Workers(Bench& bench, const std::function<void(int channel)>& serve)
      : channels_(static_cast<std::size_t>(bench.workers)) {
    for (Channel& channel : channels_) {
      processes_.push_back(std::make_unique<Process>(bench, [&] {
        for (Channel& other : channels_) other.ours.reset();  // else end of file never comes
        serve(channel.theirs.get());
      }));
      channel.theirs.reset();
    }
  }
  /// send_file(channel, file), then take_file(channel, file), for as many files at a time as there are workers.
  template <class Send, class Take>
  void run(Send&& send_file, Take&& take_file) {
    const int workers = static_cast<int>(channels_.size());
    for (int first = 0; first < kFiles; first += workers) {
      const int last = std::min(first + workers, kFiles);
      for (int file = first; file < last; ++file) send_file(channel_of(file), file);
      for (int file = first; file < last; ++file) take_file(channel_of(file), file);
    }
    channels_.clear();  // end of file: the workers end
  }

 private:
  [[nodiscard]] int channel_of(int file) const {
    return channels_[static_cast<std::size_t>(file) % channels_.size()].ours.get();
  }
  std::vector<Channel> channels_;
  std::vector<std::unique_ptr<Process>> processes_;
};

// variant: samples
/// The parent reads, sends the samples, gets them back, writes.
Answer samples(Bench& bench) {
  std::vector<std::int16_t> buffer(kSamples);
  Workers workers(bench, [&](int channel) {
    while (read_all(channel, std::as_writable_bytes(Samples(buffer)))) {
      const Answer sum = halve(buffer);
      write_all(channel, std::as_bytes(Samples(buffer)));
      send(bench, channel, sum);
    }
  });
  Answer total = 0;
  workers.run(
      [&](int channel, int file) {
        read_file(in_path(bench, file), buffer);
        write_all(channel, std::as_bytes(Samples(buffer)));
        ++bench.count.messages;
        bench.count.bytes += kSamples * sizeof(std::int16_t);
      },
      [&](int channel, int file) {
        Answer sum = 0;
        read_all(channel, std::as_writable_bytes(Samples(buffer)));
        receive(bench, channel, sum);
        bench.count.bytes += kSamples * sizeof(std::int16_t);
        write_file(out_path(bench, file), buffer);
        total += sum;
      });
  return total;
}
// end

// variant: name
/// The parent sends the file's number; the worker reads, transforms and writes.
Answer name(Bench& bench) {
  std::vector<std::int16_t> buffer;
  Workers workers(bench, [&](int channel) {
    buffer.resize(kSamples);
    for (int file = 0; read_all(channel, std::as_writable_bytes(std::span(&file, 1)));) {
      read_file(in_path(bench, file), buffer);
      const Answer sum = halve(buffer);
      write_file(out_path(bench, file), buffer);
      send(bench, channel, sum);
    }
  });
  Answer total = 0;
  workers.run([&](int channel, int file) { send(bench, channel, file); },
              [&](int channel, int) {
                Answer sum = 0;
                receive(bench, channel, sum);
                total += sum;
              });
  return total;
}
// end

// variant: shared_memory
/// The parent reads into memory that both have, sends the file's number, and writes from there.
Answer shared_memory(Bench& bench) {
  const SharedMapping memory(static_cast<std::size_t>(bench.workers) * kSamples * sizeof(std::int16_t));
  const auto slot = [&](int file) {
    return memory.as<std::int16_t>().subspan(static_cast<std::size_t>(file % bench.workers) * kSamples, kSamples);
  };
  Workers workers(bench, [&](int channel) {
    for (int file = 0; read_all(channel, std::as_writable_bytes(std::span(&file, 1)));) {
      send(bench, channel, halve(slot(file)));
    }
  });
  Answer total = 0;
  workers.run(
      [&](int channel, int file) {
        read_file(in_path(bench, file), slot(file));
        send(bench, channel, file);
      },
      [&](int channel, int file) {
        Answer sum = 0;
        receive(bench, channel, sum);
        write_file(out_path(bench, file), slot(file));
        total += sum;
      });
  return total;
}
// end

/// The input files, and the outputs of an earlier run: what is timed then never makes a file.
void make_files(Bench& bench) {
  std::vector<std::int16_t> buffer(kSamples);
  for (int file = 0; file < kFiles; ++file) {
    for (std::size_t i = 0; i < kSamples; ++i)
      buffer[i] = static_cast<std::int16_t>(i * static_cast<std::size_t>(file + 3));
    write_file(in_path(bench, file), buffer);
    write_file(out_path(bench, file), buffer);
  }
}

constexpr Variant kVariants[] = {
    {.name = "samples",
     .role = Role::bad,
     .help = "the samples go to the worker and come back",
     .run = samples,
     .prepare = make_files},
    {.name = "name",
     .role = Role::good,
     .help = "the file's name goes, and a number comes back",
     .run = name,
     .prepare = make_files},
    {.name = "shared_memory",
     .role = Role::reference,
     .help = "the samples lie in shared memory, where they are transformed",
     .run = shared_memory,
     .prepare = make_files},
};

}  // namespace

constexpr Pitfall kPayloadCopies{
    .name = "payload_copies",
    .title = "Large payloads through a pipe",
    .lesson =
        "Samples that go to a worker and back are copied four times, and the parent, which does the copying, has no "
        "time "
        "for reading and writing.",
    .least = 1.75,
    .most = 3.2,
    .source = "the talk: \"a big slowdown\"; Python's Pool 4.2 to 7.6 s against 2.4 s, with 1.6 GB resident",
    .advice =
        "Send names and let the worker read and write; where the data exist in memory only, put them into shared "
        "memory "
        "in the first place.",
    .variants = kVariants,
    .uses_files = true,
};

}  // namespace noisefloor
