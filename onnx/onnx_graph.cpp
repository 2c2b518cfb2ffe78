#include "onnx/onnx_graph.h"

#include <array>
#include <cstdio>
#include <map>
#include <set>
#include <stdexcept>

#include "onnx/onnx_file.h"

namespace softmoe {
namespace {

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
  const std::string name = text.data();  // nine digits are enough for all floats to differ
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
    bytes += onnx_byte_size(tensor);
  }
  return bytes;
}

void OnnxGraph::write(std::ostream& model) const {
  if (constant_bytes() > kMaxInlineBytes) {
    throw std::logic_error("ONNX graph: constants above 2 GB without external data");
  }
  write_onnx_model(impl_->model, impl_->constants, model);
}

void OnnxGraph::write(std::ostream& model, std::ostream& data, const std::string& data_name) const {
  write_onnx_model(impl_->model, impl_->constants, model, data, data_name);
}

}  // namespace softmoe
