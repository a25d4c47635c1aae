# What is installed: into the Python package `runtime` if that is built, else where the system's
# libraries and headers are. Beside the libraries are the CMake package `zoo` (zoo::zoo, zoo::zoo_c)
# and the pkg-config files `zoo` (the C API) and `zoo-cpp`. All of it can be moved.

include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

if(ZOO_BUILD_PYTHON)
  set(zoo_lib runtime/lib)
  set(zoo_include runtime/include)
else()
  set(zoo_lib ${CMAKE_INSTALL_LIBDIR})
  set(zoo_include ${CMAKE_INSTALL_INCLUDEDIR})
endif()
set(zoo_cmake ${zoo_lib}/cmake/zoo)
set(zoo_pkgconfig ${zoo_lib}/pkgconfig)

set_target_properties(zoo zoo_c PROPERTIES INSTALL_RPATH "$ORIGIN")
install(TARGETS zoo zoo_c EXPORT zooTargets
  LIBRARY DESTINATION ${zoo_lib} RUNTIME DESTINATION ${zoo_lib} ARCHIVE DESTINATION ${zoo_lib}
  INCLUDES DESTINATION ${zoo_include})
if(TARGET zoo_openvino)
  set_target_properties(zoo_openvino PROPERTIES INSTALL_RPATH "$ORIGIN")
  install(TARGETS zoo_openvino LIBRARY DESTINATION ${zoo_lib})
endif()
if(TARGET zoo_cuda)
  install(TARGETS ${zoo_cuda_targets} LIBRARY DESTINATION ${zoo_lib})
endif()
if(zoo_tensorrt_targets)
  install(TARGETS ${zoo_tensorrt_targets} LIBRARY DESTINATION ${zoo_lib})
endif()
if(TARGET _runtime)
  set_target_properties(_runtime PROPERTIES INSTALL_RPATH "$ORIGIN/lib")
  install(TARGETS _runtime LIBRARY DESTINATION runtime)
endif()

install(DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR}/include/ DESTINATION ${zoo_include})
install(EXPORT zooTargets NAMESPACE zoo:: DESTINATION ${zoo_cmake})
configure_package_config_file(${CMAKE_CURRENT_SOURCE_DIR}/cmake/zooConfig.cmake.in
  ${CMAKE_CURRENT_BINARY_DIR}/zooConfig.cmake INSTALL_DESTINATION ${zoo_cmake})
write_basic_package_version_file(${CMAKE_CURRENT_BINARY_DIR}/zooConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/zooConfig.cmake
  ${CMAKE_CURRENT_BINARY_DIR}/zooConfigVersion.cmake DESTINATION ${zoo_cmake})

function(zoo_install_pkgconfig zoo_pc_name zoo_pc_library zoo_pc_description)
  file(RELATIVE_PATH zoo_pc_prefix "/${zoo_pkgconfig}" "/")
  string(REGEX REPLACE "/$" "" zoo_pc_prefix "${zoo_pc_prefix}")
  configure_file(${CMAKE_CURRENT_SOURCE_DIR}/cmake/zoo.pc.in
    ${CMAKE_CURRENT_BINARY_DIR}/${zoo_pc_name}.pc @ONLY)
  install(FILES ${CMAKE_CURRENT_BINARY_DIR}/${zoo_pc_name}.pc DESTINATION ${zoo_pkgconfig})
endfunction()
zoo_install_pkgconfig(zoo "-lzoo_c" "Image generators: the C API")
zoo_install_pkgconfig(zoo-cpp "-lzoo" "Image generators: the C++ API")
