#pragma once
/// MoE layers as nodes of an ONNX graph: standard operators alone, routing as in evaluation.

#include <string>

#include "onnx/onnx_layers.h"

namespace softmoe {

/// Throws UsageError if layers with the router `name` cannot be written as ONNX; lists those that
/// can.
void check_onnx_router(const std::string& name);

/// The MoE layer `name` of `tokens` [batch, tokens, dim].
OnnxValue onnx_moe_layer(OnnxContext& context, const OnnxValue& tokens, const std::string& name);

}  // namespace softmoe
