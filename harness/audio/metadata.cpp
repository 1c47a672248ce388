// Texts, maps, marks and chunks, from one libsndfile handle to another.
// SPDX-License-Identifier: MIT
#include "harness/audio/metadata.hpp"

#include <sndfile.h>

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "harness/audio/chunks.hpp"

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

/// libsndfile reads the texts of an MP3 file as UTF-8 and writes what it is given as Latin-1: the text that arrives.
/// False if Latin-1 has no such characters.
bool to_latin1(std::string& text) {
  std::string latin1;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte < 0x80) {
      latin1 += text[i];
    } else if ((byte == 0xC2 || byte == 0xC3) && i + 1 < text.size()) {
      latin1 += static_cast<char>((byte & 0x03) << 6 | (static_cast<unsigned char>(text[++i]) & 0x3F));
    } else {
      return false;
    }
  }
  text = std::move(latin1);
  return true;
}

bool copy_texts(SNDFILE* from, SNDFILE* to, int format) {
  bool all = true;
  std::size_t total = 0;
  for (int kind = SF_STR_FIRST; kind <= SF_STR_LAST; ++kind) {
    const char* read = sf_get_string(from, kind);
    if (read == nullptr || *read == '\0') continue;
    std::string text = read;
    const bool fits =
        total + text.size() <= kMostTextBytes && ((format & SF_FORMAT_TYPEMASK) != SF_FORMAT_MPEG || to_latin1(text));
    if (!fits || sf_set_string(to, kind, text.c_str()) != 0) {
      all = false;
    } else {
      total += text.size();
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

// libsndfile holds 16 KiB of such a text, and refuses to be given as much.
using Broadcast = SF_BROADCAST_INFO_VAR(15 << 10);
using Cart = SF_CART_INFO_VAR(15 << 10);

}  // namespace

bool copy_metadata(const SoundReader& from, SoundWriter& to) {
  auto* source = static_cast<SNDFILE*>(from.native());
  auto* target = static_cast<SNDFILE*>(to.native());
  const int format = to.format();
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
  return copy_texts(source, target, format) && all;
}

bool keeps_metadata(const SoundReader& from, int to, std::uint64_t bytes) {
  const std::vector<std::string> said = from.says();
  return said.empty() || std::ranges::includes(chunk_names(to, bytes), said);
}

}  // namespace noisefloor
