#pragma once
/// The memory of tensors as the kernels take it.

#include <torch/types.h>

#include <optional>

#include "kernels/types.h"

namespace softmoe {

/// The values of a tensor of fp32 or bf16.
inline kernels::Source source_of(const torch::Tensor& tensor) {
  if (tensor.scalar_type() == torch::kBFloat16) {
    return {.bf16 = reinterpret_cast<const kernels::Bf16*>(tensor.const_data_ptr())};
  }
  return {.fp32 = tensor.const_data_ptr<float>()};
}

/// The memory of a tensor of fp32 or bf16 to write to, null for an undefined tensor.
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

/// The values of an fp32 tensor, null for an undefined one.
inline const float* fp32_or_null(const torch::Tensor& tensor) {
  return tensor.defined() ? tensor.const_data_ptr<float>() : nullptr;
}

/// The memory of an fp32 tensor to write to, null for an undefined one.
inline float* writable_or_null(const torch::Tensor& tensor) {
  return tensor.defined() ? tensor.data_ptr<float>() : nullptr;
}

/// Missing tensors as autograd functions take them: as empty optionals, not as undefined tensors.
inline std::optional<torch::Tensor> optional_of(const torch::Tensor& tensor) {
  return tensor.defined() ? std::optional(tensor) : std::nullopt;
}
inline torch::Tensor tensor_of(const std::optional<torch::Tensor>& tensor) {
  return tensor.value_or(torch::Tensor());
}

/// `tensor` contiguous, as bf16 if it is bf16 and as fp32 otherwise.
inline torch::Tensor contiguous_values(const torch::Tensor& tensor) {
  const bool is_bf16 = tensor.scalar_type() == torch::kBFloat16;
  return tensor.to(is_bf16 ? torch::kBFloat16 : torch::kFloat32).contiguous();
}

}  // namespace softmoe
