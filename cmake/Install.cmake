# `make install`: the program, and the sweeps where it looks for them beside itself.
# SPDX-License-Identifier: MIT
include(GNUInstallDirs)
install(PROGRAMS "${CMAKE_BINARY_DIR}/noisefloor" DESTINATION "${CMAKE_INSTALL_BINDIR}")
install(
  DIRECTORY benchmarks/sweeps
  DESTINATION "${CMAKE_INSTALL_DATADIR}/noisefloor"
  FILES_MATCHING
  PATTERN "*.toml")
