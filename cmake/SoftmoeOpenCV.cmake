# softmoe::opencv: OpenCV's core, imgproc and imgcodecs.
#
# Debian's packages of single modules have no OpenCVConfig.cmake (libopencv-dev has one, with a gigabyte
# of modules that are not used here). Without it, headers and libraries are looked up one by one.

add_library(softmoe::opencv INTERFACE IMPORTED GLOBAL)
find_package(OpenCV QUIET COMPONENTS core imgproc imgcodecs)
if(OpenCV_FOUND)
  target_include_directories(softmoe::opencv INTERFACE ${OpenCV_INCLUDE_DIRS})
  target_link_libraries(softmoe::opencv INTERFACE ${OpenCV_LIBS})
else()
  find_path(OPENCV_INCLUDE_DIR opencv2/core.hpp PATH_SUFFIXES opencv4 REQUIRED)
  target_include_directories(softmoe::opencv INTERFACE ${OPENCV_INCLUDE_DIR})
  foreach(module imgcodecs imgproc core)
    find_library(OPENCV_${module}_LIBRARY opencv_${module} REQUIRED)
    target_link_libraries(softmoe::opencv INTERFACE ${OPENCV_${module}_LIBRARY})
  endforeach()
endif()
