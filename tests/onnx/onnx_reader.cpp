#include "onnx/onnx_reader.h"

#include <onnx/checker.h>
#include <onnx/onnx_pb.h>

#include <algorithm>
#include <fstream>
#include <set>
#include <stdexcept>

namespace softmoe::test {
namespace {

OnnxEntry entry_of(const onnx::ValueInfoProto& value) {
  const auto& tensor = value.type().tensor_type();
  OnnxEntry entry;
  entry.type = tensor.elem_type();
  for (const auto& axis : tensor.shape().dim()) {
    entry.shape.push_back(axis.has_dim_value() ? axis.dim_value() : -1);
  }
  return entry;
}

OnnxEntry entry_of(const onnx::TensorProto& tensor) {
  OnnxEntry entry;
  entry.type = tensor.data_type();
  entry.shape.assign(tensor.dims().begin(), tensor.dims().end());
  entry.bytes = tensor.raw_data();
  for (const auto& part : tensor.external_data()) {
    if (part.key() == "location") {
      entry.location = part.value();
    } else if (part.key() == "offset") {
      entry.offset = std::stoll(part.value());
    }
  }
  return entry;
}

}  // namespace

OnnxSummary read_onnx(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  onnx::ModelProto model;
  if (!model.ParseFromIstream(&file)) {
    throw std::runtime_error("no ONNX model: " + path);
  }
  OnnxSummary summary;
  summary.ir_version = model.ir_version();
  summary.producer = model.producer_name();
  for (const auto& imported : model.opset_import()) {
    summary.opset = imported.domain().empty() ? imported.version() : summary.opset;
  }
  for (const auto& value : model.graph().input()) {
    summary.inputs[value.name()] = entry_of(value);
  }
  for (const auto& value : model.graph().output()) {
    summary.outputs[value.name()] = entry_of(value);
  }
  for (const auto& tensor : model.graph().initializer()) {
    summary.constants[tensor.name()] = entry_of(tensor);
  }
  for (const auto& node : model.graph().node()) {
    ++summary.operators[node.op_type()];
    if (!node.domain().empty()) {
      summary.domains.push_back(node.domain());
    }
  }
  std::set<std::string> taken;
  for (const auto& node : model.graph().node()) {
    taken.insert(node.input().begin(), node.input().end());
  }
  for (const auto& [name, entry] : summary.outputs) {
    taken.insert(name);
  }
  for (const auto& [name, entry] : summary.constants) {
    if (!taken.contains(name)) {
      summary.unused.push_back(name);
    }
  }
  for (const auto& node : model.graph().node()) {
    const bool used = std::any_of(node.output().begin(), node.output().end(),
                                  [&](const auto& name) { return taken.contains(name); });
    if (!used) {
      summary.unused.push_back(node.name());
    }
  }
  for (const auto& text : model.metadata_props()) {
    summary.metadata[text.key()] = text.value();
  }
  return summary;
}

std::string onnx_complaint(const std::string& path) {
  try {
    onnx::checker::check_model(path);
    return "";
  } catch (const std::exception& error) {
    return error.what();
  }
}

}  // namespace softmoe::test
