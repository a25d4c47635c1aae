# What is installed, into the Python package `runtime`, and for C++ programs the
# CMake package `zoo` beside it (runtime/lib/cmake/zoo).

include(CMakePackageConfigHelpers)

set(zoo_prefix runtime)
set(zoo_lib ${zoo_prefix}/lib)
set(zoo_cmake ${zoo_lib}/cmake/zoo)

set_target_properties(zoo PROPERTIES INSTALL_RPATH "$ORIGIN")
install(TARGETS zoo EXPORT zooTargets
  LIBRARY DESTINATION ${zoo_lib} RUNTIME DESTINATION ${zoo_lib} ARCHIVE DESTINATION ${zoo_lib}
  INCLUDES DESTINATION ${zoo_prefix}/include)
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
  install(TARGETS _runtime LIBRARY DESTINATION ${zoo_prefix})
endif()

install(DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR}/include/zoo DESTINATION ${zoo_prefix}/include)
install(EXPORT zooTargets NAMESPACE zoo:: DESTINATION ${zoo_cmake})
configure_package_config_file(${CMAKE_CURRENT_SOURCE_DIR}/cmake/zooConfig.cmake.in
  ${CMAKE_CURRENT_BINARY_DIR}/zooConfig.cmake INSTALL_DESTINATION ${zoo_cmake})
write_basic_package_version_file(${CMAKE_CURRENT_BINARY_DIR}/zooConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/zooConfig.cmake
  ${CMAKE_CURRENT_BINARY_DIR}/zooConfigVersion.cmake DESTINATION ${zoo_cmake})
