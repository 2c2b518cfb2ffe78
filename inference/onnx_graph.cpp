#include "inference/onnx_graph.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl.h>
#include <onnx/onnx_pb.h>

#include <array>
#include <cstdio>
#include <map>
#include <ostream>
#include <set>
#include <stdexcept>

namespace softmoe {
namespace {

namespace protobuf_io = google::protobuf::io;

/// Smaller constants stay in the model, where shape inference can read them.
constexpr int64_t kLeastExternalBytes = 1024;
/// Of external constants, so that a runtime can map them into memory.
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

int64_t byte_size(const OnnxTensor& tensor) {
  auto size = static_cast<int64_t>(bytes_of_element(tensor.type));
  for (const int64_t length : tensor.shape) {
    size *= length;
  }
  return size;
}

/// The oldest version of the file format that has the opset.
int64_t format_version(int64_t opset) {
  if (opset < 19) {
    return 8;
  }
  return opset < 21 ? 9 : 10;
}

template <typename Number>
OnnxTensor tensor_of(OnnxType type, const std::vector<int64_t>& shape,
                     const std::vector<Number>& values) {
  const auto kept = std::make_shared<const std::vector<Number>>(values);
  return {.type = type, .shape = shape, .bytes = [kept] {
            return OnnxBytes{.owner = kept,
                             .data = reinterpret_cast<const char*>(kept->data()),
                             .size = kept->size() * sizeof(Number)};
          }};
}

void set_type(onnx::ValueInfoProto& value, const std::string& name, OnnxType type,
              const std::vector<int64_t>& shape) {
  value.set_name(name);
  auto& tensor = *value.mutable_type()->mutable_tensor_type();
  tensor.set_elem_type(static_cast<int>(type));
  tensor.mutable_shape();
  for (const int64_t length : shape) {
    auto& axis = *tensor.mutable_shape()->add_dim();
    if (length == kAnyLength) {
      axis.set_dim_param("batch");
    } else {
      axis.set_dim_value(length);
    }
  }
}

struct AttributeSetter {
  onnx::AttributeProto& attribute;

  void operator()(int64_t value) const {
    attribute.set_type(onnx::AttributeProto::INT);
    attribute.set_i(value);
  }
  void operator()(float value) const {
    attribute.set_type(onnx::AttributeProto::FLOAT);
    attribute.set_f(value);
  }
  void operator()(const std::string& value) const {
    attribute.set_type(onnx::AttributeProto::STRING);
    attribute.set_s(value);
  }
  void operator()(const std::vector<int64_t>& values) const {
    attribute.set_type(onnx::AttributeProto::INTS);
    attribute.mutable_ints()->Add(values.begin(), values.end());
  }
};

OnnxBytes checked_bytes(const OnnxTensor& tensor, const std::string& name) {
  auto bytes = tensor.bytes();
  if (static_cast<int64_t>(bytes.size) != byte_size(tensor)) {
    throw std::logic_error("ONNX constant " + name + ": " + std::to_string(bytes.size) +
                           " bytes for a shape of " + std::to_string(byte_size(tensor)));
  }
  return bytes;
}

/// Bytes of a field of protobuf's format with `bytes` bytes of content. The fields that are written
/// here have numbers below 16, which take one byte.
size_t field_bytes(size_t bytes) {
  return 1 + protobuf_io::CodedOutputStream::VarintSize64(bytes) + bytes;
}

/// Writes what precedes the content of such a field.
void begin_field(protobuf_io::CodedOutputStream& stream, int number, size_t bytes) {
  constexpr int kLengthDelimited = 2;
  stream.WriteTag(static_cast<uint32_t>(number << 3 | kLengthDelimited));
  stream.WriteVarint64(bytes);
}

/// Constants one after the other in a file of their own.
class ExternalData {
 public:
  ExternalData(std::ostream& stream, std::string file_name)
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

}  // namespace

struct OnnxGraph::Impl {
  onnx::ModelProto model;  ///< its constants have no bytes yet
  std::vector<OnnxTensor> constants;
  std::map<std::string, int64_t> nodes_of_name;
  std::set<std::string> names;
  std::string scope;
  int64_t opset = 0;

  void claim(const std::string& name) {
    if (!names.insert(name).second) {
      throw std::logic_error("ONNX graph: two values are called " + name);
    }
  }

  /// A name for a node that no other has.
  std::string node_name(const std::string& op) {
    const auto name = scope.empty() ? op : scope + "/" + op;
    const auto count = nodes_of_name[name]++;
    return count == 0 ? name : name + "_" + std::to_string(count);
  }

  /// The model with the bytes of its constants, those of large ones in `data`.
  onnx::ModelProto complete(ExternalData& data) const {
    auto result = model;
    for (size_t index = 0; index < constants.size(); ++index) {
      auto& tensor = *result.mutable_graph()->mutable_initializer(static_cast<int>(index));
      const auto bytes = checked_bytes(constants[index], tensor.name());
      if (byte_size(constants[index]) >= kLeastExternalBytes) {
        data.add(bytes, tensor);
      } else {
        tensor.set_raw_data(bytes.data, bytes.size);
      }
    }
    return result;
  }

  /// Writes the model as SerializeToCodedStream() would write it with all constants inside, but
  /// holds the bytes of one at a time. In protobuf's format the constants may follow all else.
  bool write(protobuf_io::CodedOutputStream& stream) const {
    auto shell = model;
    shell.clear_graph();
    auto graph = model.graph();
    graph.clear_initializer();
    size_t graph_bytes = graph.ByteSizeLong();
    for (size_t index = 0; index < constants.size(); ++index) {
      graph_bytes += field_bytes(constant_bytes(index));
    }
    bool done = shell.SerializeToCodedStream(&stream);
    begin_field(stream, onnx::ModelProto::kGraphFieldNumber, graph_bytes);
    done = done && graph.SerializeToCodedStream(&stream);
    for (size_t index = 0; done && index < constants.size(); ++index) {
      const auto& tensor = model.graph().initializer(static_cast<int>(index));
      const auto bytes = checked_bytes(constants[index], tensor.name());
      begin_field(stream, onnx::GraphProto::kInitializerFieldNumber, constant_bytes(index));
      done = tensor.SerializeToCodedStream(&stream);
      begin_field(stream, onnx::TensorProto::kRawDataFieldNumber, bytes.size);
      stream.WriteRaw(bytes.data, static_cast<int>(bytes.size));
    }
    return done && !stream.HadError();
  }

  /// Length of a constant in the file, with its bytes inside.
  size_t constant_bytes(size_t index) const {
    return model.graph().initializer(static_cast<int>(index)).ByteSizeLong() +
           field_bytes(static_cast<size_t>(byte_size(constants[index])));
  }
};

OnnxGraph::OnnxGraph(int64_t opset) : impl_(std::make_unique<Impl>()) {
  if (opset < kOldestOpset || opset > kNewestOpset) {
    throw std::invalid_argument("ONNX opset " + std::to_string(opset));
  }
  impl_->opset = opset;
  impl_->model.set_ir_version(format_version(opset));
  auto& imported = *impl_->model.add_opset_import();
  imported.set_domain("");
  imported.set_version(opset);
  impl_->model.mutable_graph()->set_name("softmoe");
}

OnnxGraph::~OnnxGraph() = default;
OnnxGraph::OnnxGraph(OnnxGraph&&) noexcept = default;
OnnxGraph& OnnxGraph::operator=(OnnxGraph&&) noexcept = default;

int64_t OnnxGraph::opset() const { return impl_->opset; }

void OnnxGraph::set_scope(const std::string& scope) { impl_->scope = scope; }

OnnxValue OnnxGraph::input(const std::string& name, OnnxType type,
                           const std::vector<int64_t>& shape) {
  impl_->claim(name);
  set_type(*impl_->model.mutable_graph()->add_input(), name, type, shape);
  return name;
}

void OnnxGraph::output(const std::string& name, const OnnxValue& value, OnnxType type,
                       const std::vector<int64_t>& shape) {
  impl_->claim(name);
  auto& graph = *impl_->model.mutable_graph();
  auto& node = *graph.add_node();
  node.set_name(name);
  node.set_op_type("Identity");
  node.add_input(value);
  node.add_output(name);
  set_type(*graph.add_output(), name, type, shape);
}

OnnxValue OnnxGraph::constant(const std::string& name, OnnxTensor tensor) {
  impl_->claim(name);
  auto& initializer = *impl_->model.mutable_graph()->add_initializer();
  initializer.set_name(name);
  initializer.set_data_type(static_cast<int>(tensor.type));
  initializer.mutable_dims()->Add(tensor.shape.begin(), tensor.shape.end());
  impl_->constants.push_back(std::move(tensor));
  return name;
}

OnnxValue OnnxGraph::ints(const std::vector<int64_t>& values) {
  std::string name = "ints";
  for (const int64_t value : values) {
    name += "_" + std::to_string(value);
  }
  if (name.size() > 80) {
    name = "ints/" + std::to_string(impl_->constants.size());
  } else if (impl_->names.contains(name)) {
    return name;
  }
  return constant(name, tensor_of(OnnxType::kInt64, {static_cast<int64_t>(values.size())}, values));
}

OnnxValue OnnxGraph::int_scalar(int64_t value) {
  const auto name = "int_" + std::to_string(value);
  return impl_->names.contains(name)
             ? name
             : constant(name, tensor_of(OnnxType::kInt64, {}, std::vector<int64_t>{value}));
}

OnnxValue OnnxGraph::scalar(float value) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "float_%.9g", static_cast<double>(value));
  const std::string name = text.data();  // nine digits tell all floats apart
  return impl_->names.contains(name)
             ? name
             : constant(name, tensor_of(OnnxType::kFloat, {}, std::vector<float>{value}));
}

OnnxValue OnnxGraph::node(const std::string& op, const std::vector<OnnxValue>& inputs,
                          const std::vector<OnnxAttribute>& attributes) {
  return node_outputs(op, inputs, 1, attributes).front();
}

std::vector<OnnxValue> OnnxGraph::node_outputs(const std::string& op,
                                               const std::vector<OnnxValue>& inputs, size_t count,
                                               const std::vector<OnnxAttribute>& attributes) {
  auto& node = *impl_->model.mutable_graph()->add_node();
  const auto name = impl_->node_name(op);
  node.set_name(name);
  node.set_op_type(op);
  for (const auto& value : inputs) {
    node.add_input(value);
  }
  std::vector<OnnxValue> outputs;
  for (size_t index = 0; index < count; ++index) {
    outputs.push_back(count == 1 ? name : name + ":" + std::to_string(index));
    impl_->claim(outputs.back());
    node.add_output(outputs.back());
  }
  for (const auto& [key, value] : attributes) {
    auto& attribute = *node.add_attribute();
    attribute.set_name(key);
    std::visit(AttributeSetter{attribute}, value);
  }
  return outputs;
}

void OnnxGraph::set_metadata(const std::string& key, const std::string& value) {
  auto& entry = *impl_->model.add_metadata_props();
  entry.set_key(key);
  entry.set_value(value);
}

void OnnxGraph::set_producer(const std::string& name, const std::string& version) {
  impl_->model.set_producer_name(name);
  impl_->model.set_producer_version(version);
}

int64_t OnnxGraph::constant_bytes() const {
  int64_t bytes = 0;
  for (const auto& tensor : impl_->constants) {
    bytes += byte_size(tensor);
  }
  return bytes;
}

void OnnxGraph::write(std::ostream& model) const {
  if (constant_bytes() > kMostInlineBytes) {
    throw std::logic_error("ONNX graph: constants above 2 GB without external data");
  }
  bool done = false;
  {
    protobuf_io::OstreamOutputStream output(&model);
    protobuf_io::CodedOutputStream stream(&output);
    done = impl_->write(stream);
  }
  if (!done) {
    model.setstate(std::ios::failbit);
  }
}

void OnnxGraph::write(std::ostream& model, std::ostream& data, const std::string& data_name) const {
  ExternalData external(data, data_name);
  if (!impl_->complete(external).SerializeToOstream(&model)) {
    model.setstate(std::ios::failbit);
  }
}

}  // namespace softmoe
