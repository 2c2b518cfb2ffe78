#pragma once
/// Codes of patches for routers by content, as nodes of an ONNX graph.

#include "onnx/onnx_experts.h"

namespace softmoe {

/// Codes of the patches, [batch, patches] int64; those of the first layer serve all others.
OnnxValue onnx_codes(const OnnxMoeLayer& layer);

}  // namespace softmoe
