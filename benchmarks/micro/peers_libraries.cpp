// Generators of other libraries. One that was not found at build time stays in the list with the package it needs.
// SPDX-License-Identifier: MIT
#include <array>

#include "benchmarks/micro/peers.hpp"

#ifdef NOISEFLOOR_BOOST_RANDOM
#include <boost/random/mersenne_twister.hpp>
#include <boost/random/normal_distribution.hpp>
#endif
#ifdef NOISEFLOOR_GSL
#include <gsl/gsl_randist.h>
#include <gsl/gsl_rng.h>

#include <memory>
#endif
#ifdef NOISEFLOOR_RANDOM123
#include <Random123/philox.h>

#include <Random123/boxmuller.hpp>
#endif

namespace noisefloor::micro {
namespace {

#ifdef NOISEFLOOR_BOOST_RANDOM
/// Ziggurat.
struct Boost {
  boost::random::mt19937 engine{1};
  boost::random::normal_distribution<float> normal;
  float operator()() { return normal(engine); }
};
#endif

#ifdef NOISEFLOOR_GSL
/// Ziggurat of Marsaglia and Tsang over Tausworthe's generator.
struct Gsl {
  struct Free {
    void operator()(gsl_rng* state) const noexcept { gsl_rng_free(state); }
  };
  std::unique_ptr<gsl_rng, Free> generator{gsl_rng_alloc(gsl_rng_taus2)};
  float operator()() { return static_cast<float>(gsl_ran_gaussian_ziggurat(generator.get(), 1.0)); }
};
#endif

#ifdef NOISEFLOOR_RANDOM123
/// Four words of Philox4x32-10 make four normals.
struct Random123 {
  r123::Philox4x32 philox;
  r123::Philox4x32::ctr_type counter{};
  r123::Philox4x32::key_type key{};
  float ready[4] = {};
  int used = 4;
  float operator()() {
    if (used == 4) {
      const auto words = philox(counter, key);
      counter.incr();
      const r123::float2 first = r123::boxmuller(words[0], words[1]);
      const r123::float2 second = r123::boxmuller(words[2], words[3]);
      ready[0] = first.x;
      ready[1] = first.y;
      ready[2] = second.x;
      ready[3] = second.y;
      used = 0;
    }
    return ready[used++];
  }
};
#endif

template <class Draw>
Draw& state() {
  static Draw draw;
  return draw;
}

template <class Draw>
void f32(const float* in, float* out, std::size_t n, float sigma) {
  Draw& draw = state<Draw>();
  add_floats(in, out, n, sigma, [&] { return draw(); });
}

template <class Draw>
std::size_t i16(const std::int16_t* in, std::int16_t* out, std::size_t n, float sigma) {
  Draw& draw = state<Draw>();
  return add_shorts(in, out, n, sigma, [&] { return draw(); });
}

}  // namespace

std::span<const Peer> library_peers() noexcept {
  static constexpr std::array<Peer, 3> kPeers{{
#ifdef NOISEFLOOR_BOOST_RANDOM
      {"boost_mt19937", "", f32<Boost>, i16<Boost>},
#else
      {"boost_mt19937", "needs Boost.Random at build time: libboost-random-dev", nullptr, nullptr},
#endif
#ifdef NOISEFLOOR_GSL
      {"gsl_ziggurat_taus2", "", f32<Gsl>, i16<Gsl>},
#else
      {"gsl_ziggurat_taus2", "needs GSL at build time: libgsl-dev", nullptr, nullptr},
#endif
#ifdef NOISEFLOOR_RANDOM123
      {"random123_boxmuller", "", f32<Random123>, i16<Random123>},
#else
      {"random123_boxmuller", "needs Random123 at build time: librandom123-dev", nullptr, nullptr},
#endif
  }};
  return kPeers;
}

}  // namespace noisefloor::micro
