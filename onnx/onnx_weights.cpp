#include "onnx/onnx_weights.h"

#include "checkpoints/convert/transposed.h"
#include "core/error.h"
#include "onnx/onnx_ops.h"
#include "ops/compute_precision.h"

namespace softmoe {
namespace {

OnnxType onnx_type(torch::Dtype dtype) {
  switch (dtype) {
    case torch::kFloat32:
      return OnnxType::kFloat;
    case torch::kFloat64:
      return OnnxType::kDouble;
    case torch::kFloat16:
      return OnnxType::kFloat16;
    case torch::kBFloat16:
      return OnnxType::kBFloat16;
    case torch::kInt64:
      return OnnxType::kInt64;
    default:
      TORCH_INTERNAL_ASSERT(dtype == torch::kBool, "no ONNX constant of ", dtype);
      return OnnxType::kBool;
  }
}

OnnxBytes bytes_of(const torch::Tensor& tensor) {
  const auto kept = std::make_shared<const torch::Tensor>(tensor.cpu().contiguous());
  return {.owner = kept,
          .data = static_cast<const char*>(kept->const_data_ptr()),
          .size = kept->nbytes()};
}

}  // namespace

torch::Tensor in_precision(const torch::Tensor& tensor, Precision precision,
                           const std::string& where) {
  const auto rounded = tensor.to(tensor_dtype(precision));
  if (precision == Precision::kFloat16 &&
      !torch::equal(rounded.isfinite().all(), tensor.isfinite().all())) {
    throw InputError(where, "numbers that float16 can hold",
                     std::to_string(tensor.abs().max().item<double>()));
  }
  return rounded;
}

const torch::Tensor& OnnxWeights::tensor(const std::string& name) const {
  const auto found = weights_.find(name);
  TORCH_CHECK_VALUE(found != weights_.end(), "OnnxWeights: no weights ", name);
  return found->second;
}

OnnxValue OnnxWeights::constant(const std::string& name, const torch::Tensor& tensor) {
  return graph_.constant(name, {.type = onnx_type(tensor.scalar_type()),
                                .shape = tensor.sizes().vec(),
                                .bytes = [tensor] { return bytes_of(tensor); }});
}

OnnxValue OnnxWeights::exact(const std::string& name) {
  return constant(name, tensor(name).to(torch::kFloat32));
}

OnnxValue OnnxWeights::compressed(const std::string& name, const std::vector<int64_t>& shape,
                                  const std::function<torch::Tensor()>& tensor) {
  const auto bytes = [tensor] { return bytes_of(tensor()); };
  const auto value = graph_.constant(
      name, {.type = onnx_type(tensor_dtype(precision_)), .shape = shape, .bytes = bytes});
  return precision_ == Precision::kFloat32 ? value : onnx_cast(graph_, value, OnnxType::kFloat);
}

OnnxValue OnnxWeights::kernel(const std::string& name) {
  const auto weight = tensor(name);
  return compressed(name, weight.sizes().vec(), [weight, name, precision = precision_] {
    return in_precision(weight, precision, name);
  });
}

OnnxValue OnnxWeights::matrix(const std::string& name) {
  const auto weight = tensor(name);
  const auto shape = weight.transpose(-2, -1).sizes().vec();
  // Converted first, so that fewer bytes are moved.
  return compressed(name + ".transposed", shape, [weight, name, precision = precision_] {
    return transposed(in_precision(weight, precision, name));
  });
}

}  // namespace softmoe
