# add_engine_module(<name> LIBRARY <file> VERSION <version> FOLDER <dir> WHEEL_FOLDER <relative>
#                   SOURCES ...)
# liblunart_<name>.so, opened at run time, and the JSON beside it that says which library it was
# built for and where that lies: in the folder that was built with, and, once installed, where a
# wheel finds it or beside the module in an SDK. No run path is needed: the library is opened by its
# full path first.
function(add_engine_module name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "LIBRARY;VERSION;FOLDER;WHEEL_FOLDER" "SOURCES")
  set(package "${LUNART_MODULE_FOLDER}")
  add_library(lunart_${name} MODULE ${arg_SOURCES})
  target_include_directories(lunart_${name} PRIVATE cpp/include cpp/src)
  target_link_directories(lunart_${name} PRIVATE "${arg_FOLDER}")
  target_link_libraries(lunart_${name} PRIVATE lunart_options)
  # Assertions of the library's headers name their file: not with this machine's folders.
  cmake_path(GET arg_FOLDER PARENT_PATH library_home)
  target_compile_options(lunart_${name} PRIVATE "-ffile-prefix-map=${library_home}=${name}")
  set_target_properties(lunart_${name} PROPERTIES LIBRARY_OUTPUT_DIRECTORY "${package}")
  if(LUNART_PYTHON)
    set(installed_with "${arg_WHEEL_FOLDER}")
  else()
    set(installed_with .)
    set_target_properties(lunart_${name} PROPERTIES INSTALL_RPATH "$ORIGIN")
  endif()
  file(RELATIVE_PATH built_with "${package}" "${arg_FOLDER}")
  set(head "{\"lunart\": \"${LUNART_VERSION}\", \"version\": \"${arg_VERSION}\", ")
  string(APPEND head "\"library\": \"${arg_LIBRARY}\", ")
  file(CONFIGURE OUTPUT "${package}/liblunart_${name}.json" @ONLY CONTENT
       "${head}\"lib_folders\": [\"${arg_WHEEL_FOLDER}\", \"${built_with}\"]}\n")
  file(CONFIGURE OUTPUT "${CMAKE_BINARY_DIR}/install/liblunart_${name}.json" @ONLY CONTENT
       "${head}\"lib_folders\": [\"${installed_with}\"]}\n")
  install(TARGETS lunart_${name} DESTINATION ${LUNART_MODULE_DESTINATION})
  install(FILES "${CMAKE_BINARY_DIR}/install/liblunart_${name}.json"
          DESTINATION ${LUNART_MODULE_DESTINATION})
endfunction()
