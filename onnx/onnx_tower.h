#pragma once
/// The parts of which ONNX models are made, from the input to what a head reads.

#include "checkpoints/model_description.h"
#include "onnx/onnx_layers.h"

namespace softmoe {

/// All blocks of `tokens` [batch, tokens, dim].
OnnxValue onnx_blocks(OnnxContext& context, OnnxValue tokens);

/// The input of the head, [batch, head_inputs], or [batch, 2, head_inputs] with a distillation
/// token, of the graph's input `images`: as the model takes them, or pixels.
OnnxValue onnx_image_features(OnnxContext& context, const ModelDescription& description,
                              bool from_pixels);

}  // namespace softmoe
