// What may be sent to another process: values that mean the same there.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <type_traits>
#include <utility>

namespace noisefloor {

namespace transfer {

/// Stands for a field of any type.
struct Any {
  template <class T>
  operator T() const;  // NOLINT(google-explicit-constructor): never called
};

/// Stands for a field of any type but a pointer.
struct Plain {
  template <class T>
  requires(!std::is_pointer_v<T> && !std::is_member_pointer_v<T>) operator T()
      const;  // NOLINT(google-explicit-constructor): never called
};

template <class T, class Field, std::size_t... I>
constexpr bool takes(std::index_sequence<I...>) {
  return requires { T{(static_cast<void>(I), Field{})...}; };
}

inline constexpr std::size_t kMostFields = 16;

/// The number of fields of an aggregate, the elements of arrays counted one by one.
template <class T, std::size_t N = kMostFields>
constexpr std::size_t fields() {
  if constexpr (N == 0 || takes<T, Any>(std::make_index_sequence<N>{})) {
    return N;
  } else {
    return fields<T, N - 1>();
  }
}

}  // namespace transfer

/// Its bytes are all there is to it: no pointer or reference among its fields, nothing to construct.
template <class T>
concept PlainData = std::is_arithmetic_v<T> || std::is_enum_v<T> ||
    (std::is_aggregate_v<T>&& std::is_trivially_copyable_v<T> && !std::is_array_v<T> &&
     transfer::takes<T, transfer::Plain>(std::make_index_sequence<transfer::fields<T>()>{}));

/// A closure is no aggregate: what it captured, often by reference, means nothing in another process. Send
/// plain data that name a registered function instead.
template <class T>
concept Transferable = PlainData<T>;

}  // namespace noisefloor
