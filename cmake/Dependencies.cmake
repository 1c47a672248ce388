# System libraries, all from Debian: packages/apt.txt names the packages.
# SPDX-License-Identifier: MIT
find_package(Threads REQUIRED)
find_package(OpenMP REQUIRED COMPONENTS CXX)
find_package(PkgConfig REQUIRED)
find_package(benchmark REQUIRED)
find_package(fmt REQUIRED)
find_package(CLI11 REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(tomlplusplus REQUIRED)
pkg_check_modules(sndfile REQUIRED IMPORTED_TARGET sndfile)
pkg_check_modules(flac REQUIRED IMPORTED_TARGET flac)
pkg_check_modules(mpg123 REQUIRED IMPORTED_TARGET libmpg123)
pkg_check_modules(hwloc REQUIRED IMPORTED_TARGET hwloc)
pkg_check_modules(xxhash REQUIRED IMPORTED_TARGET libxxhash)
pkg_check_modules(gmpxx REQUIRED IMPORTED_TARGET gmpxx)

# The strategy on io_uring is listed as unavailable where it is missing.
pkg_check_modules(uring QUIET IMPORTED_TARGET liburing)
if(NOT TARGET PkgConfig::uring)
  message(STATUS "liburing is missing: async_io cannot run in this build")
endif()

# noisefloor-mpi is built where it is found; the strategy looks for that program when it is asked for.
pkg_check_modules(ompi QUIET IMPORTED_TARGET ompi)
if(NOT TARGET PkgConfig::ompi)
  message(STATUS "Open MPI is missing: noisefloor-mpi is not built")
endif()

# The strategies on it are listed as unavailable where it is missing or not wanted: the thread sanitizer does not see into
# Debian's oneTBB.
option(NOISEFLOOR_TBB "Build the strategies on oneTBB" ON)
if(NOISEFLOOR_TBB)
  find_package(TBB QUIET)
  if(NOT TBB_FOUND)
    message(STATUS "oneTBB is missing: its strategies cannot run in this build")
  endif()
endif()
