// Tasks that return many bytes: what it costs to bring results back.
// SPDX-License-Identifier: MIT
#include "harness/workloads/payload.hpp"

#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>
#include <cstring>

#include "harness/base/error.hpp"
#include "harness/base/shared_mapping.hpp"

namespace noisefloor {
namespace {

// The golden ratio in 64 bits spreads the starts; another odd number (from SplitMix64's mixing) is the step.
constexpr std::uint64_t kStart = 0x9E3779B97F4A7C15U;
constexpr std::uint64_t kStep = 0xBF58476D1CE4E5B9U;

struct Record {
  std::uint64_t hash;
  std::uint64_t done;  // iterations leave the same hash: this tells a task that ran from one that did not
};

class Payload final : public Workload, private Stages {
 public:
  Payload(std::uint32_t tasks, std::size_t task_size)
      : task_size_(task_size), memory_(std::size_t{tasks} * sizeof(Record)), records_(memory_.as<Record>()) {}

  [[nodiscard]] std::uint32_t task_count() const override { return static_cast<std::uint32_t>(records_.size()); }

  void run(TaskRange range, std::span<TaskResult> results, std::vector<std::byte>& returned) const override {
    each(range, results, returned, [this](std::uint32_t task, std::vector<std::byte>& bytes) {
      const std::size_t before = bytes.size();
      bytes.resize(before + task_size_);
      const std::span<std::byte> mine = std::span(bytes).subspan(before);
      fill_payload(task, mine);
      records_[task] = {XXH3_64bits_withSeed(mine.data(), mine.size(), task), 1};
    });
  }

  void prepare(std::uint32_t /*iterations*/) override { std::fill(records_.begin(), records_.end(), Record{}); }

  [[nodiscard]] std::uint64_t digest(TaskRange range) const override {
    std::uint64_t sum = 0;
    for (std::uint32_t task = range.first; task < range.last; ++task) {
      if (records_[task].done == 0) throw Error(fmt::format("payload: task {} recorded no hash: it did not run", task));
      sum += records_[task].hash;
    }
    return sum;
  }

  [[nodiscard]] const Stages* stages() const override { return this; }

 private:
  struct PieceState {
    std::uint64_t first;  // its first byte
  };

  class OpenTask final : public StagedTask {
   public:
    OpenTask(const Payload& workload, std::uint32_t task) : workload_(workload), task_(task) {
      bytes_.reserve(workload_.task_size_);
    }

    [[nodiscard]] std::size_t extract(std::span<std::byte> /*room*/, Piece& piece) override {
      piece.set(PieceState{bytes_.size()});
      return std::min(kLargestPieceBytes, workload_.task_size_ - bytes_.size());
    }
    void transform(std::span<std::byte> data, Piece& piece) override { workload_.transform(task_, data, piece); }
    void load(std::span<const std::byte> data, const Piece& /*piece*/) override {
      bytes_.insert(bytes_.end(), data.begin(), data.end());
    }
    void finish(std::vector<std::byte>& returned) override {
      workload_.records_[task_] = {XXH3_64bits_withSeed(bytes_.data(), bytes_.size(), task_), 1};
      returned.insert(returned.end(), bytes_.begin(), bytes_.end());
    }

   private:
    const Payload& workload_;
    std::uint32_t task_;
    std::vector<std::byte> bytes_;
  };

  [[nodiscard]] std::size_t piece_bytes() const noexcept override { return std::min(kLargestPieceBytes, task_size_); }
  [[nodiscard]] std::unique_ptr<StagedTask> open(std::uint32_t task) const override {
    return std::make_unique<OpenTask>(*this, task);
  }
  void transform(std::uint32_t task, std::span<std::byte> data, Piece& piece) const override {
    fill_payload(task, data, piece.get<PieceState>().first);
  }

  std::size_t task_size_;
  SharedMapping memory_;
  std::span<Record> records_;
};

}  // namespace

void fill_payload(std::uint32_t task, std::span<std::byte> bytes, std::uint64_t first) noexcept {
  std::uint64_t word = (std::uint64_t{task} + 1) * kStart + first / sizeof(std::uint64_t) * kStep;
  std::size_t at = 0;
  for (; at + sizeof word <= bytes.size(); at += sizeof word, word += kStep) {
    std::memcpy(bytes.data() + at, &word, sizeof word);
  }
  if (at < bytes.size()) std::memcpy(bytes.data() + at, &word, bytes.size() - at);
}

std::unique_ptr<Workload> make_payload(const WorkloadOptions& options) {
  if (options.task_size == 0 || options.task_size > kLargestPayloadBytes) {
    throw UsageError(fmt::format("payload: a task that returns {} bytes: give a task_size of 1 to {}",
                                 options.task_size, kLargestPayloadBytes));
  }
  return std::make_unique<Payload>(options.tasks, options.task_size);
}

}  // namespace noisefloor
