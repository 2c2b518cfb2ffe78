#pragma once
/// ONNX models with their constants in files. Private to softmoe::onnx: it shows protobuf's
/// classes.

#include <onnx/onnx_pb.h>

#include <iosfwd>
#include <string>
#include <vector>

#include "onnx/onnx_graph.h"

namespace softmoe {

/// Bytes of a constant.
int64_t onnx_byte_size(const OnnxTensor& tensor);

/// Writes `model`, whose initializers are `constants` without their bytes, with these bytes inside;
/// at most one constant is in memory at a time. A failure sets the stream's failbit.
void write_onnx_model(const onnx::ModelProto& model, const std::vector<OnnxTensor>& constants,
                      std::ostream& stream);

/// Writes `model` with large constants in `data`, a file that will be called `data_name`.
void write_onnx_model(const onnx::ModelProto& model, const std::vector<OnnxTensor>& constants,
                      std::ostream& stream, std::ostream& data, const std::string& data_name);

}  // namespace softmoe
