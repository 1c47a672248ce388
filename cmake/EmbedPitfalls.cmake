# Writes OUTPUT: the text of the files SOURCES (separated by blanks, relative to FOLDER) as a C++ table.
# SPDX-License-Identifier: MIT
separate_arguments(SOURCES UNIX_COMMAND "${SOURCES}")
set(text
    "// Generated from the pitfalls' sources.\n#include \"benchmarks/pitfalls/sources.hpp\"\n\nnamespace noisefloor {\nnamespace {\nconstexpr PitfallSource kSources[] = {\n"
)
foreach(source IN LISTS SOURCES)
  get_filename_component(name "${source}" NAME_WE)
  file(READ "${FOLDER}/${source}" content)
  string(APPEND text "    {\"${name}\", R\"pitfall(${content})pitfall\"},\n")
endforeach()
string(
  APPEND text
  "};\n}  // namespace\n\nstd::span<const PitfallSource> pitfall_sources() noexcept { return kSources; }\n}  // namespace noisefloor\n"
)
file(WRITE "${OUTPUT}" "${text}")
