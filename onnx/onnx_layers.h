#pragma once
/// The layers of a vision transformer as nodes of an ONNX graph.

#include <string>

#include "onnx/onnx_ops.h"
#include "onnx/onnx_weights.h"
#include "vit/options.h"

namespace softmoe {

/// State of all layers of one model.
struct OnnxContext {
  OnnxGraph& graph;
  OnnxWeights weights;
  const VitOptions& options;
  int64_t batch_size = 0;  ///< images at once; 0: any number
  OnnxValue images;        ///< [batch, channels, height, width], as the model takes them
  OnnxValue codes;         ///< [batch, patches] of routers by content, made by the first such layer
  /// Of texts with padding; of images, which have none, all three are empty.
  OnnxValue attention_mask = {};  ///< what is added to scores, [.., 1, .., tokens]
  OnnxValue is_token = {};        ///< [batch, tokens, 1] fp32: 1 for tokens, 0 for padding
  OnnxValue token_count = {};     ///< [batch, 1, 1] fp32
};

/// Images at once: known, or the length of the input.
OnnxLength onnx_batch(OnnxContext& context);
/// The linear map `name` of `x` [..., in].
OnnxValue onnx_linear(OnnxContext& context, const OnnxValue& x, const std::string& name);
/// The LayerNorm `name` of `x` [..., dim].
OnnxValue onnx_norm(OnnxContext& context, const OnnxValue& x, const std::string& name);
/// The MLP `name` of `x` [..., dim].
OnnxValue onnx_mlp(OnnxContext& context, const OnnxValue& x, const std::string& name);
/// The self-attention `name` of `x` [batch, tokens, dim].
OnnxValue onnx_attention(OnnxContext& context, const OnnxValue& x, const std::string& name);
/// The attention pooling `name` of `x` [batch, tokens, dim] to [batch, dim].
OnnxValue onnx_attention_pool(OnnxContext& context, const OnnxValue& x, const std::string& name);
/// Tokens [batch, tokens, dim] of the context's images, with their positions.
OnnxValue onnx_embedding(OnnxContext& context);

}  // namespace softmoe
