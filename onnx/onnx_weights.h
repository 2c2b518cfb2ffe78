#pragma once
/// The weights of a model as constants of an ONNX graph.

#include <functional>
#include <string>
#include <vector>

#include "core/named_tensors.h"
#include "core/precision.h"
#include "onnx/onnx_graph.h"

namespace softmoe {

/// `tensor` in the dtype of `precision`; throws InputError that names `where` for numbers that are
/// finite in `tensor` but not in that dtype.
torch::Tensor in_precision(const torch::Tensor& tensor, Precision precision,
                           const std::string& where);

/// Constants for `weights`, whose tensors the graph keeps. Matrices of products are kept in
/// `precision` (kFloat32, kFloat16 or kBFloat16) and cast to fp32 in the graph, which computes in
/// fp32: CPUs have no products of fp16, and runtimes that compute in bf16 or fp16 use weights of
/// that dtype as they are. All others (norms, biases, positions, routers) are small but sensitive,
/// and stay fp32.
class OnnxWeights {
 public:
  OnnxWeights(OnnxGraph& graph, const NamedTensors& weights, Precision precision)
      : graph_(graph), weights_(weights), precision_(precision) {}

  bool has(const std::string& name) const { return weights_.contains(name); }
  /// The tensor `name` itself. Throws c10::ValueError if there is none.
  const torch::Tensor& tensor(const std::string& name) const;

  /// The tensor `name` in fp32.
  OnnxValue exact(const std::string& name);
  /// A kernel [out, in, height, width] of a convolution.
  OnnxValue kernel(const std::string& name);
  /// The matrix `name` [..., out, in] as [..., in, out], for products with tokens on its left.
  OnnxValue matrix(const std::string& name);
  /// `tensor` of fp32, fp64, int64 or bool as a constant called `name`.
  OnnxValue constant(const std::string& name, const torch::Tensor& tensor);

 private:
  /// A constant of the stored dtype, which is made when it is written.
  OnnxValue compressed(const std::string& name, const std::vector<int64_t>& shape,
                       const std::function<torch::Tensor()>& tensor);

  OnnxGraph& graph_;
  const NamedTensors& weights_;
  Precision precision_;
};

}  // namespace softmoe
