# Writes the version header if its content changed; without git the commit is "unknown".
# SPDX-License-Identifier: MIT
string(TOUPPER "${BUILD_TYPE}" upper)
execute_process(COMMAND git -C "${SOURCE}" rev-parse HEAD OUTPUT_VARIABLE sha OUTPUT_STRIP_TRAILING_WHITESPACE
                ERROR_QUIET RESULT_VARIABLE result)
set(dirty false)
if(NOT result EQUAL 0)
  set(sha unknown)
else()
  execute_process(COMMAND git -C "${SOURCE}" status --porcelain --untracked-files=no OUTPUT_VARIABLE changes ERROR_QUIET)
  if(NOT changes STREQUAL "")
    set(dirty true)
  endif()
endif()
string(STRIP "${FLAGS}" FLAGS)
set(text
    "// Generated.\n#pragma once\n\nnamespace noisefloor {\ninline constexpr const char* kVersion = \"${VERSION}\";\ninline constexpr const char* kGitSha = \"${sha}\";\ninline constexpr bool kGitDirty = ${dirty};\ninline constexpr const char* kCompiler = \"${COMPILER}\";\ninline constexpr const char* kCompilerFlags = \"${FLAGS}\";\ninline constexpr const char* kBuildType = \"${BUILD_TYPE}\";\n}  // namespace noisefloor\n"
)
if(EXISTS "${OUTPUT}")
  file(READ "${OUTPUT}" old)
endif()
if(NOT "${old}" STREQUAL "${text}")
  file(WRITE "${OUTPUT}" "${text}")
endif()
