#pragma once
/// Reads ONNX models back, for tests; like softmoe::onnx without libtorch's include folder.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace softmoe::test {

/// A named tensor of a graph: element type and shape, "batch" and the like as -1.
struct OnnxEntry {
  int type = 0;
  std::vector<int64_t> shape{};
  std::string location{};  ///< the file of an external constant
  int64_t offset = 0;
  std::string bytes{};  ///< of an inline constant

  bool operator==(const OnnxEntry&) const = default;
};

/// The content of a file.
struct OnnxSummary {
  int64_t ir_version = 0;
  int64_t opset = 0;
  std::string producer;
  std::map<std::string, OnnxEntry> inputs;
  std::map<std::string, OnnxEntry> outputs;
  std::map<std::string, OnnxEntry> constants;
  std::map<std::string, int64_t> operators;  ///< how many nodes of each
  std::vector<std::string> domains;          ///< of nodes outside the default domain
  std::map<std::string, std::string> metadata;
  std::vector<std::string> unused;  ///< constants and outputs of nodes that nothing takes
};

/// Throws std::runtime_error if `path` holds no ONNX model.
OnnxSummary read_onnx(const std::string& path);

/// The complaint of ONNX's own checker about the model in `path`; empty if it has none.
std::string onnx_complaint(const std::string& path);

}  // namespace softmoe::test
