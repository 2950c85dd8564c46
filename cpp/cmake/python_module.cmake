# The Python module lunart._core.
find_package(pybind11 REQUIRED CONFIG HINTS "${LUNART_pybind11_dir}")
pybind11_add_module(lunart_core NO_EXTRAS
  cpp/src/bench/peak.cpp
  cpp/python/module.cpp cpp/python/bind_bench.cpp cpp/python/bind_classifier.cpp
  cpp/python/bind_dicom.cpp
  cpp/python/bind_io.cpp cpp/python/bind_network.cpp cpp/python/bind_pipeline.cpp
  cpp/python/bind_runner.cpp)
target_include_directories(lunart_core PRIVATE cpp cpp/src)
target_include_directories(lunart_core SYSTEM PRIVATE "${LUNART_nlohmann_include}")
target_link_libraries(lunart_core PRIVATE lunart lunart_options ZLIB::ZLIB)
set_target_properties(lunart_core PROPERTIES
  OUTPUT_NAME _core LIBRARY_OUTPUT_DIRECTORY "${LUNART_MODULE_FOLDER}")
install(TARGETS lunart_core DESTINATION ${LUNART_MODULE_DESTINATION})
