// std::normal_distribution over the two Mersenne twisters. Compiled twice, with different flags.
// SPDX-License-Identifier: MIT
//
// NOISEFLOOR_NATIVE says which of the two this is. The native one is a shared library that binds to its own
// symbols: as a plain object it would share the library's weak functions with the other, and one of the
// two would be measured under both names.
#include <array>
#include <random>

#include "benchmarks/micro/peers.hpp"

namespace noisefloor::micro {
namespace {

template <class Engine>
struct Normals {
  Engine engine{1};
  std::normal_distribution<float> normal;
};

template <class Engine>
Normals<Engine>& normals() {
  static Normals<Engine> state;
  return state;
}

template <class Engine>
void f32(const float* in, float* out, std::size_t n, float sigma) {
  Normals<Engine>& state = normals<Engine>();
  add_floats(in, out, n, sigma, [&] { return state.normal(state.engine); });
}

template <class Engine>
std::size_t i16(const std::int16_t* in, std::int16_t* out, std::size_t n, float sigma) {
  Normals<Engine>& state = normals<Engine>();
  return add_shorts(in, out, n, sigma, [&] { return state.normal(state.engine); });
}

}  // namespace

#ifdef NOISEFLOOR_NATIVE
std::span<const Peer> std_peers_native() noexcept {
  static constexpr std::array<Peer, 2> kPeers{
      {{"std_mt19937_native", "", f32<std::mt19937>, i16<std::mt19937>},
       {"std_mt19937_64_native", "", f32<std::mt19937_64>, i16<std::mt19937_64>}}};
  return kPeers;
}
#else
std::span<const Peer> std_peers() noexcept {
  static constexpr std::array<Peer, 2> kPeers{{{"std_mt19937", "", f32<std::mt19937>, i16<std::mt19937>},
                                               {"std_mt19937_64", "", f32<std::mt19937_64>, i16<std::mt19937_64>}}};
  return kPeers;
}
#endif

}  // namespace noisefloor::micro
