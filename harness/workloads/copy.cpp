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

#include "harness/base/error.hpp"
#include "harness/base/unique_fd.hpp"
#include "harness/workloads/file_tasks.hpp"
#include "harness/workloads/sound_inputs.hpp"

namespace noisefloor {
namespace {

class CopyWorkload final : public Workload, private Stages {
 public:
  CopyWorkload(std::vector<std::string> inputs, std::vector<OutputFolders::Output> outputs, OutputMode mode,
               std::optional<std::uint64_t> samples)
      : inputs_(std::move(inputs)), outputs_(std::move(outputs)), mode_(mode), samples_(samples) {
    for (const auto& output : outputs_) bytes_ += output.bytes;
  }

  [[nodiscard]] std::uint32_t task_count() const override { return static_cast<std::uint32_t>(inputs_.size()); }

  void run(TaskRange range, std::span<TaskResult> results, std::vector<std::byte>& returned) const override {
    each(range, results, returned, [this](std::uint32_t task, std::vector<std::byte>& to) {
      OpenTask file(*this, task);
      const std::span<std::byte> buffer = thread_buffer();
      while (const std::size_t bytes = file.extract(buffer)) file.load(buffer.first(bytes));
      file.finish(to);
    });
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

  [[nodiscard]] const Stages* stages() const override { return this; }
  [[nodiscard]] std::optional<StageTimes> stage_times() const override { return times_.sum(); }
  [[nodiscard]] Volume volume() const override {
    return {.samples = samples_, .bytes_read = bytes_, .bytes_written = bytes_};
  }

 private:
  /// One file on its way.
  class OpenTask final : public StagedTask {
   public:
    OpenTask(const CopyWorkload& workload, std::uint32_t task)
        : workload_(workload),
          input_(workload.inputs_[task]),
          target_(workload.output(task)),
          from_(open_input()),
          to_(target_, workload.mode_) {
      to_.reserve(expected_);
      clock_.cut(&StageTimes::load_ns);
    }

    [[nodiscard]] std::size_t extract(std::span<std::byte> room) {
      ssize_t got = 0;
      do {
        got = ::read(from_.get(), room.data(), room.size());
      } while (got < 0 && errno == EINTR);
      if (got < 0) throw system_error(fmt::format("cannot read '{}'", input_), errno);
      clock_.cut(&StageTimes::extract_ns);
      return static_cast<std::size_t>(got);
    }
    void load(std::span<const std::byte> data) {
      write_all(to_.fd(), data, target_);
      bytes_ += data.size();
      clock_.cut(&StageTimes::load_ns);
    }
    void finish(std::vector<std::byte>& /*returned*/) override {
      to_.publish(bytes_, false);
      clock_.cut(&StageTimes::load_ns);
      workload_.times_.add(clock_.times());
    }

    [[nodiscard]] std::size_t extract(std::span<std::byte> room, Piece& /*piece*/) override { return extract(room); }
    void transform(std::span<std::byte> /*data*/, Piece& /*piece*/) override {}
    void load(std::span<const std::byte> data, const Piece& /*piece*/) override {
      clock_.cut(&StageTimes::transform_ns);
      load(data);
    }

    [[nodiscard]] std::size_t begin_extract(std::span<std::byte> room, Piece& /*piece*/, Wait& wait) override {
      const auto bytes = static_cast<std::size_t>(std::min<std::uint64_t>(room.size(), expected_ - told_));
      if (bytes == 0) return 0;
      wait = {.what = Wait::For::read, .fd = from_.get(), .offset = told_, .data = room.first(bytes)};
      waits_for_ = wait.what;
      told_ += bytes;
      return bytes;
    }
    void begin_load(std::span<std::byte> data, const Piece& /*piece*/, Wait& wait) override {
      clock_.cut(&StageTimes::transform_ns);
      wait = {.what = Wait::For::write, .fd = to_.fd(), .offset = bytes_, .data = data};
      waits_for_ = wait.what;
      bytes_ += data.size();
    }
    void end_wait(int error) override {
      const bool is_read = waits_for_ == Wait::For::read;
      if (error != 0) {
        throw system_error(
            is_read ? fmt::format("cannot read '{}'", input_) : fmt::format("cannot write '{}'", target_), error);
      }
      clock_.cut(is_read ? &StageTimes::extract_ns : &StageTimes::load_ns);
    }

   private:
    [[nodiscard]] UniqueFd open_input() {
      refuse_existing(target_, workload_.mode_);
      UniqueFd from(::open(input_.c_str(), O_RDONLY | O_CLOEXEC));
      if (!from) throw system_error(fmt::format("cannot open '{}'", input_), errno);
      expected_ = file_bytes(input_);
      clock_.cut(&StageTimes::extract_ns);
      return from;
    }

    const CopyWorkload& workload_;
    const std::string& input_;
    const std::string target_;
    StageClock clock_;
    std::uint64_t expected_ = 0, bytes_ = 0;
    std::uint64_t told_ = 0;                    // bytes that others were told to read
    Wait::For waits_for_ = Wait::For::nothing;  // last
    UniqueFd from_;
    TaskOutput to_;
  };

  [[nodiscard]] std::size_t piece_bytes() const noexcept override { return kTaskBufferBytes; }
  [[nodiscard]] std::unique_ptr<StagedTask> open(std::uint32_t task) const override {
    return std::make_unique<OpenTask>(*this, task);
  }
  void transform(std::uint32_t /*task*/, std::span<std::byte> /*data*/, Piece& /*piece*/) const override {}

  [[nodiscard]] std::string output(std::uint32_t task) const { return folders_.root() + "/" + outputs_[task].name; }

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
  std::optional<std::uint64_t> samples_;
  std::uint64_t bytes_ = 0;
  OutputFolders folders_{outputs_, mode_};
  StageTotals times_;
};

}  // namespace

std::unique_ptr<Workload> make_copy(const WorkloadOptions& options) {
  const OutputMode mode = output_mode(options.output_mode);
  SoundInputs inputs = sound_inputs(options);
  return std::make_unique<CopyWorkload>(std::move(inputs.paths), std::move(inputs.outputs), mode, inputs.samples);
}

}  // namespace noisefloor
