// Anonymous shared memory by mmap.
// SPDX-License-Identifier: MIT
#include "harness/base/shared_mapping.hpp"

#include <sys/mman.h>

#include <cerrno>
#include <string>
#include <utility>

#include "harness/base/error.hpp"

namespace noisefloor {

SharedMapping::SharedMapping(std::size_t bytes) {
  if (bytes == 0) return;  // mmap refuses an empty mapping; an empty span needs none
  void* data = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (data == MAP_FAILED) {
    throw system_error("cannot share " + std::to_string(bytes) + " bytes of memory, ask for less", errno);
  }
  data_ = data;
  bytes_ = bytes;
}

SharedMapping::SharedMapping(SharedMapping&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}

SharedMapping& SharedMapping::operator=(SharedMapping&& other) noexcept {
  if (this != &other) {
    if (data_ != nullptr) ::munmap(data_, bytes_);
    data_ = std::exchange(other.data_, nullptr);
    bytes_ = std::exchange(other.bytes_, 0);
  }
  return *this;
}

SharedMapping::~SharedMapping() {
  if (data_ != nullptr) ::munmap(data_, bytes_);
}

}  // namespace noisefloor
