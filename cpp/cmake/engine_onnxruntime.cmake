# onnxruntime: compiled into liblunart from the headers alone, because its C interface crosses
# versions; the library is opened at run time (cpp/src/engines/onnxruntime_library.cpp).
find_path(LUNART_ONNXRUNTIME_INCLUDE onnxruntime_c_api.h
  PATHS "${CMAKE_SOURCE_DIR}/.cache/onnxruntime-headers"
  PATH_SUFFIXES onnxruntime onnxruntime/core/session
  DOC "Folder that holds onnxruntime_c_api.h and onnxruntime_cxx_api.h")
if(NOT EXISTS "${LUNART_ONNXRUNTIME_INCLUDE}/onnxruntime_c_api.h")
  set(said "no onnxruntime_c_api.h (LUNART_ONNXRUNTIME_INCLUDE is ${LUNART_ONNXRUNTIME_INCLUDE})")
  if("onnxruntime" IN_LIST LUNART_ENGINES)
    message(FATAL_ERROR "${said}; sh cpp/cmake/onnxruntime_headers.sh gets the headers")
  endif()
  message(STATUS "lunart: ${said}, so no native onnxruntime; "
    "sh cpp/cmake/onnxruntime_headers.sh gets the headers")
  return()
endif()
target_sources(lunart PRIVATE cpp/src/engines/onnx_weights.cpp cpp/src/engines/onnxruntime.cpp
  cpp/src/engines/onnxruntime_library.cpp)
target_include_directories(lunart SYSTEM PRIVATE "${LUNART_ONNXRUNTIME_INCLUDE}")
target_compile_definitions(lunart PRIVATE LUNART_WITH_ONNXRUNTIME)
# A wheel's installation has the pip package beside it. The build's outputs have not: there this file
# says where the interpreter that builds keeps it. No wheel carries it; an SDK says: here.
file(RELATIVE_PATH wheel "${LUNART_MODULE_FOLDER}" "${Python_SITEARCH}/onnxruntime/capi")
file(CONFIGURE OUTPUT "${LUNART_MODULE_FOLDER}/liblunart_onnxruntime.json" @ONLY
  CONTENT "{\"lib_folders\": [\"${wheel}\"]}\n")
if(NOT LUNART_PYTHON)
  file(CONFIGURE OUTPUT "${CMAKE_BINARY_DIR}/install/liblunart_onnxruntime.json" @ONLY
    CONTENT "{\"lib_folders\": [\".\"]}\n")
  install(FILES "${CMAKE_BINARY_DIR}/install/liblunart_onnxruntime.json"
          DESTINATION ${LUNART_MODULE_DESTINATION})
endif()
