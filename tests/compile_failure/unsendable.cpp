// Sends a closure to another process: this must not compile unless SENDABLE is defined, and the message must say why.
// SPDX-License-Identifier: MIT
#include "benchmarks/pitfalls/transferable.hpp"

namespace {

template <noisefloor::Transferable Message>
void send(const Message&) {}

struct Task {
  int function, first, last;
};

}  // namespace

int main() {
#ifdef SENDABLE
  send(Task{1, 0, 10});
#else
  int factor = 10;
  send([&factor](int x) { return x * factor; });
#endif
}
