# The numbers by which libzoo and the libraries that it opens know that they were built from the
# same headers: nobody has to remember to raise one.

include_guard(GLOBAL)

set(zoo_csrc "${CMAKE_CURRENT_LIST_DIR}/..")

# A number of 60 bits of all headers of ours that a file of csrc/ includes, directly or not: the
# beginning of the SHA-256 of lines "PATH SHA-256" in the order of the paths. What they are changes
# when CMake runs next, which a change of one of them makes it do.
function(zoo_interface file result)
  set(waiting ${file})
  set(headers "")
  while(waiting)
    list(POP_FRONT waiting header)
    list(APPEND headers ${header})
    foreach(folder "${zoo_csrc}" "${zoo_csrc}/include")
      if(EXISTS "${folder}/${header}")
        set(path_of_${header} "${folder}/${header}")
      endif()
    endforeach()
    file(STRINGS "${path_of_${header}}" lines REGEX "^#include \"")
    foreach(line IN LISTS lines)
      string(REGEX REPLACE "^#include \"([^\"]+)\".*$" "\\1" included "${line}")
      # What the build writes is what is asked for here.
      if(NOT included STREQUAL "zoo_interfaces.h" AND NOT included IN_LIST headers
         AND NOT included IN_LIST waiting)
        list(APPEND waiting ${included})
      endif()
    endforeach()
  endwhile()
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${path_of_${file}}")
  list(REMOVE_ITEM headers ${file})
  list(SORT headers)
  set(text "")
  foreach(header IN LISTS headers)
    file(SHA256 "${path_of_${header}}" hash)
    string(APPEND text "${header} ${hash}\n")
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${path_of_${header}}")
  endforeach()
  string(SHA256 hash "${text}")
  string(SUBSTRING ${hash} 0 15 number)
  set(${result} "0x${number}" PARENT_SCOPE)
endfunction()

zoo_interface(ops/cuda_ops.cu zoo_cuda_interface)
zoo_interface(backends/openvino/openvino_backend.cc zoo_openvino_interface)
zoo_interface(backends/tensorrt/tensorrt_engine.cc zoo_tensorrt_interface)
set(ZOO_INTERFACES_INCLUDE "${CMAKE_CURRENT_BINARY_DIR}/interfaces")
# Written only when it changes: what includes it is compiled again then.
file(CONFIGURE OUTPUT "${ZOO_INTERFACES_INCLUDE}/zoo_interfaces.h" CONTENT
"// Made by CMake (ZooInterfaces.cmake): of libzoo_cuda.so, libzoo_openvino.so, libzoo_tensorrt*.so.
#pragma once

#include <cstdint>

namespace zoo {

constexpr uint64_t kCudaInterface = @zoo_cuda_interface@;
constexpr uint64_t kOpenVinoInterface = @zoo_openvino_interface@;
constexpr uint64_t kTensorRtInterface = @zoo_tensorrt_interface@;

}  // namespace zoo
" @ONLY)
