# openvino over the OpenVINO wheel, which brings its headers. By hand and not with its CMake files:
# all we need is two folders and the library's name, which carries the version and which the
# unversioned one that a linker looks for is not beside.
if(NOT LUNART_openvino_dir)
  message(STATUS "lunart: no openvino in ${Python_EXECUTABLE}, so no openvino")
  return()
endif()
file(GLOB library "${LUNART_openvino_dir}/libs/libopenvino.so.*")
list(LENGTH library count)
if(NOT count EQUAL 1)
  message(FATAL_ERROR "${LUNART_openvino_dir}/libs holds ${count} libopenvino.so.*, expected one; "
                      "reinstall openvino")
endif()
cmake_path(GET library FILENAME library_name)
add_engine_module(openvino
  LIBRARY "${library_name}" VERSION "${LUNART_openvino_version}"
  FOLDER "${LUNART_openvino_dir}/libs" WHEEL_FOLDER ../openvino/libs
  SOURCES cpp/src/engines/openvino.cpp)
target_include_directories(lunart_openvino SYSTEM PRIVATE "${LUNART_openvino_dir}/include")
target_link_libraries(lunart_openvino PRIVATE "${library}")
# libopenvino's own libraries (TBB) lie beside it.
target_link_options(lunart_openvino PRIVATE "LINKER:-rpath-link,${LUNART_openvino_dir}/libs")
set_target_properties(lunart_openvino PROPERTIES SKIP_BUILD_RPATH TRUE)
target_sources(lunart PRIVATE
  cpp/src/engines/model_cache.cpp cpp/src/engines/openvino_open.cpp)
target_compile_definitions(lunart PRIVATE LUNART_WITH_OPENVINO)
