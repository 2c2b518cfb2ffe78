#pragma once
/// What the MoE layers of an ONNX graph do with their experts.

#include <string>

#include "onnx/onnx_layers.h"
#include "ops/soft_mixing.h"

namespace softmoe {

/// A MoE layer on its way into a graph.
struct OnnxMoeLayer {
  OnnxContext& context;
  MoeLayerOptions options;
  std::string name;  ///< of its weights: "blocks.3.moe"

  OnnxGraph& graph() const { return context.graph; }
  int64_t experts() const { return options.moe.experts; }
};

/// All experts of `inputs` [experts, rows, dim], as products over the axis of experts.
OnnxValue onnx_experts(const OnnxMoeLayer& layer, const OnnxValue& inputs);
/// The same for slots [batch, experts * slots_per_expert, dim] of each image.
OnnxValue onnx_experts_of_slots(const OnnxMoeLayer& layer, const OnnxValue& slots,
                                int64_t slots_per_expert);

/// Soft MoE and its ablations.
OnnxValue onnx_soft_moe(const OnnxMoeLayer& layer, const OnnxValue& tokens, SoftMixing mixing);
/// Token i as slot i.
OnnxValue onnx_identity_moe(const OnnxMoeLayer& layer, const OnnxValue& tokens);
/// Experts of positions in the image.
OnnxValue onnx_position_moe(const OnnxMoeLayer& layer, const OnnxValue& tokens);
/// Codes of the patches, [batch, patches] int64: of the first layer for all.
OnnxValue onnx_codes(const OnnxMoeLayer& layer);
/// Experts of the content of patches.
OnnxValue onnx_content_moe(const OnnxMoeLayer& layer, const OnnxValue& tokens);
OnnxValue onnx_tokens_choice(const OnnxMoeLayer& layer, const OnnxValue& tokens);
OnnxValue onnx_experts_choice(const OnnxMoeLayer& layer, const OnnxValue& tokens);
/// Experts of the largest logit, as reinforced routers choose in evaluation.
OnnxValue onnx_best_expert(const OnnxMoeLayer& layer, const OnnxValue& tokens);
/// Each image through its own mixture of the experts' parameters.
OnnxValue onnx_merged_experts(const OnnxMoeLayer& layer, const OnnxValue& tokens);

}  // namespace softmoe
