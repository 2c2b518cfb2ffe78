#pragma once
/// Models as ONNX graphs of standard operators.

#include <filesystem>
#include <string>

#include "checkpoints/model_checkpoint.h"
#include "onnx/onnx_graph.h"
#include "onnx/onnx_weights.h"

namespace softmoe {

/// The place of the constants of an ONNX model.
enum class ExternalData {
  kAuto,    ///< into the model up to 2 GB, beside it above
  kAlways,  ///< into a file beside the model
  kNever,
};
template <>
inline constexpr std::array<EnumName<ExternalData>, 3> kEnumNames<ExternalData>{
    {{ExternalData::kAuto, "auto"},
     {ExternalData::kAlways, "always"},
     {ExternalData::kNever, "never"}}};

/// The kind of ONNX model that is written. The default opset is the oldest with LayerNorm as one
/// operator; older ones get it in parts. From 20 on the exact GELU is one operator.
struct OnnxOptions {
  Precision dtype = Precision::kFloat32;
  bool preprocess =
      false;              ///< pixels in, [batch, height, width, channels] uint8 of the model's size
  bool features = false;  ///< the input of the head is an output too
  int64_t batch_size = 0;  ///< images at once; 0: any number
  int64_t opset = 17;
  ExternalData external_data = ExternalData::kAuto;

  bool operator==(const OnnxOptions&) const = default;
};
void describe(OptionTable& table, OnnxOptions& options);

/// The model of `description` with `weights`, by the names of its parameters and buffers; the graph
/// keeps the tensors. Input: `images`, fp32 [batch, channels, height, width] as the model takes
/// them, or pixels. Outputs, fp32: `logits` [batch, num_classes] if there is a head, `features`
/// [batch, feature_dim] if there is none or `options` ask for them.
///
/// Metadata of the model: `softmoe_version`, `model_name`, `loss`, and as JSON `model` (its
/// options), `classes`, `preprocess`. Throws UsageError for a router that has no ONNX form.
OnnxGraph onnx_model(const ModelDescription& description, const NamedTensors& weights,
                     const OnnxOptions& options);

/// The files that were written.
struct OnnxFiles {
  std::filesystem::path model;
  std::filesystem::path data;  ///< external data beside it, or empty
};

/// Writes `graph` to `path`, and its constants to a file of that name and ".data" beside it if
/// `external_data` says so; each atomically. Throws InputError for constants above 2 GB that may
/// not be external.
OnnxFiles write_onnx(const OnnxGraph& graph, const std::filesystem::path& path,
                     ExternalData external_data);

}  // namespace softmoe
