// Anonymous memory that forked workers share with their parent.
// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <span>

namespace noisefloor {

/// A zeroed MAP_SHARED | MAP_ANONYMOUS region, page-aligned, unmapped when it goes. What a forked
/// worker writes here, its parent sees. Throws Error if the memory cannot be had.
class SharedMapping {
 public:
  SharedMapping() noexcept = default;
  explicit SharedMapping(std::size_t bytes);
  SharedMapping(SharedMapping&& other) noexcept;
  SharedMapping& operator=(SharedMapping&& other) noexcept;
  SharedMapping(const SharedMapping&) = delete;
  SharedMapping& operator=(const SharedMapping&) = delete;
  ~SharedMapping();

  [[nodiscard]] std::size_t size() const noexcept { return bytes_; }

  /// The first size()/sizeof(T) objects of trivially copyable type T.
  template <class T>
  [[nodiscard]] std::span<T> as() const noexcept {
    return {static_cast<T*>(data_), bytes_ / sizeof(T)};
  }

 private:
  void* data_ = nullptr;
  std::size_t bytes_ = 0;
};

}  // namespace noisefloor
