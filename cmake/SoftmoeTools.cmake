# Compiler cache, linker, warnings, and the function that declares the project's libraries.

find_program(SOFTMOE_CCACHE ccache)
if(SOFTMOE_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  # Without this ccache does not cache sources that use a precompiled header.
  set(ccache_launcher ${CMAKE_COMMAND} -E env
      CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
      CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1 ${SOFTMOE_CCACHE})
  set(CMAKE_C_COMPILER_LAUNCHER ${ccache_launcher})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${ccache_launcher})
endif()

find_program(SOFTMOE_MOLD mold)
if(SOFTMOE_MOLD)
  add_link_options(-fuse-ld=mold)
endif()

add_library(softmoe_warnings INTERFACE)
target_compile_options(softmoe_warnings INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor
  $<$<BOOL:${SOFTMOE_WERROR}>:-Werror>>)

# ccache needs this flag of gcc for sources that use a precompiled header.
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-fpch-preprocess>)
endif()

# softmoe_group_sources(TARGET): a unity build compiles the sources of each folder as one. (CMake's own
# batches have a fixed number of sources: adding one moves the others, and two of them may then define
# equal local names in one batch.)
function(softmoe_group_sources target)
  set_target_properties(${target} PROPERTIES UNITY_BUILD_MODE GROUP)
  get_target_property(sources ${target} SOURCES)
  foreach(source IN LISTS sources)
    cmake_path(ABSOLUTE_PATH source)
    cmake_path(GET source PARENT_PATH folder)
    cmake_path(RELATIVE_PATH folder BASE_DIRECTORY ${PROJECT_SOURCE_DIR})
    string(MAKE_C_IDENTIFIER "${folder}" group)
    set_source_files_properties(${source} PROPERTIES UNITY_GROUP ${group})
  endforeach()
endfunction()

# softmoe_library(NAME [SOURCES ...] [HEADERS ...] [PRIVATE_HEADERS ...] DEPENDS ... [NO_PCH]
#                 [PRIVATE_DEPENDS ...])
#
# Adds the static library softmoe_NAME, alias softmoe::NAME, of the sources and headers in this folder
# and the folders below it (or of those given). Headers are included from the root of the tree
# (#include "NAME/header.h") and are installed unless they are private. All libraries share the
# precompiled header of softmoe_core unless NO_PCH is given: sources without libtorch compile faster
# without it, since gcc instantiates its pending templates for each source.
function(softmoe_library name)
  cmake_parse_arguments(arg "NO_PCH" "" "SOURCES;HEADERS;PRIVATE_HEADERS;DEPENDS;PRIVATE_DEPENDS"
                        ${ARGN})
  if(NOT DEFINED arg_SOURCES)
    file(GLOB_RECURSE arg_SOURCES CONFIGURE_DEPENDS *.cpp)
  endif()
  # HEADERS without a value: none is public.
  if(NOT DEFINED arg_HEADERS AND NOT "HEADERS" IN_LIST arg_KEYWORDS_MISSING_VALUES)
    file(GLOB_RECURSE arg_HEADERS RELATIVE ${CMAKE_CURRENT_SOURCE_DIR} CONFIGURE_DEPENDS *.h)
  endif()
  if(arg_PRIVATE_HEADERS)
    list(REMOVE_ITEM arg_HEADERS ${arg_PRIVATE_HEADERS})
  endif()
  set(target softmoe_${name})
  add_library(${target} STATIC ${arg_SOURCES})
  add_library(softmoe::${name} ALIAS ${target})
  set_target_properties(${target} PROPERTIES EXPORT_NAME ${name})
  target_sources(${target} PUBLIC FILE_SET HEADERS BASE_DIRS ${PROJECT_SOURCE_DIR}
                 FILES ${arg_HEADERS})
  target_compile_features(${target} PUBLIC cxx_std_20)
  target_link_libraries(${target} PUBLIC ${arg_DEPENDS}
                        PRIVATE ${arg_PRIVATE_DEPENDS} $<BUILD_INTERFACE:softmoe_warnings>)
  if(NOT arg_NO_PCH)
    if(name STREQUAL "core")
      target_precompile_headers(${target} PRIVATE <core/precompiled.h>)
    else()
      target_precompile_headers(${target} REUSE_FROM softmoe_core)
    endif()
  endif()
  softmoe_group_sources(${target})
  set_property(GLOBAL APPEND PROPERTY SOFTMOE_LIBRARIES ${target})
endfunction()
