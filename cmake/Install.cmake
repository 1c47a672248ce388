# `make install`: the program, and what it looks for beside itself: sweeps and reference programs.
# SPDX-License-Identifier: MIT
include(GNUInstallDirs)
install(PROGRAMS "${CMAKE_BINARY_DIR}/noisefloor" DESTINATION "${CMAKE_INSTALL_BINDIR}")
install(
  DIRECTORY benchmarks/sweeps
  DESTINATION "${CMAKE_INSTALL_DATADIR}/noisefloor"
  FILES_MATCHING
  PATTERN "*.toml")
install(
  DIRECTORY scripts/reference
  DESTINATION "${CMAKE_INSTALL_DATADIR}/noisefloor"
  FILES_MATCHING
  PATTERN "*.py"
  PATTERN "__pycache__" EXCLUDE)
