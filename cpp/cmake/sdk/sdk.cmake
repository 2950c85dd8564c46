# The SDK for C++: liblunart.so with the public headers' functions, and the CMake package lunart.
# `cmake --install` lays out what is ours; make_sdk.py adds the libraries of others and the lists.
# lib/ holds what a program links, lib/lunart/ what is opened or needed by that: were libstdc++ in
# lib/, a program with a run path to lib/ would get ours instead of its own, perhaps newer, one.
include(CMakePackageConfigHelpers)

add_library(lunart_shared SHARED)
target_include_directories(lunart_shared INTERFACE $<INSTALL_INTERFACE:include>)
target_compile_features(lunart_shared INTERFACE cxx_std_20)
target_link_libraries(lunart_shared PRIVATE lunart ZLIB::ZLIB)
set(exports "${CMAKE_SOURCE_DIR}/cpp/cmake/sdk/exports.map")
target_link_options(lunart_shared PRIVATE
  LINKER:--no-undefined "LINKER:--version-script=${exports}")
set_target_properties(lunart_shared PROPERTIES
  OUTPUT_NAME lunart EXPORT_NAME lunart LINKER_LANGUAGE CXX LINK_DEPENDS "${exports}"
  LIBRARY_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/lib" INSTALL_RPATH "$ORIGIN/lunart")
set_target_properties(luna_infer PROPERTIES INSTALL_RPATH "$ORIGIN/../lib/lunart")

install(TARGETS lunart_shared EXPORT lunart LIBRARY DESTINATION lib)
install(DIRECTORY cpp/include/lunart DESTINATION include)
install(FILES LICENSE DESTINATION licenses/lunart)
install(FILES examples/cpp/CMakeLists.txt examples/cpp/main.cpp DESTINATION examples/cpp)

set(package lib/cmake/lunart)
install(EXPORT lunart NAMESPACE lunart:: DESTINATION ${package} FILE lunartTargets.cmake)
configure_package_config_file(cpp/cmake/sdk/lunartConfig.cmake.in
  "${CMAKE_BINARY_DIR}/lunartConfig.cmake" INSTALL_DESTINATION ${package})
write_basic_package_version_file("${CMAKE_BINARY_DIR}/lunartConfigVersion.cmake"
  VERSION "${LUNART_VERSION}" COMPATIBILITY SameMinorVersion)
install(FILES "${CMAKE_BINARY_DIR}/lunartConfig.cmake"
              "${CMAKE_BINARY_DIR}/lunartConfigVersion.cmake" DESTINATION ${package})
