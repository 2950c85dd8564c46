# liblunart_itk.so: NRRD and NIfTI through ITK, DICOM through GDCM, zip through libzip. A module of
# its own, opened at run time, so that nothing else needs these system libraries. A wheel or an SDK
# holds it only when it was asked for, because it runs where the same libraries are installed.
set(LUNART_WITH_ITK AUTO CACHE STRING
  "The module that reads NRRD, NIfTI and DICOM: ON, OFF, or AUTO: where its libraries are")
set_property(CACHE LUNART_WITH_ITK PROPERTY STRINGS AUTO ON OFF)
if(NOT LUNART_WITH_ITK)
  file(REMOVE "${LUNART_MODULE_FOLDER}/liblunart_itk.so" "${LUNART_MODULE_FOLDER}/liblunart_itk.json")
  return()
endif()

# ITK's configuration needs C too, and lets others tell at length what they did not find.
enable_language(C)
set(CMAKE_MESSAGE_LOG_LEVEL NOTICE)
find_package(ITK QUIET COMPONENTS ITKIONIFTI ITKIONRRD)
unset(CMAKE_MESSAGE_LOG_LEVEL)
# Not by the own configuration of GDCM and libzip: Debian's name programs of other packages.
find_path(LUNART_GDCM_INCLUDE gdcmReader.h PATH_SUFFIXES gdcm-3.0)
find_path(LUNART_ZIP_INCLUDE zip.h)
find_library(LUNART_ZIP zip)
foreach(part Common DSED MSFF)
  find_library(LUNART_GDCM_${part} gdcm${part})
endforeach()
set(missing "")
if(NOT ITK_FOUND)
  list(APPEND missing libinsighttoolkit5-dev)
endif()
if(NOT LUNART_GDCM_INCLUDE OR NOT LUNART_GDCM_MSFF)
  list(APPEND missing libgdcm-dev)
endif()
if(NOT LUNART_ZIP_INCLUDE OR NOT LUNART_ZIP)
  list(APPEND missing libzip-dev)
endif()
if(missing)
  list(JOIN missing " " missing)
  set(said "no ${missing}, so luna_infer reads MetaImage only; apt-get install ${missing}")
  if(LUNART_WITH_ITK STREQUAL "AUTO")
    message(STATUS "lunart: ${said}")
    return()
  endif()
  message(FATAL_ERROR "LUNART_WITH_ITK=${LUNART_WITH_ITK}, but ${said}")
endif()

# What it shares with liblunart is compiled into it: the two see nothing of each other but an
# interface of plain types.
add_library(lunart_itk MODULE
  cpp/src/dicom/assemble.cpp
  cpp/src/dicom/plan.cpp
  cpp/src/dicom/series.cpp
  cpp/src/dicom/slice.cpp
  cpp/src/dicom/stacks.cpp
  cpp/src/geometry.cpp
  cpp/src/io/element.cpp
  cpp/src/io/hu_buffer.cpp
  cpp/src/io/inflate.cpp
  cpp/src/io/input_file.cpp
  cpp/src/io/text.cpp
  cpp/src/itk/codestream.cpp
  cpp/src/itk/dicom_files.cpp
  cpp/src/itk/dicom_pixels.cpp
  cpp/src/itk/dicom_scan.cpp
  cpp/src/itk/dicom_tags.cpp
  cpp/src/itk/dicom_walk.cpp
  cpp/src/itk/itk_image.cpp
  cpp/src/itk/module.cpp
  cpp/src/itk/nifti.cpp
  cpp/src/itk/nifti_header.cpp
  cpp/src/itk/nrrd.cpp
  cpp/src/itk/nrrd_header.cpp
  cpp/src/itk/rle.cpp
  cpp/src/itk/zip_files.cpp)
target_include_directories(lunart_itk PRIVATE cpp/include cpp/src)
target_include_directories(lunart_itk SYSTEM PRIVATE
  ${ITK_INCLUDE_DIRS} "${LUNART_GDCM_INCLUDE}" "${LUNART_ZIP_INCLUDE}")
target_link_libraries(lunart_itk PRIVATE
  lunart_options ${ITK_LIBRARIES} "${LUNART_GDCM_MSFF}" "${LUNART_GDCM_DSED}"
  "${LUNART_GDCM_Common}" "${LUNART_ZIP}" ZLIB::ZLIB)
target_link_options(lunart_itk PRIVATE LINKER:--no-undefined)
set_target_properties(lunart_itk PROPERTIES
  LIBRARY_OUTPUT_DIRECTORY "${LUNART_MODULE_FOLDER}" SKIP_BUILD_RPATH TRUE)
# The two sides share class layouts: the version is compared before the module is opened.
file(CONFIGURE OUTPUT "${LUNART_MODULE_FOLDER}/liblunart_itk.json" @ONLY
  CONTENT "{\"lunart\": \"${LUNART_VERSION}\", \"version\": \"${ITK_VERSION}\"}\n")
if(NOT LUNART_WITH_ITK STREQUAL "AUTO")
  install(TARGETS lunart_itk DESTINATION ${LUNART_MODULE_DESTINATION})
  install(FILES "${LUNART_MODULE_FOLDER}/liblunart_itk.json"
          DESTINATION ${LUNART_MODULE_DESTINATION})
endif()
