# Finds the C and C++ headers of ONNX Runtime: headers only. The library itself
# is opened at run time, and its wheels carry no headers.
#
#   include(OnnxRuntimeHeaders)
#   target_link_libraries(<target> PRIVATE onnxruntime::headers)
#
# Looked for in this order; the first place with an API of at least
# ZOO_ONNXRUNTIME_API wins:
#   1. ONNXRUNTIME_INCLUDE_DIR, a CMake variable or an environment variable
#      (a folder with onnxruntime_c_api.h; if it is set it must be right);
#   2. the system's include folders;
#   3. a cache of this user, filled by 4 and 5
#      (${XDG_CACHE_HOME:-~/.cache}/generator-zoo/onnxruntime-headers-<version>);
#   4. the Debian package libonnxruntime-dev, unpacked without installing it;
#   5. the official release archive, checked against its SHA-256.
# ZOO_FETCH_HEADERS=OFF leaves out 4 and 5, which need a network.

include_guard(GLOBAL)

set(ZOO_ONNXRUNTIME_API 21)
set(ZOO_ONNXRUNTIME_VERSION 1.21.0)
option(ZOO_FETCH_HEADERS "Download the ONNX Runtime headers when they are not installed" ON)

# SHA-256 of the release archives of ZOO_ONNXRUNTIME_VERSION.
set(_zoo_ort_hash_x64 7485c7e7aac6501b27e353dcbe068e45c61ab51fbaf598d13970dfae669d20bf)
set(_zoo_ort_hash_aarch64 4508084bde1232ee1ab4b6fad2155be0ea2ccab1c1aae9910ddb3fb68a60805e)
set(ZOO_ONNXRUNTIME_SHA256 "" CACHE STRING
    "SHA-256 of the release archive, for an architecture whose hash is not listed")

# <ok> is TRUE if <dir> has headers that are new enough; <why> says what is wrong otherwise.
function(_zoo_ort_check dir ok why)
  set(${ok} FALSE PARENT_SCOPE)
  if(NOT EXISTS "${dir}/onnxruntime_c_api.h" OR NOT EXISTS "${dir}/onnxruntime_cxx_api.h")
    set(${why} "${dir} has no onnxruntime_c_api.h and onnxruntime_cxx_api.h" PARENT_SCOPE)
    return()
  endif()
  file(STRINGS "${dir}/onnxruntime_c_api.h" line REGEX "^#define ORT_API_VERSION [0-9]+")
  string(REGEX MATCH "[0-9]+" api "${line}")
  if(NOT api OR api LESS ZOO_ONNXRUNTIME_API)
    set(${why} "${dir} has ORT_API_VERSION ${api}, ${ZOO_ONNXRUNTIME_API} or newer is needed"
        PARENT_SCOPE)
    return()
  endif()
  set(${ok} TRUE PARENT_SCOPE)
endfunction()

# A folder of this user's that survives a build: XDG cache, else ~/.cache, else the build folder.
function(_zoo_ort_cache_dir out)
  if(DEFINED ENV{XDG_CACHE_HOME} AND NOT "$ENV{XDG_CACHE_HOME}" STREQUAL "")
    set(base "$ENV{XDG_CACHE_HOME}")
  elseif(DEFINED ENV{HOME} AND NOT "$ENV{HOME}" STREQUAL "")
    set(base "$ENV{HOME}/.cache")
  endif()
  if(base)
    # Probed by a child process: file(MAKE_DIRECTORY) ends the configuration where it cannot write.
    execute_process(
      COMMAND sh -c "mkdir -p \"$1\" && test -w \"$1\"" sh "${base}/generator-zoo"
      RESULT_VARIABLE failed OUTPUT_QUIET ERROR_QUIET)
  endif()
  if(NOT base OR failed)
    set(base "${CMAKE_BINARY_DIR}")
  endif()
  set(${out} "${base}/generator-zoo/onnxruntime-headers-${ZOO_ONNXRUNTIME_VERSION}" PARENT_SCOPE)
endfunction()

# Moves a filled temporary folder to its final name; two builds at a time both succeed.
function(_zoo_ort_publish from to)
  file(MAKE_DIRECTORY "${to}/..")
  execute_process(COMMAND mv -T "${from}" "${to}" RESULT_VARIABLE failed ERROR_QUIET)
  if(failed)
    _zoo_ort_check("${to}" ok why)
    if(NOT ok)
      file(REMOVE_RECURSE "${to}")
      execute_process(COMMAND mv -T "${from}" "${to}" ERROR_QUIET)
    endif()
    file(REMOVE_RECURSE "${from}")
  endif()
endfunction()

# Fills <dir> from the release archive; <why> is empty on success.
function(_zoo_ort_from_release dir why)
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|amd64|AMD64)$")
    set(arch x64)
  elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm64)$")
    set(arch aarch64)
  else()
    set(${why} "there is no release archive for ${CMAKE_SYSTEM_PROCESSOR}" PARENT_SCOPE)
    return()
  endif()
  set(hash "${_zoo_ort_hash_${arch}}")
  if(ZOO_ONNXRUNTIME_SHA256)
    set(hash "${ZOO_ONNXRUNTIME_SHA256}")
  endif()
  set(name "onnxruntime-linux-${arch}-${ZOO_ONNXRUNTIME_VERSION}")
  set(url "https://github.com/microsoft/onnxruntime/releases/download")
  string(APPEND url "/v${ZOO_ONNXRUNTIME_VERSION}/${name}.tgz")

  string(RANDOM LENGTH 12 unique)
  set(scratch "${dir}.${unique}.tmp")
  message(STATUS "Downloading ${url}")
  file(DOWNLOAD "${url}" "${scratch}/archive.tgz" STATUS status INACTIVITY_TIMEOUT 20 TLS_VERIFY ON)
  list(GET status 0 code)
  list(GET status 1 text)
  if(NOT code EQUAL 0)
    file(REMOVE_RECURSE "${scratch}")
    set(${why} "${url}: ${text}" PARENT_SCOPE)
    return()
  endif()
  file(SHA256 "${scratch}/archive.tgz" actual)
  if(NOT actual STREQUAL hash)
    file(REMOVE_RECURSE "${scratch}")
    set(${why} "${url} has SHA-256 ${actual}, expected ${hash}" PARENT_SCOPE)
    return()
  endif()
  file(ARCHIVE_EXTRACT INPUT "${scratch}/archive.tgz" DESTINATION "${scratch}"
       PATTERNS "${name}/include/*")
  _zoo_ort_publish("${scratch}/${name}/include" "${dir}")
  file(REMOVE_RECURSE "${scratch}")
  set(${why} "" PARENT_SCOPE)
endfunction()

# Fills <dir> from the Debian package; <why> is empty on success.
function(_zoo_ort_from_debian dir why)
  message(STATUS "Fetching the ONNX Runtime headers from the Debian package libonnxruntime-dev")
  execute_process(
    COMMAND sh "${CMAKE_CURRENT_FUNCTION_LIST_DIR}/fetch-onnxruntime-headers.sh" "${dir}"
    RESULT_VARIABLE failed OUTPUT_QUIET ERROR_VARIABLE text ERROR_STRIP_TRAILING_WHITESPACE)
  set(${why} "" PARENT_SCOPE)
  if(failed)
    set(${why} "${text}" PARENT_SCOPE)
  endif()
endfunction()

function(_zoo_ort_find out)
  set(given "${ONNXRUNTIME_INCLUDE_DIR}")
  if(NOT given)
    set(given "$ENV{ONNXRUNTIME_INCLUDE_DIR}")
  endif()
  if(given)
    _zoo_ort_check("${given}" ok why)
    if(NOT ok)
      message(FATAL_ERROR "ONNXRUNTIME_INCLUDE_DIR: ${why}.")
    endif()
    set(${out} "${given}" PARENT_SCOPE)
    return()
  endif()

  set(tried "")
  find_path(_zoo_ort_system onnxruntime_c_api.h
            PATH_SUFFIXES onnxruntime onnxruntime/core/session NO_CACHE)
  if(_zoo_ort_system)
    _zoo_ort_check("${_zoo_ort_system}" ok why)
    if(ok)
      set(${out} "${_zoo_ort_system}" PARENT_SCOPE)
      return()
    endif()
    string(APPEND tried "\n  - ${why}")
  else()
    string(APPEND tried "\n  - the system's include folders have no onnxruntime_c_api.h")
  endif()

  _zoo_ort_cache_dir(cache)
  _zoo_ort_check("${cache}" ok why)
  if(NOT ok AND ZOO_FETCH_HEADERS)
    if(EXISTS "${cache}")
      file(REMOVE_RECURSE "${cache}")
    endif()
    foreach(source IN ITEMS debian release)
      cmake_language(CALL _zoo_ort_from_${source} "${cache}" why)
      if(NOT why)
        _zoo_ort_check("${cache}" ok why)
      endif()
      if(ok)
        break()
      endif()
      string(REPLACE "\n" "\n    " why "${why}")
      string(APPEND tried "\n  - ${why}")
    endforeach()
  elseif(NOT ok)
    string(APPEND tried "\n  - ${why}\n  - ZOO_FETCH_HEADERS is off, so nothing was downloaded")
  endif()
  if(NOT ok)
    message(FATAL_ERROR
      "The ONNX Runtime headers (API ${ZOO_ONNXRUNTIME_API} or newer) were not found. Tried:${tried}\n"
      "Any one of these mends it:\n"
      "  * install them: 'apt-get install libonnxruntime-dev' (Debian 13 or newer);\n"
      "  * unpack an ONNX Runtime release archive (1.21 or newer) anywhere and set the environment "
      "variable ONNXRUNTIME_INCLUDE_DIR to its include folder;\n"
      "  * build once with a network, which fills ${cache}.\n")
  endif()
  set(${out} "${cache}" PARENT_SCOPE)
endfunction()

_zoo_ort_find(_zoo_ort_include)
message(STATUS "ONNX Runtime headers: ${_zoo_ort_include}")
add_library(onnxruntime::headers INTERFACE IMPORTED GLOBAL)
set_target_properties(onnxruntime::headers PROPERTIES
  INTERFACE_INCLUDE_DIRECTORIES "${_zoo_ort_include}")
