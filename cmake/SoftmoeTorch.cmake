# softmoe::torch: libtorch as one imported target.
#
# Torch's own TorchConfig.cmake requires the CUDA toolkit if libtorch was built with CUDA, and defines
# targets that shadow protobuf's. A CPU build needs neither, so only the folders are taken from
# Torch_DIR (or a python3 that has torch), and the libraries are named here. This file is installed
# beside the package's config file, so that a consumer finds libtorch in the same way.

if(NOT Torch_DIR AND DEFINED ENV{Torch_DIR})
  set(Torch_DIR $ENV{Torch_DIR})
endif()
if(NOT Torch_DIR)
  foreach(prefix IN LISTS CMAKE_PREFIX_PATH)
    if(EXISTS ${prefix}/share/cmake/Torch/TorchConfig.cmake)
      set(Torch_DIR ${prefix}/share/cmake/Torch)
    elseif(EXISTS ${prefix}/Torch/TorchConfig.cmake)
      set(Torch_DIR ${prefix}/Torch)
    endif()
  endforeach()
endif()
if(NOT Torch_DIR)
  find_package(Python3 QUIET COMPONENTS Interpreter)
  execute_process(
    COMMAND ${Python3_EXECUTABLE} -c "import torch; print(torch.utils.cmake_prefix_path)"
    OUTPUT_VARIABLE torch_prefix OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  if(torch_prefix)
    set(Torch_DIR ${torch_prefix}/Torch)
  endif()
endif()
set(Torch_DIR "${Torch_DIR}" CACHE PATH "Folder of libtorch's TorchConfig.cmake")
if(NOT EXISTS ${Torch_DIR}/TorchConfig.cmake)
  message(FATAL_ERROR "libtorch not found: pass -DTorch_DIR=<folder of TorchConfig.cmake>, "
          "or run scripts/build.sh, which installs a pinned one (Torch_DIR is '${Torch_DIR}')")
endif()
get_filename_component(torch_root ${Torch_DIR}/../../.. ABSOLUTE)

file(GLOB torch_cudart ${torch_root}/../nvidia/*/lib/libcudart.so.* ${torch_root}/lib/libcudart*)
file(GLOB torch_cublas ${torch_root}/../nvidia/*/lib/libcublas.so.* ${torch_root}/lib/libcublas*)

# CUDA is used if everything is there: the toolkit, a libtorch with CUDA and the libraries it needs.
set(SOFTMOE_WITH_CUDA OFF)
if(NOT SOFTMOE_CUDA STREQUAL "OFF")
  find_package(CUDAToolkit QUIET)
  if(CUDAToolkit_FOUND AND EXISTS ${torch_root}/lib/libtorch_cuda.so AND torch_cublas)
    set(SOFTMOE_WITH_CUDA ON)
  elseif(SOFTMOE_CUDA STREQUAL "ON")
    if(NOT CUDAToolkit_FOUND OR NOT EXISTS ${torch_root}/lib/libtorch_cuda.so)
      message(FATAL_ERROR "SOFTMOE_CUDA=ON needs the CUDA toolkit (nvcc) and a libtorch with CUDA")
    endif()
    set(SOFTMOE_WITH_CUDA ON)
  endif()
endif()

add_library(softmoe::torch INTERFACE IMPORTED GLOBAL)
target_include_directories(softmoe::torch INTERFACE
  ${torch_root}/include ${torch_root}/include/torch/csrc/api/include)
set(torch_libraries ${torch_root}/lib/libtorch_cpu.so ${torch_root}/lib/libc10.so)
# libtorch_cpu refers to CUDA libraries that it does not call on a CPU.
target_link_options(softmoe::torch INTERFACE LINKER:--allow-shlib-undefined)
if(torch_cudart)
  list(GET torch_cudart 0 first_cudart)
  cmake_path(GET first_cudart PARENT_PATH cudart_folder)
  target_link_options(softmoe::torch INTERFACE
                      LINKER:-rpath,${torch_root}/lib LINKER:-rpath,${cudart_folder})
else()
  target_link_options(softmoe::torch INTERFACE LINKER:-rpath,${torch_root}/lib)
endif()
if(SOFTMOE_WITH_CUDA)
  if(NOT CMAKE_CUDA_ARCHITECTURES)
    set(CMAKE_CUDA_ARCHITECTURES 80 90)
  endif()
  enable_language(CUDA)
  if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)
    # CMake 3.25 does not know that nvcc has had C++20 since version 12.
    set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION "-std=c++20")
    set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION "-std=c++20")
  endif()
  # No symbol of libtorch_cuda is used directly, but it must be loaded, since it registers kernels.
  list(APPEND torch_libraries -Wl,--push-state,--no-as-needed ${torch_root}/lib/libtorch_cuda.so
       ${torch_root}/lib/libc10_cuda.so -Wl,--pop-state)
  target_include_directories(softmoe::torch INTERFACE ${CUDAToolkit_INCLUDE_DIRS})
  target_compile_definitions(softmoe::torch INTERFACE SOFTMOE_WITH_CUDA=1)
endif()
target_link_libraries(softmoe::torch INTERFACE ${torch_libraries})
message(STATUS "libtorch: ${torch_root}, CUDA: ${SOFTMOE_WITH_CUDA}")
