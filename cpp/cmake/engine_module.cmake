# add_engine_module(<name> LIBRARY <file> VERSION <version> FOLDER <dir> WHEEL_FOLDER <relative>
#                   SOURCES ...)
# liblunart_<name>.so, opened at run time, and the JSON beside it that says which library it was
# built for and where that lies: in the folder that was built with, and where a wheel finds it. No
# run path is needed: the library is opened by its full path first.
function(add_engine_module name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "LIBRARY;VERSION;FOLDER;WHEEL_FOLDER" "SOURCES")
  set(package "${CMAKE_SOURCE_DIR}/python/lunart")
  add_library(lunart_${name} MODULE ${arg_SOURCES})
  target_include_directories(lunart_${name} PRIVATE cpp/include cpp/src)
  target_link_directories(lunart_${name} PRIVATE "${arg_FOLDER}")
  target_link_libraries(lunart_${name} PRIVATE lunart_options)
  set_target_properties(lunart_${name} PROPERTIES LIBRARY_OUTPUT_DIRECTORY "${package}")
  file(RELATIVE_PATH built_with "${package}" "${arg_FOLDER}")
  set(head "{\"lunart\": \"${LUNART_VERSION}\", \"version\": \"${arg_VERSION}\", ")
  string(APPEND head "\"library\": \"${arg_LIBRARY}\", ")
  file(CONFIGURE OUTPUT "${package}/liblunart_${name}.json" @ONLY CONTENT
       "${head}\"lib_folders\": [\"${arg_WHEEL_FOLDER}\", \"${built_with}\"]}\n")
  file(CONFIGURE OUTPUT "${CMAKE_BINARY_DIR}/wheel/liblunart_${name}.json" @ONLY CONTENT
       "${head}\"lib_folders\": [\"${arg_WHEEL_FOLDER}\"]}\n")
  install(TARGETS lunart_${name} DESTINATION lunart)
  install(FILES "${CMAKE_BINARY_DIR}/wheel/liblunart_${name}.json" DESTINATION lunart)
endfunction()
