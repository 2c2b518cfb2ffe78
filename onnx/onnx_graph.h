#pragma once
/// A graph in ONNX's format, built node by node.
///
/// This is a library of its own: ONNX's protobuf classes must not be compiled with libtorch's
/// include folder, which carries headers of another version of protobuf. So nothing here knows
/// torch, and nothing that includes this header sees protobuf.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <iosfwd>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace softmoe {

/// Element types, numbered as in ONNX's TensorProto.
enum class OnnxType {
  kFloat = 1,
  kUInt8 = 2,
  kInt64 = 7,
  kBool = 9,
  kFloat16 = 10,
  kDouble = 11,
  kBFloat16 = 16,
};

/// Memory that `owner` keeps.
struct OnnxBytes {
  std::shared_ptr<const void> owner;
  const char* data = nullptr;
  size_t size = 0;
};

/// A constant. Its bytes, in row-major order, are made when they are written and freed then, so
/// that a graph does not hold a second copy of all weights.
struct OnnxTensor {
  OnnxType type = OnnxType::kFloat;
  std::vector<int64_t> shape;
  std::function<OnnxBytes()> bytes;
};

/// The name of the output of a node, an input or a constant.
using OnnxValue = std::string;

using OnnxAttribute =
    std::pair<std::string, std::variant<int64_t, float, std::string, std::vector<int64_t>>>;

/// Length of an axis of an input that may have any length.
inline constexpr int64_t kAnyLength = -1;

/// Opsets of the default domain that can be asked for.
inline constexpr int64_t kOldestOpset = 13;
inline constexpr int64_t kNewestOpset = 22;

class OnnxGraph {
 public:
  /// Throws std::invalid_argument for an opset outside the range above.
  explicit OnnxGraph(int64_t opset);
  ~OnnxGraph();
  OnnxGraph(OnnxGraph&&) noexcept;
  OnnxGraph& operator=(OnnxGraph&&) noexcept;

  int64_t opset() const;

  /// The beginning of the names of the following nodes: the module that they come from.
  void set_scope(const std::string& scope);

  /// An input of the graph; an axis of kAnyLength is called "batch".
  OnnxValue input(const std::string& name, OnnxType type, const std::vector<int64_t>& shape);
  /// Makes `value` an output of the graph, called `name`.
  void output(const std::string& name, const OnnxValue& value, OnnxType type,
              const std::vector<int64_t>& shape);

  /// A constant called `name`, which must be unique.
  OnnxValue constant(const std::string& name, OnnxTensor tensor);
  /// Integers [values.size()]; equal ones are kept once.
  OnnxValue ints(const std::vector<int64_t>& values);
  /// Numbers without axes.
  OnnxValue int_scalar(int64_t value);
  OnnxValue scalar(float value);

  /// The first output of a node.
  OnnxValue node(const std::string& op, const std::vector<OnnxValue>& inputs,
                 const std::vector<OnnxAttribute>& attributes = {});
  /// All `count` outputs of a node.
  std::vector<OnnxValue> node_outputs(const std::string& op, const std::vector<OnnxValue>& inputs,
                                      size_t count,
                                      const std::vector<OnnxAttribute>& attributes = {});

  /// Adds a text about the model to its file.
  void set_metadata(const std::string& key, const std::string& value);
  /// Sets the program that wrote the model.
  void set_producer(const std::string& name, const std::string& version);

  /// Bytes of all constants together.
  int64_t constant_bytes() const;

  /// Writes the model with all constants inside. These may not exceed kMaxInlineBytes.
  void write(std::ostream& model) const;
  /// Writes constants of at least 1 KB to `data`, a file that will be called `data_name` beside
  /// the model, and the rest to `model`.
  void write(std::ostream& model, std::ostream& data, const std::string& data_name) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Constants that fit into a model without external data: protobuf ends at 2 GiB.
inline constexpr int64_t kMaxInlineBytes = (int64_t{1} << 31) - (int64_t{1} << 24);

}  // namespace softmoe
