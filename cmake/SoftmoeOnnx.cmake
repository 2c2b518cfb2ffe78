# softmoe::onnx_proto: the protobuf classes of ONNX's format.
#
# The ONNXConfig.cmake of Debian's libonnx-dev looks for protobuf in its own way, so header
# and library are looked up by file. Sources that use them must not see libtorch's include folder,
# which carries headers of another protobuf.

add_library(softmoe::onnx_proto INTERFACE IMPORTED GLOBAL)
find_path(ONNX_INCLUDE_DIR onnx/onnx_pb.h)
find_library(ONNX_PROTO_LIBRARY onnx_proto)
if(NOT ONNX_INCLUDE_DIR OR NOT ONNX_PROTO_LIBRARY)
  message(FATAL_ERROR "ONNX's protobuf classes not found: install libonnx-dev")
endif()
target_include_directories(softmoe::onnx_proto INTERFACE ${ONNX_INCLUDE_DIR})
target_compile_definitions(softmoe::onnx_proto INTERFACE ONNX_ML=1 ONNX_NAMESPACE=onnx)
target_link_libraries(softmoe::onnx_proto INTERFACE ${ONNX_PROTO_LIBRARY} protobuf::libprotobuf)
