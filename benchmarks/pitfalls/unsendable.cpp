// What cannot be sent: a pointer in a message, which means nothing in the process that gets it.
// SPDX-License-Identifier: MIT
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "benchmarks/pitfalls/support.hpp"
#include "benchmarks/pitfalls/table.hpp"
#include "benchmarks/pitfalls/transferable.hpp"
#include "harness/base/shared_mapping.hpp"

namespace noisefloor {
namespace {

constexpr std::uint32_t kSamples = 1U << 20;

// variant: pointer plain_data
Answer scaled_sum(std::span<const float> samples, float factor) {
  double sum = 0;
  for (const float sample : samples) sum += static_cast<double>(sample * factor);
  return static_cast<Answer>(sum);
}
// end

// variant: pointer
struct ByPointer {
  const std::vector<float>* samples;  // an address of this process
  float factor;
};
static_assert(!Transferable<ByPointer>, "send() and receive() refuse it: so its bytes are sent past them");

Answer pointer(Bench& bench) {
  Channel channel;
  Process worker(bench, [&] {
    ByPointer task{};
    read_all(channel.theirs.get(), std::as_writable_bytes(std::span(&task, 1)));
    send(bench, channel.theirs.get(), scaled_sum(*task.samples, task.factor));  // nothing of ours is there
  });
  channel.theirs.reset();
  const auto samples = std::make_unique<std::vector<float>>(kSamples, 1.0F);  // made after the worker
  const ByPointer task{samples.get(), 2.0F};
  write_all(channel.ours.get(), std::as_bytes(std::span(&task, 1)));
  Answer answer = 0;  // and that it remains: the worker crashes before it answers
  receive(bench, channel.ours.get(), answer);
  return answer;
}
// end

// variant: plain_data
enum class Function : std::uint32_t { scaled_sum };  // functions are registered, and sent by name
struct Task {
  Function function;
  std::uint32_t first, last;  // samples are shared memory, and sent by place
  float factor;
};
static_assert(Transferable<Task>);

Answer plain_data(Bench& bench) {
  const SharedMapping memory(kSamples * sizeof(float));
  const std::span<float> samples = memory.as<float>();
  Channel channel;
  Process worker(bench, [&] {
    Task task{};
    receive(bench, channel.theirs.get(), task);
    if (task.function != Function::scaled_sum) return;
    send(bench, channel.theirs.get(), scaled_sum(samples.subspan(task.first, task.last - task.first), task.factor));
  });
  channel.theirs.reset();
  for (float& sample : samples) sample = 1.0F;
  send(bench, channel.ours.get(), Task{Function::scaled_sum, 0, kSamples, 2.0F});
  Answer answer = 0;
  receive(bench, channel.ours.get(), answer);
  return answer;
}
// end

constexpr Variant kVariants[] = {
    {.name = "pointer", .role = Role::bad, .help = "a message that holds a pointer", .run = pointer},
    {.name = "plain_data",
     .role = Role::good,
     .help = "a message that names the function and the place of the data",
     .run = plain_data},
};

}  // namespace

constexpr Pitfall kUnsendable{
    .name = "unsendable",
    .title = "Sending what only means something here",
    .lesson =
        "A closure, a pointer, an open file are addresses in one process. In another they are an error at best (Python "
        "refuses to pickle a lambda), a crash here.",
    .harm = Harm::wrong,
    .source = "the talk: payloads and results that cannot be pickled raise an error",
    .advice =
        "Send plain data: the name of a registered function, a file's name, a place in shared memory. Let the compiler "
        "check it: the concept Transferable in benchmarks/pitfalls/transferable.hpp refuses pointers and closures.",
    .variants = kVariants,
};

}  // namespace noisefloor
