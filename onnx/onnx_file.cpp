#include "onnx/onnx_file.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl.h>

#include <ostream>
#include <stdexcept>

namespace softmoe {
namespace {

namespace protobuf_io = google::protobuf::io;

/// Smaller constants stay in the model, where shape inference can read them.
constexpr int64_t kMinExternalBytes = 1024;
/// Alignment of external constants, so that a runtime can map them into memory.
constexpr int64_t kAlignment = 4096;

size_t bytes_of_element(OnnxType type) {
  switch (type) {
    case OnnxType::kUInt8:
    case OnnxType::kBool:
      return 1;
    case OnnxType::kFloat16:
    case OnnxType::kBFloat16:
      return 2;
    case OnnxType::kInt64:
    case OnnxType::kDouble:
      return 8;
    default:
      return 4;
  }
}

OnnxBytes checked_bytes(const OnnxTensor& tensor, const std::string& name) {
  auto bytes = tensor.bytes();
  if (static_cast<int64_t>(bytes.size) != onnx_byte_size(tensor)) {
    throw std::logic_error("ONNX constant " + name + ": " + std::to_string(bytes.size) +
                           " bytes for a shape of " + std::to_string(onnx_byte_size(tensor)));
  }
  return bytes;
}

/// Bytes of a field of protobuf's format with `bytes` bytes of content. The fields that are written
/// here have numbers below 16, which take one byte.
size_t field_bytes(size_t bytes) {
  return 1 + protobuf_io::CodedOutputStream::VarintSize64(bytes) + bytes;
}

/// Writes the beginning of such a field: its number and the length of its content.
void begin_field(protobuf_io::CodedOutputStream& stream, int number, size_t bytes) {
  constexpr int kLengthDelimited = 2;
  stream.WriteTag(static_cast<uint32_t>(number << 3 | kLengthDelimited));
  stream.WriteVarint64(bytes);
}

/// Constants one after the other in a file of their own.
class ExternalConstants {
 public:
  ExternalConstants(std::ostream& stream, std::string file_name)
      : stream_(stream), file_name_(std::move(file_name)) {}

  void add(const OnnxBytes& bytes, onnx::TensorProto& tensor) {
    const int64_t padding = (kAlignment - offset_ % kAlignment) % kAlignment;
    stream_.write(std::string(static_cast<size_t>(padding), '\0').data(), padding);
    offset_ += padding;
    tensor.set_data_location(onnx::TensorProto::EXTERNAL);
    set(tensor, "location", file_name_);
    set(tensor, "offset", std::to_string(offset_));
    set(tensor, "length", std::to_string(bytes.size));
    stream_.write(bytes.data, static_cast<std::streamsize>(bytes.size));
    offset_ += static_cast<int64_t>(bytes.size);
  }

 private:
  static void set(onnx::TensorProto& tensor, const char* key, const std::string& value) {
    auto& entry = *tensor.add_external_data();
    entry.set_key(key);
    entry.set_value(value);
  }

  std::ostream& stream_;
  std::string file_name_;
  int64_t offset_ = 0;
};

/// Length of a constant in the file, with its bytes.
size_t constant_bytes(const onnx::TensorProto& tensor, const OnnxTensor& constant) {
  return tensor.ByteSizeLong() + field_bytes(static_cast<size_t>(onnx_byte_size(constant)));
}

/// Writes the constants after everything else of a graph, as protobuf's format allows.
bool write_inside(const onnx::ModelProto& model, const std::vector<OnnxTensor>& constants,
                  protobuf_io::CodedOutputStream& stream) {
  auto shell = model;
  shell.clear_graph();
  auto graph = model.graph();
  graph.clear_initializer();
  const auto& tensors = model.graph().initializer();
  size_t graph_bytes = graph.ByteSizeLong();
  for (size_t index = 0; index < constants.size(); ++index) {
    const auto& tensor = tensors[static_cast<int>(index)];
    graph_bytes += field_bytes(constant_bytes(tensor, constants[index]));
  }
  bool done = shell.SerializeToCodedStream(&stream);
  begin_field(stream, onnx::ModelProto::kGraphFieldNumber, graph_bytes);
  done = done && graph.SerializeToCodedStream(&stream);
  for (size_t index = 0; done && index < constants.size(); ++index) {
    const auto& tensor = tensors[static_cast<int>(index)];
    const auto bytes = checked_bytes(constants[index], tensor.name());
    begin_field(stream, onnx::GraphProto::kInitializerFieldNumber,
                constant_bytes(tensor, constants[index]));
    done = tensor.SerializeToCodedStream(&stream);
    begin_field(stream, onnx::TensorProto::kRawDataFieldNumber, bytes.size);
    stream.WriteRaw(bytes.data, static_cast<int>(bytes.size));
  }
  return done && !stream.HadError();
}

}  // namespace

int64_t onnx_byte_size(const OnnxTensor& tensor) {
  auto size = static_cast<int64_t>(bytes_of_element(tensor.type));
  for (const int64_t length : tensor.shape) {
    size *= length;
  }
  return size;
}

void write_onnx_model(const onnx::ModelProto& model, const std::vector<OnnxTensor>& constants,
                      std::ostream& stream) {
  bool done = false;
  {
    protobuf_io::OstreamOutputStream output(&stream);
    protobuf_io::CodedOutputStream coded(&output);
    done = write_inside(model, constants, coded);
  }
  if (!done) {
    stream.setstate(std::ios::failbit);
  }
}

void write_onnx_model(const onnx::ModelProto& model, const std::vector<OnnxTensor>& constants,
                      std::ostream& stream, std::ostream& data, const std::string& data_name) {
  ExternalConstants external(data, data_name);
  auto complete = model;
  for (size_t index = 0; index < constants.size(); ++index) {
    auto& tensor = *complete.mutable_graph()->mutable_initializer(static_cast<int>(index));
    const auto bytes = checked_bytes(constants[index], tensor.name());
    if (onnx_byte_size(constants[index]) >= kMinExternalBytes) {
      external.add(bytes, tensor);
    } else {
      tensor.set_raw_data(bytes.data, bytes.size);
    }
  }
  if (!complete.SerializeToOstream(&stream)) {
    stream.setstate(std::ios::failbit);
  }
}

}  // namespace softmoe
