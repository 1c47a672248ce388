// Texts, maps, marks and chunks, from one libsndfile handle to another.
// SPDX-License-Identifier: MIT
#include "harness/audio/metadata.hpp"

#include <sndfile.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <string_view>
#include <vector>

namespace noisefloor {
namespace {

/// libsndfile writes no header above 200 KiB: beyond this, a text is left out rather than the file lost.
constexpr std::size_t kMostTextBytes = 48U << 10;
constexpr std::uint32_t kMostCues = 1000;

/// What libsndfile 1.2 writes into a container. It accepts more without a word.
struct Places {
  bool instrument = false, cues = false, broadcast = false, cart = false;
};

Places places_in(int format) noexcept {
  switch (format & SF_FORMAT_TYPEMASK) {
    case SF_FORMAT_WAV:
      return {.instrument = true, .cues = true, .broadcast = true, .cart = true};
    case SF_FORMAT_WAVEX:
      return {.instrument = true, .cues = true, .broadcast = true, .cart = false};
    case SF_FORMAT_RF64:
      return {.instrument = false, .cues = false, .broadcast = true, .cart = true};
    case SF_FORMAT_AIFF:  // an instrument would push the cues out, and not be written itself
      return {.instrument = false, .cues = true, .broadcast = false, .cart = false};
    default:
      return {};
  }
}

bool copy_texts(SNDFILE* from, SNDFILE* to) {
  bool all = true;
  std::size_t total = 0;
  for (int kind = SF_STR_FIRST; kind <= SF_STR_LAST; ++kind) {
    const char* text = sf_get_string(from, kind);
    if (text == nullptr || *text == '\0') continue;
    const std::size_t size = std::strlen(text);
    if (total + size > kMostTextBytes || sf_set_string(to, kind, text) != 0) {
      all = false;
    } else {
      total += size;
    }
  }
  return all;
}

bool copy_channel_map(SNDFILE* from, SNDFILE* to, int channels) {
  std::vector<int> map(static_cast<std::size_t>(channels));
  const int bytes = static_cast<int>(map.size() * sizeof(int));
  if (sf_command(from, SFC_GET_CHANNEL_MAP_INFO, map.data(), bytes) != SF_TRUE) return true;
  const auto is_valid = [](int place) { return place > SF_CHANNEL_MAP_INVALID && place < SF_CHANNEL_MAP_MAX; };
  if (!std::ranges::all_of(map, is_valid)) return true;  // the file says nothing that means anything
  if (sf_command(to, SFC_SET_CHANNEL_MAP_INFO, map.data(), bytes) == SF_TRUE) return true;
  // A map that the container has no number for. One channel, or left and right, is what it means without a map.
  return channels <= 2;
}

bool copy_instrument(SNDFILE* from, SNDFILE* to, const Places& places, int format) {
  SF_INSTRUMENT instrument{};
  // Every XI file is an instrument; its header is written anew.
  if ((format & SF_FORMAT_TYPEMASK) == SF_FORMAT_XI) return true;
  if (sf_command(from, SFC_GET_INSTRUMENT, &instrument, sizeof instrument) != SF_TRUE) return true;
  if (instrument.loop_count < 0 || instrument.loop_count > static_cast<int>(std::size(instrument.loops))) return false;
  return places.instrument && sf_command(to, SFC_SET_INSTRUMENT, &instrument, sizeof instrument) == SF_TRUE;
}

bool copy_cues(SNDFILE* from, SNDFILE* to, const Places& places) {
  std::uint32_t count = 0;
  if (sf_command(from, SFC_GET_CUE_COUNT, &count, sizeof count) != SF_TRUE || count == 0) return true;
  if (!places.cues || count > kMostCues) return false;
  // A struct with one cue too many at its end, as libsndfile has it: the count, then the cues.
  using Cues = SF_CUES_VAR(1);
  const std::size_t bytes = sizeof(Cues) + (count - 1) * sizeof(SF_CUE_POINT);
  std::vector<std::uint32_t> memory((bytes + sizeof(std::uint32_t) - 1) / sizeof(std::uint32_t));
  if (sf_command(from, SFC_GET_CUE, memory.data(), static_cast<int>(bytes)) != SF_TRUE) return false;
  return sf_command(to, SFC_SET_CUE, memory.data(), static_cast<int>(bytes)) == SF_TRUE;
}

/// The broadcast and the cart chunk end in a text of any length. `Head` is the chunk with a short one.
template <class Head, class Chunk>
bool copy_chunk(SNDFILE* from, SNDFILE* to, int get, int set, bool has_place) {
  Head head;
  if (sf_command(from, get, &head, sizeof head) != SF_TRUE) return true;  // as in nearly every file
  const auto chunk = std::make_unique<Chunk>();
  return has_place && sf_command(from, get, chunk.get(), sizeof(Chunk)) == SF_TRUE &&
         sf_command(to, set, chunk.get(), sizeof(Chunk)) == SF_TRUE;
}

using Broadcast = SF_BROADCAST_INFO_VAR(16 << 10);
using Cart = SF_CART_INFO_VAR(16 << 10);

}  // namespace

bool copy_metadata(const SoundReader& from, SoundWriter& to) {
  auto* source = static_cast<SNDFILE*>(from.native());
  auto* target = static_cast<SNDFILE*>(to.native());
  const int format = from.facts().format;
  const Places places = places_in(format);
  bool all = copy_channel_map(source, target, from.facts().channels);
  if ((format & SF_FORMAT_TYPEMASK) == SF_FORMAT_WAVEX) {
    const int ambisonic = sf_command(source, SFC_WAVEX_GET_AMBISONIC, nullptr, 0);
    if (ambisonic == SF_AMBISONIC_B_FORMAT) sf_command(target, SFC_WAVEX_SET_AMBISONIC, nullptr, ambisonic);
  }
  all = copy_instrument(source, target, places, format) && all;
  all = copy_cues(source, target, places) && all;
  all = copy_chunk<SF_BROADCAST_INFO, Broadcast>(source, target, SFC_GET_BROADCAST_INFO, SFC_SET_BROADCAST_INFO,
                                                 places.broadcast) &&
        all;
  all = copy_chunk<SF_CART_INFO, Cart>(source, target, SFC_GET_CART_INFO, SFC_SET_CART_INFO, places.cart) && all;
  return copy_texts(source, target) && all;
}

}  // namespace noisefloor
