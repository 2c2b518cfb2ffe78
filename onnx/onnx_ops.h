#pragma once
/// Operators of ONNX whose form depends on the opset, or that need constants.

#include <vector>

#include "core/activation.h"
#include "onnx/onnx_graph.h"

namespace softmoe {

/// Axes of a shape: lengths, or one value [1] int64 that the graph computes in the place of one.
struct OnnxLength {
  OnnxLength(int64_t length) : known(length) {}                   // NOLINT: lengths read as such
  OnnxLength(OnnxValue computed) : value(std::move(computed)) {}  // NOLINT

  bool is_known() const { return value.empty(); }

  int64_t known = 0;
  OnnxValue value;
};

/// `length` as a value [1] int64.
OnnxValue onnx_length(OnnxGraph& graph, const OnnxLength& length);
/// The length of an axis of `x`, a value [1] int64.
OnnxValue onnx_length_of(OnnxGraph& graph, const OnnxValue& x, int64_t axis);
/// Arithmetic on lengths; computed now if both are known. Divisions round down.
OnnxLength onnx_multiply(OnnxGraph& graph, const OnnxLength& a, const OnnxLength& b);
OnnxLength onnx_divide(OnnxGraph& graph, const OnnxLength& a, const OnnxLength& b);
OnnxLength onnx_minimum(OnnxGraph& graph, const OnnxLength& a, const OnnxLength& b);

/// `x` with another shape; 0 keeps an axis, -1 is the rest.
OnnxValue onnx_reshape(OnnxGraph& graph, const OnnxValue& x, const std::vector<OnnxLength>& shape);
OnnxValue onnx_transpose(OnnxGraph& graph, const OnnxValue& x, const std::vector<int64_t>& order);
OnnxValue onnx_softmax(OnnxGraph& graph, const OnnxValue& x, int64_t axis);
OnnxValue onnx_cast(OnnxGraph& graph, const OnnxValue& x, OnnxType type);
/// `x` with new axes of length 1.
OnnxValue onnx_unsqueeze(OnnxGraph& graph, const OnnxValue& x, const std::vector<int64_t>& axes);
/// Elements of `x` along `axis` by number; an index without axes removes the axis.
OnnxValue onnx_gather(OnnxGraph& graph, const OnnxValue& x, const OnnxValue& index, int64_t axis);
/// Elements [first, end) of `x` along `axis`.
OnnxValue onnx_slice(OnnxGraph& graph, const OnnxValue& x, int64_t axis, int64_t first,
                     int64_t end);
/// `x` in equal parts along `axis`.
std::vector<OnnxValue> onnx_split(OnnxGraph& graph, const OnnxValue& x, int64_t axis, int64_t parts,
                                  int64_t length);
/// 0, 1, ... up to `length`, int64.
OnnxValue onnx_range(OnnxGraph& graph, const OnnxLength& length);
/// The largest `count` along the last axis, the largest first: values and int64 numbers.
struct OnnxTop {
  OnnxValue values;
  OnnxValue index;
};
OnnxTop onnx_top(OnnxGraph& graph, const OnnxValue& x, const OnnxLength& count);

enum class OnnxReduction { kSum, kMean, kMax, kSumOfSquares };
/// `x` reduced over one axis.
OnnxValue onnx_reduce(OnnxGraph& graph, OnnxReduction reduction, const OnnxValue& x, int64_t axis,
                      bool keep_axis);

/// LayerNorm of `x` over its last axis; `bias` may be empty.
OnnxValue onnx_layer_norm(OnnxGraph& graph, const OnnxValue& x, const OnnxValue& weight,
                          const OnnxValue& bias, double eps);
OnnxValue onnx_gelu(OnnxGraph& graph, const OnnxValue& x, Activation gelu);

}  // namespace softmoe
