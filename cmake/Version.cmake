# Version, commit and compiler in generated/version.hpp, refreshed at every build.
# SPDX-License-Identifier: MIT
set(NOISEFLOOR_GENERATED "${CMAKE_BINARY_DIR}/generated")
string(TOUPPER "${CMAKE_BUILD_TYPE}" NOISEFLOOR_BUILD_TYPE_UPPER)
add_custom_target(
  noisefloor_version_header
  BYPRODUCTS "${NOISEFLOOR_GENERATED}/noisefloor_version.hpp"
  COMMAND
    ${CMAKE_COMMAND} -DSOURCE=${CMAKE_SOURCE_DIR} -DOUTPUT=${NOISEFLOOR_GENERATED}/noisefloor_version.hpp
    -DVERSION=${PROJECT_VERSION} "-DCOMPILER=${CMAKE_CXX_COMPILER_ID} ${CMAKE_CXX_COMPILER_VERSION}"
    "-DFLAGS=${CMAKE_CXX_FLAGS} ${CMAKE_CXX_FLAGS_${NOISEFLOOR_BUILD_TYPE_UPPER}}" -DBUILD_TYPE=${CMAKE_BUILD_TYPE} -P
    ${CMAKE_SOURCE_DIR}/cmake/WriteVersion.cmake
  COMMENT "Version header"
  VERBATIM)
add_library(noisefloor_version INTERFACE)
target_include_directories(noisefloor_version INTERFACE "${NOISEFLOOR_GENERATED}")
add_dependencies(noisefloor_version noisefloor_version_header)
