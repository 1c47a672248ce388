# The floors of the house: a floor sees only the floors that it links.
# SPDX-License-Identifier: MIT

add_library(noisefloor_options INTERFACE)
target_compile_options(
  noisefloor_options
  INTERFACE -Wall
            -Wextra
            -Wpedantic
            -Wconversion
            -Wshadow
            -ffp-contract=off # every fused multiply-add is written out: the noise must be the same everywhere
            $<$<BOOL:${NOISEFLOOR_WERROR}>:-Werror>)

# noisefloor_floor(<name> <folder> [UNTIMED] SOURCES <files> LINKS <targets> [PRIVATE_LINKS <targets>])
#
# A static library noisefloor_<name> of the files in <folder> (relative to the top). Its headers are
# included as "<folder>/x.hpp", through a folder of its own in the build tree: a floor that does not
# link this one cannot include it. UNTIMED: none of it runs within the clock; -O1 then saves a third of
# its time to build.
function(noisefloor_floor name folder)
  cmake_parse_arguments(ARG "UNTIMED" "" "SOURCES;LINKS;PRIVATE_LINKS" ${ARGN})
  list(TRANSFORM ARG_SOURCES PREPEND "${CMAKE_SOURCE_DIR}/${folder}/")
  set(target noisefloor_${name})
  set(view "${CMAKE_BINARY_DIR}/floors/${name}")
  get_filename_component(parent "${view}/${folder}" DIRECTORY)
  file(MAKE_DIRECTORY "${parent}")
  file(CREATE_LINK "${CMAKE_SOURCE_DIR}/${folder}" "${view}/${folder}" SYMBOLIC)
  if(NOT ARG_SOURCES)
    add_library(${target} INTERFACE)
    target_include_directories(${target} INTERFACE "${view}")
    target_link_libraries(${target} INTERFACE ${ARG_LINKS})
    return()
  endif()
  add_library(${target} STATIC ${ARG_SOURCES})
  target_include_directories(${target} PUBLIC "${view}")
  target_link_libraries(${target} PUBLIC ${ARG_LINKS} PRIVATE noisefloor_options ${ARG_PRIVATE_LINKS})
  if(ARG_UNTIMED)
    target_compile_options(${target} PRIVATE $<$<CONFIG:Release>:-O1>)
  endif()
endfunction()
