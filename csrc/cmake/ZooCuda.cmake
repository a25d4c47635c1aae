# The CUDA kernels, libzoo_cuda.so: built where there is an nvcc, on the PATH, in
# CUDACXX or CMAKE_CUDA_COMPILER, in /usr/local/cuda, or in the wheel nvidia-cuda-nvcc.
# Without one the build is complete for CPUs, and says so.

include_guard(GLOBAL)

set(zoo_nvcc_hints "$ENV{CUDA_HOME}/bin" /usr/local/cuda/bin)
foreach(package nvidia.cu13 nvidia.cuda_nvcc)
  zoo_python_package(${package} zoo_nvcc_wheel)
  if(zoo_nvcc_wheel)
    list(APPEND zoo_nvcc_hints "${zoo_nvcc_wheel}/bin")
  endif()
endforeach()
set(zoo_nvcc "${CMAKE_CUDA_COMPILER}")
if(NOT zoo_nvcc AND NOT "$ENV{CUDACXX}" STREQUAL "")
  set(zoo_nvcc "$ENV{CUDACXX}")
endif()
if(NOT zoo_nvcc)
  find_program(ZOO_NVCC nvcc HINTS ${zoo_nvcc_hints})
  set(zoo_nvcc "${ZOO_NVCC}")
endif()

set(ZOO_CUDA_FOUND OFF)
if(zoo_nvcc)
  execute_process(COMMAND "${zoo_nvcc}" --version OUTPUT_VARIABLE zoo_nvcc_says ERROR_QUIET
    RESULT_VARIABLE zoo_nvcc_failed)
  if(NOT zoo_nvcc_failed AND zoo_nvcc_says MATCHES "release ([0-9]+\\.[0-9]+)")
    set(zoo_nvcc_version ${CMAKE_MATCH_1})
    set(ZOO_CUDA_FOUND ON)
  endif()
endif()
if(NOT ZOO_CUDA_FOUND)
  message(STATUS "CUDA kernels: no nvcc that works was found; this build is for CPUs only")
  return()
endif()

# The TensorRT plugins, and the code that opens plans without Python, need headers only: of an SDK,
# a system package, or the wheel kernel-lens.
get_filename_component(zoo_nvcc_real "${zoo_nvcc}" REALPATH)
get_filename_component(zoo_nvcc_folder "${zoo_nvcc_real}" DIRECTORY)
find_path(ZOO_CUDA_INCLUDE cuda_runtime.h
  HINTS "${zoo_nvcc_folder}/../include" /usr/local/cuda/include)
zoo_python_package(kernel_lens zoo_kernel_lens)
find_path(ZOO_TENSORRT_INCLUDE NvInferRuntime.h
  HINTS "$ENV{TENSORRT_HOME}/include" "${zoo_kernel_lens}/include/tensorrt")
# TensorRT for RTX has headers of the same names, which describe other tables of virtual functions:
# each kind is used with its own library only.
find_path(ZOO_TENSORRT_RTX_INCLUDE NvInferRuntime.h HINTS "$ENV{TENSORRT_RTX_HOME}/include"
  NO_DEFAULT_PATH)
function(zoo_check_tensorrt include rtx variable)
  if(EXISTS "${include}/NvInferVersion.h")
    file(STRINGS "${include}/NvInferVersion.h" found REGEX "define +TRT_MAJOR_RTX ")
    if((found AND NOT rtx) OR (rtx AND NOT found))
      message(FATAL_ERROR "${variable}: ${include} has the headers of the other TensorRT. TensorRT's "
        "belong to TENSORRT_HOME, those of TensorRT for RTX to TENSORRT_RTX_HOME")
    endif()
  endif()
endfunction()
zoo_check_tensorrt("${ZOO_TENSORRT_INCLUDE}" OFF TENSORRT_HOME)
zoo_check_tensorrt("${ZOO_TENSORRT_RTX_INCLUDE}" ON TENSORRT_RTX_HOME)
set(ZOO_PLUGINS_FOUND OFF)
if(ZOO_TENSORRT_INCLUDE AND ZOO_CUDA_INCLUDE)
  set(ZOO_PLUGINS_FOUND ON)
  message(STATUS "TensorRT plugins, and plans from C++: headers in ${ZOO_TENSORRT_INCLUDE}")
else()
  message(STATUS "TensorRT plugins, and plans from C++: not built, no TensorRT headers found "
    "(TENSORRT_HOME)")
endif()
set(ZOO_TENSORRT_RTX_FOUND OFF)
if(ZOO_TENSORRT_RTX_INCLUDE AND ZOO_CUDA_INCLUDE)
  set(ZOO_TENSORRT_RTX_FOUND ON)
  message(STATUS "Plans of TensorRT for RTX from C++: headers in ${ZOO_TENSORRT_RTX_INCLUDE}")
endif()
if(NOT ZOO_BUILD_CUDA)
  return()
endif()

# Machine code for each, and PTX of the oldest and the newest for what is between and beyond.
set(zoo_cuda_architectures 80 86-real 89-real 90-real)
if(zoo_nvcc_version VERSION_GREATER_EQUAL 12.8)
  list(APPEND zoo_cuda_architectures 100-real 120)
endif()
set(ZOO_CUDA_ARCHITECTURES "${zoo_cuda_architectures}" CACHE STRING
  "Of the CUDA kernels, as CMAKE_CUDA_ARCHITECTURES")
set(CMAKE_CUDA_COMPILER "${zoo_nvcc}")
set(CMAKE_CUDA_ARCHITECTURES "${ZOO_CUDA_ARCHITECTURES}")
enable_language(CUDA)
set(CMAKE_CUDA_STANDARD 17)
set(CMAKE_CUDA_STANDARD_REQUIRED ON)
list(JOIN ZOO_CUDA_ARCHITECTURES " " zoo_cuda_list)
message(STATUS "CUDA kernels: nvcc ${zoo_nvcc_version}, compute capabilities ${zoo_cuda_list}")
