// Copies sound files through raw descriptors: read, fallocate, write, publish.
// SPDX-License-Identifier: MIT
#include "harness/workloads/copy.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "harness/audio/signals.hpp"
#include "harness/base/error.hpp"
#include "harness/base/unique_fd.hpp"
#include "harness/workloads/file_tasks.hpp"

namespace noisefloor {
namespace {

class CopyWorkload final : public Workload {
 public:
  CopyWorkload(std::vector<std::string> inputs, std::vector<OutputFolders::Output> outputs, OutputMode mode,
               std::uint64_t samples)
      : inputs_(std::move(inputs)), outputs_(std::move(outputs)), mode_(mode), samples_(samples) {
    for (const auto& output : outputs_) bytes_ += output.bytes;
  }

  [[nodiscard]] std::uint32_t task_count() const override { return static_cast<std::uint32_t>(inputs_.size()); }

  void run(TaskRange range, std::span<TaskResult> results, std::vector<std::byte>& returned) const override {
    each(range, results, returned, [this](std::uint32_t task, std::vector<std::byte>&) { copy(task); });
  }

  void prepare(std::uint32_t iterations) override {
    times_.clear();
    folders_.prepare(iterations);
  }
  void begin(std::uint32_t iteration) override { folders_.begin(iteration); }
  void clean() override { folders_.clean(); }
  [[nodiscard]] std::uint32_t digestible_iterations(std::uint32_t iterations) const override { return iterations; }

  [[nodiscard]] std::uint64_t digest(TaskRange range) const override {
    std::uint64_t sum = 0;
    for (std::uint32_t task = range.first; task < range.last; ++task) sum += digest_of_file(output(task), task);
    return sum;
  }

  [[nodiscard]] std::optional<StageTimes> stage_times() const override { return times_.sum(); }
  [[nodiscard]] Volume volume() const override {
    return {.samples = samples_, .bytes_read = bytes_, .bytes_written = bytes_};
  }

 private:
  [[nodiscard]] std::string output(std::uint32_t task) const { return folders_.root() + "/" + outputs_[task].name; }

  void copy(std::uint32_t task) const {
    const std::string& input = inputs_[task];
    StageClock clock;
    const std::string target = output(task);
    refuse_existing(target, mode_);
    const std::span<std::byte> buffer = thread_buffer();
    const UniqueFd from(::open(input.c_str(), O_RDONLY | O_CLOEXEC));
    if (!from) throw system_error(fmt::format("cannot open '{}'", input), errno);
    const std::uint64_t expected = file_bytes(input);
    clock.cut(&StageTimes::extract_ns);

    TaskOutput to(target, mode_);
    to.reserve(expected);
    clock.cut(&StageTimes::load_ns);
    std::uint64_t bytes = 0;
    for (;;) {
      const ssize_t got = ::read(from.get(), buffer.data(), buffer.size());
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) throw system_error(fmt::format("cannot read '{}'", input), errno);
      clock.cut(&StageTimes::extract_ns);
      if (got == 0) break;
      write_all(to.fd(), buffer.first(static_cast<std::size_t>(got)), target);
      bytes += static_cast<std::uint64_t>(got);
      clock.cut(&StageTimes::load_ns);
    }
    to.publish(bytes, false);
    clock.cut(&StageTimes::load_ns);
    times_.add(clock.times());
  }

  static void write_all(int fd, std::span<const std::byte> bytes, const std::string& name) {
    while (!bytes.empty()) {
      const ssize_t written = ::write(fd, bytes.data(), bytes.size());
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) throw system_error(fmt::format("cannot write '{}'", name), written < 0 ? errno : EIO);
      bytes = bytes.subspan(static_cast<std::size_t>(written));
    }
  }

  std::vector<std::string> inputs_;
  std::vector<OutputFolders::Output> outputs_;
  OutputMode mode_;
  std::uint64_t samples_ = 0, bytes_ = 0;
  OutputFolders folders_{outputs_, mode_};
  StageTotals times_;
};

}  // namespace

std::unique_ptr<Workload> make_copy(const WorkloadOptions& options) {
  const OutputMode mode = output_mode(options.output_mode);
  std::vector<std::string> inputs = test_signals(options.tasks, options.task_size, options.format);
  std::vector<OutputFolders::Output> outputs;
  outputs.reserve(inputs.size());
  for (const std::string& path : inputs) {
    outputs.push_back({path.substr(path.find_last_of('/') + 1), file_bytes(path)});
  }
  return std::make_unique<CopyWorkload>(std::move(inputs), std::move(outputs), mode, options.tasks * options.task_size);
}

}  // namespace noisefloor
