# xsimd, headers only: the system's, or those in XSIMD_INCLUDE_DIR.
# SPDX-License-Identifier: MIT
add_library(noisefloor_xsimd INTERFACE)
if(XSIMD_INCLUDE_DIR)
  if(NOT EXISTS "${XSIMD_INCLUDE_DIR}/xsimd/xsimd.hpp")
    message(FATAL_ERROR "XSIMD_INCLUDE_DIR=${XSIMD_INCLUDE_DIR} holds no xsimd/xsimd.hpp")
  endif()
  target_include_directories(noisefloor_xsimd SYSTEM INTERFACE "${XSIMD_INCLUDE_DIR}")
else()
  find_package(xsimd REQUIRED)
  # Its headers only: Debian's target also links xtl, which the headers do not need and which need not be there.
  target_include_directories(noisefloor_xsimd SYSTEM INTERFACE $<TARGET_PROPERTY:xsimd,INTERFACE_INCLUDE_DIRECTORIES>)
endif()
