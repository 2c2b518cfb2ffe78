#pragma once
/// Tensors as plain memory, for the fused operators alone.

#include <torch/types.h>

#include <optional>

#include "kernels/types.h"

namespace softmoe {

inline kernels::Source source_of(const torch::Tensor& tensor) {
  if (tensor.scalar_type() == torch::kBFloat16) {
    return {.bf16 = reinterpret_cast<const kernels::Bf16*>(tensor.const_data_ptr())};
  }
  return {.fp32 = tensor.const_data_ptr<float>()};
}

/// Null for an undefined tensor.
inline kernels::Target target_of(const torch::Tensor& tensor) {
  if (!tensor.defined()) {
    return {};
  }
  if (tensor.scalar_type() == torch::kBFloat16) {
    return {.bf16 = reinterpret_cast<kernels::Bf16*>(tensor.data_ptr())};
  }
  return {.fp32 = tensor.data_ptr<float>()};
}

inline kernels::Bf16* bf16_of(const torch::Tensor& tensor) {
  return reinterpret_cast<kernels::Bf16*>(tensor.data_ptr());
}

/// fp32 data, or null for an undefined tensor.
inline const float* fp32_or_null(const torch::Tensor& tensor) {
  return tensor.defined() ? tensor.const_data_ptr<float>() : nullptr;
}

/// The same to write to.
inline float* writable_or_null(const torch::Tensor& tensor) {
  return tensor.defined() ? tensor.data_ptr<float>() : nullptr;
}

/// Autograd functions know missing tensors as empty optionals only.
inline std::optional<torch::Tensor> optional_of(const torch::Tensor& tensor) {
  return tensor.defined() ? std::optional(tensor) : std::nullopt;
}
inline torch::Tensor tensor_of(const std::optional<torch::Tensor>& tensor) {
  return tensor.value_or(torch::Tensor());
}

/// `tensor` contiguous, as fp32 or bf16.
inline torch::Tensor plain(const torch::Tensor& tensor) {
  const bool reduced = tensor.scalar_type() == torch::kBFloat16;
  return tensor.to(reduced ? torch::kBFloat16 : torch::kFloat32).contiguous();
}

}  // namespace softmoe
