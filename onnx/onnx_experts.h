#pragma once
/// The experts of MoE layers in an ONNX graph.

#include <string>

#include "onnx/onnx_layers.h"
#include "softmoe/moe_options.h"

namespace softmoe {

/// A MoE layer that is being written into a graph.
struct OnnxMoeLayer {
  OnnxContext& context;
  MoeLayerOptions options;
  std::string name;  ///< of its weights: "blocks.3.moe"

  OnnxGraph& graph() const { return context.graph; }
  int64_t experts() const { return options.moe.experts; }
};

/// All experts of `inputs` [experts, rows, dim], as products over the axis of experts.
OnnxValue onnx_experts(const OnnxMoeLayer& layer, const OnnxValue& inputs);

/// onnx_experts() of rows that hold tokens: inputs and outputs in the precision of dispatch.
OnnxValue onnx_experts_of_rows(const OnnxMoeLayer& layer, const OnnxValue& inputs);

/// `x` rounded to the precision of dispatch.
OnnxValue onnx_dispatched(const OnnxMoeLayer& layer, const OnnxValue& x);

/// All experts of slots [batch, experts * slots_per_expert, dim] of each image.
OnnxValue onnx_experts_of_slots(const OnnxMoeLayer& layer, const OnnxValue& slots,
                                int64_t slots_per_expert);

}  // namespace softmoe
