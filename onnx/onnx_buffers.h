#pragma once
/// Buffers of rows in which tokens reach experts one by one, as nodes of an ONNX graph.

#include "onnx/onnx_capacity.h"
#include "onnx/onnx_experts.h"

namespace softmoe {

/// The experts that tokens choose, [groups, tokens of a group, choices], in the order of
/// preference.
struct OnnxChoices {
  OnnxGroups groups;
  int64_t per_token = 1;
  OnnxValue expert;    ///< int64
  OnnxValue gate;      ///< fp32, or empty: 1
  OnnxValue priority;  ///< [groups, tokens of a group], or empty: buffers fill in token order
};

/// Buffers of `rows` rows for each group and expert.
struct OnnxBuffers {
  OnnxLength rows = 0;
  OnnxValue row;       ///< [groups, tokens of a group, choices] int64: of each choice
  OnnxValue has_room;  ///< bool of the same shape: of each choice; empty: all have room
};

/// Buffers of `capacity` rows, filled as place_choices() of softmoe/routers/tokens_choice.h does;
/// choices without room are dropped.
OnnxBuffers onnx_bounded_buffers(const OnnxMoeLayer& layer, const OnnxChoices& choices,
                                 const OnnxLength& capacity);

/// Buffers of as many rows as the fullest expert needs.
OnnxBuffers onnx_ample_buffers(const OnnxMoeLayer& layer, const OnnxChoices& choices);

/// `tokens` [batch, tokens, dim] through the experts in whose buffers they are: sums over a token's
/// choices of gate * output.
OnnxValue onnx_through_buffers(const OnnxMoeLayer& layer, const OnnxValue& tokens,
                               const OnnxChoices& choices, const OnnxBuffers& buffers);

}  // namespace softmoe
