# torchscript and aotinductor over libtorch. Linked against the torch wheel by hand:
# find_package(Torch) of a CUDA wheel stops without a CUDA toolkit, and all we need is two folders.
if(NOT LUNART_torch_dir)
  message(STATUS "lunart: no torch in ${Python_EXECUTABLE}, so no torchscript and aotinductor")
  return()
endif()
add_engine_module(torch
  LIBRARY libtorch_cpu.so VERSION "${LUNART_torch_version}"
  FOLDER "${LUNART_torch_dir}/lib" WHEEL_FOLDER ../torch/lib
  SOURCES cpp/src/engines/aotinductor.cpp cpp/src/engines/aotinductor_package.cpp
          cpp/src/engines/torch_workers.cpp cpp/src/engines/torchscript.cpp)
target_include_directories(lunart_torch SYSTEM PRIVATE
  "${LUNART_torch_dir}/include" "${LUNART_torch_dir}/include/torch/csrc/api/include")
target_link_libraries(lunart_torch PRIVATE torch_cpu c10)
target_sources(lunart PRIVATE cpp/src/engines/torch_engines.cpp)
target_compile_definitions(lunart PRIVATE LUNART_WITH_TORCH)
