#pragma once
/// MoE layers of an ONNX graph that send tokens of a group of images to experts. All take `tokens`
/// [batch, tokens, dim] and give the layer's output of that shape.

#include "onnx/onnx_experts.h"

namespace softmoe {

OnnxValue onnx_tokens_choice(const OnnxMoeLayer& layer, const OnnxValue& tokens);

OnnxValue onnx_experts_choice(const OnnxMoeLayer& layer, const OnnxValue& tokens);

/// Experts of the largest logit, as reinforced routers choose in evaluation.
OnnxValue onnx_best_expert(const OnnxMoeLayer& layer, const OnnxValue& tokens);

/// Experts by the content of patches.
OnnxValue onnx_content_moe(const OnnxMoeLayer& layer, const OnnxValue& tokens);

}  // namespace softmoe
