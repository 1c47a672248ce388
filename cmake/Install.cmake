# `make install`: the program, and what it looks for beside itself: sweeps and reference programs; the figures and the
# report; man pages where help2man is, and completions of the command line.
# SPDX-License-Identifier: MIT
include(GNUInstallDirs)
install(PROGRAMS "${CMAKE_BINARY_DIR}/noisefloor" DESTINATION "${CMAKE_INSTALL_BINDIR}")
if(TARGET noisefloor-mpi)
  install(PROGRAMS "${CMAKE_BINARY_DIR}/noisefloor-mpi" DESTINATION "${CMAKE_INSTALL_BINDIR}")
endif()
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
install(
  DIRECTORY plots
  DESTINATION "${CMAKE_INSTALL_DATADIR}/noisefloor"
  FILES_MATCHING
  PATTERN "*.py"
  PATTERN "*.css"
  PATTERN "*.js"
  PATTERN "__pycache__" EXCLUDE)
install(
  DIRECTORY scripts/lib
  DESTINATION "${CMAKE_INSTALL_DATADIR}/noisefloor/scripts"
  USE_SOURCE_PERMISSIONS
  FILES_MATCHING
  PATTERN "*.py"
  PATTERN "tables.json"
  PATTERN "__pycache__" EXCLUDE)
install(FILES scripts/__init__.py DESTINATION "${CMAKE_INSTALL_DATADIR}/noisefloor/scripts")
install(PROGRAMS scripts/find_python DESTINATION "${CMAKE_INSTALL_DATADIR}/noisefloor/scripts")
foreach(command figures report results)
  install(FILES scripts/${command} scripts/${command}.py DESTINATION "${CMAKE_INSTALL_DATADIR}/noisefloor/scripts")
endforeach()
install(FILES README.md CHANGELOG.md DESTINATION "${CMAKE_INSTALL_DOCDIR}")
install(FILES LICENSE DESTINATION "${CMAKE_INSTALL_DOCDIR}" RENAME copyright)

# What a user's own library is built on, for CMake (find_package(noisefloor), noisefloor::work) and pkg-config.
add_library(noisefloor_work INTERFACE)
target_include_directories(noisefloor_work INTERFACE "$<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>")
set_target_properties(noisefloor_work PROPERTIES EXPORT_NAME work)
install(DIRECTORY include/noisefloor DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
install(TARGETS noisefloor_work EXPORT noisefloor)
set(package "${CMAKE_INSTALL_DATADIR}/cmake/noisefloor")
install(EXPORT noisefloor NAMESPACE noisefloor:: FILE noisefloorConfig.cmake DESTINATION "${package}")
include(CMakePackageConfigHelpers)
write_basic_package_version_file("${CMAKE_BINARY_DIR}/noisefloorConfigVersion.cmake" COMPATIBILITY SameMinorVersion
                                 ARCH_INDEPENDENT)
install(FILES "${CMAKE_BINARY_DIR}/noisefloorConfigVersion.cmake" DESTINATION "${package}")
configure_file(cmake/noisefloor.pc.in "${CMAKE_BINARY_DIR}/noisefloor.pc" @ONLY)
install(FILES "${CMAKE_BINARY_DIR}/noisefloor.pc" DESTINATION "${CMAKE_INSTALL_DATADIR}/pkgconfig")
install(DIRECTORY examples DESTINATION "${CMAKE_INSTALL_DATADIR}/noisefloor")

# Printed by the program itself, so that they say what it takes.
set(printed "${CMAKE_BINARY_DIR}/installed")
set(pages)
find_program(HELP2MAN help2man)
if(HELP2MAN)
  set(pages "${printed}/man1")
  add_custom_command(
    OUTPUT "${pages}"
    COMMAND ${CMAKE_SOURCE_DIR}/scripts/man_page ${HELP2MAN} $<TARGET_FILE:noisefloor> "${pages}"
    DEPENDS noisefloor "${CMAKE_SOURCE_DIR}/scripts/man_page"
    VERBATIM)
  install(DIRECTORY "${pages}" DESTINATION "${CMAKE_INSTALL_MANDIR}")
endif()
foreach(shell bash zsh fish)
  add_custom_command(
    OUTPUT "${printed}/completion.${shell}"
    COMMAND ${CMAKE_COMMAND} -E make_directory "${printed}"
    COMMAND $<TARGET_FILE:noisefloor> completion ${shell} > "${printed}/completion.${shell}"
    DEPENDS noisefloor
    VERBATIM)
endforeach()
add_custom_target(noisefloor_printed ALL DEPENDS ${pages} "${printed}/completion.bash" "${printed}/completion.zsh"
                                                 "${printed}/completion.fish")
install(FILES "${printed}/completion.bash" DESTINATION "${CMAKE_INSTALL_DATADIR}/bash-completion/completions"
        RENAME noisefloor)
install(FILES "${printed}/completion.zsh" DESTINATION "${CMAKE_INSTALL_DATADIR}/zsh/vendor-completions"
        RENAME _noisefloor)
install(FILES "${printed}/completion.fish" DESTINATION "${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d"
        RENAME noisefloor.fish)

# `make package`: a Debian package of the above.
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME noisefloor)
set(CPACK_PACKAGE_CONTACT "noisefloor contributors <noisefloor@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "which way of running a batch of tasks is fastest here")
set(CPACK_PACKAGE_DESCRIPTION
    "Measures sequential, threaded, OpenMP, TBB, process-pool, io_uring and MPI runs of an audio ETL and of synthetic
tasks, and adds Gaussian noise to collections of sound files.")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION sound)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "python3, python3-numpy, python3-pandas, python3-scipy, python3-matplotlib")
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "libomp5, openmpi-bin, sox")
include(CPack)
