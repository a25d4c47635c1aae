# The packages that the build needs, found in the Python environment that runs it
# as well as on the system: pip can install every one of them.

include_guard(GLOBAL)

if(ZOO_BUILD_PYTHON)
  find_package(Python 3.10 REQUIRED COMPONENTS Interpreter Development.Module)
else()
  find_package(Python 3.10 COMPONENTS Interpreter)
endif()

# <out> is the folder of a Python package, empty where it is not installed.
function(zoo_python_package name out)
  set(${out} "" PARENT_SCOPE)
  if(NOT Python_EXECUTABLE)
    return()
  endif()
  execute_process(
    COMMAND "${Python_EXECUTABLE}" -c
      "import importlib.util as u; s = u.find_spec('${name}'); print(s.submodule_search_locations[0] if s else '')"
    OUTPUT_VARIABLE folder OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  set(${out} "${folder}" PARENT_SCOPE)
endfunction()

if(ZOO_BUILD_PYTHON)
  zoo_python_package(pybind11 zoo_pybind11)
  find_package(pybind11 CONFIG REQUIRED HINTS "${zoo_pybind11}/share/cmake/pybind11")
endif()

find_package(nlohmann_json CONFIG QUIET)
if(NOT nlohmann_json_FOUND)
  zoo_python_package(nlohmann_json zoo_nlohmann)
  find_path(NLOHMANN_JSON_INCLUDE_DIR nlohmann/json.hpp HINTS "${zoo_nlohmann}/include")
  if(NOT NLOHMANN_JSON_INCLUDE_DIR)
    message(FATAL_ERROR "nlohmann/json.hpp is missing: pip install nlohmann-json, or "
      "apt install nlohmann-json3-dev, or set NLOHMANN_JSON_INCLUDE_DIR")
  endif()
  add_library(nlohmann_json::nlohmann_json INTERFACE IMPORTED)
  target_include_directories(nlohmann_json::nlohmann_json SYSTEM INTERFACE
    "${NLOHMANN_JSON_INCLUDE_DIR}")
endif()

if(ZOO_BUILD_OPENVINO)
  zoo_python_package(openvino zoo_openvino_package)
  find_package(OpenVINO CONFIG QUIET COMPONENTS Runtime HINTS "${zoo_openvino_package}/cmake")
  if(NOT OpenVINO_FOUND)
    message(FATAL_ERROR "OpenVINO is missing: pip install openvino, or set OpenVINO_DIR, or build "
      "without that backend by -DZOO_BUILD_OPENVINO=OFF")
  endif()
endif()
