#pragma once
/// The towers of models of images and texts as ONNX graphs, one each.

#include "checkpoints/image_text_description.h"
#include "core/named_tensors.h"
#include "onnx/onnx_model.h"

namespace softmoe {

/// The image tower of `weights`, those of an ImageTextModel. Input: `images` as onnx_model() takes
/// them. Output: `embeddings` [batch, embedding_dim] fp32, of length 1. Metadata as there, without
/// classes and loss. Throws UsageError for a router that has no ONNX form.
OnnxGraph onnx_image_tower(const ImageTextDescription& description, const NamedTensors& weights,
                           const OnnxOptions& options);

/// The text tower. Inputs: `ids` [batch, context] int64, `lengths` [batch] int64; what `ids` hold
/// behind the length of a text changes nothing. Output: `embeddings` as above. Throws UsageError
/// unless its router takes each text by itself (TextRouting::kByText) and has an ONNX form.
OnnxGraph onnx_text_tower(const ImageTextDescription& description, const NamedTensors& weights,
                          const OnnxOptions& options);

}  // namespace softmoe
