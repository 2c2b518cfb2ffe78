#pragma once
/// The activation inside MLPs and experts.

#include <torch/types.h>

#include "core/options.h"

namespace softmoe {

/// The GELU (Hendrycks and Gimpel, arXiv:1606.08415): exact (PyTorch), its tanh approximation
/// (Flax), or x * sigmoid(1.702 x) (OpenAI's CLIP).
enum class Gelu { kTanh, kExact, kQuick };
template <>
inline constexpr std::array<EnumName<Gelu>, 3> kEnumNames<Gelu>{
    {{Gelu::kTanh, "tanh"}, {Gelu::kExact, "exact"}, {Gelu::kQuick, "quick"}}};

/// The activation of `x` of any shape.
torch::Tensor apply_gelu(const torch::Tensor& x, Gelu gelu);

}  // namespace softmoe
