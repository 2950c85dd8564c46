# The page of luna-view, bundled by npm from python/lunart/view/web. Where there is no npm the script
# says so and succeeds; then the output is absent, and the next build tries again.
set(viewer_source "${LUNART_MODULE_FOLDER}/view/web")
set(viewer_output "${LUNART_MODULE_FOLDER}/view/static")
file(GLOB_RECURSE viewer_files CONFIGURE_DEPENDS "${viewer_source}/*")
add_custom_command(
  OUTPUT "${viewer_output}/index.html"
  COMMAND "${Python_EXECUTABLE}" "${viewer_source}/build.py"
          "${CMAKE_SOURCE_DIR}/.cache/viewer" "${viewer_output}"
  DEPENDS ${viewer_files}
  COMMENT "Bundling the page of luna-view")
add_custom_target(viewer ALL DEPENDS "${viewer_output}/index.html")
install(DIRECTORY "${viewer_output}" DESTINATION ${LUNART_MODULE_DESTINATION}/view OPTIONAL)
