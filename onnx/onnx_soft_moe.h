#pragma once
/// MoE layers of an ONNX graph in which each image is by itself: it has slots of its own, or
/// experts of its own. All take `tokens` [batch, tokens, dim] and give the layer's output of that
/// shape.

#include "onnx/onnx_experts.h"
#include "ops/soft_mixing.h"

namespace softmoe {

/// Soft MoE and its ablations.
OnnxValue onnx_soft_moe(const OnnxMoeLayer& layer, const OnnxValue& tokens, SoftMixing mixing);

/// Token i as slot i.
OnnxValue onnx_identity_moe(const OnnxMoeLayer& layer, const OnnxValue& tokens);

/// Experts by position in the image.
OnnxValue onnx_position_moe(const OnnxMoeLayer& layer, const OnnxValue& tokens);

/// Each image through its own mixture of the experts' parameters.
OnnxValue onnx_merged_experts(const OnnxMoeLayer& layer, const OnnxValue& tokens);

}  // namespace softmoe
