#pragma once
/// The activations of MLPs and experts, from the options of a model down to the kernels.

#include "core/enum_names.h"

namespace softmoe {

/// What follows the first linear map of an MLP.
enum class Activation {
  kNone,
  kGeluTanh,   ///< tanh approximation (Flax) of the GELU (Hendrycks and Gimpel, arXiv:1606.08415)
  kGeluExact,  ///< x Phi(x) (PyTorch)
  kGeluQuick,  ///< x sigmoid(1.702 x) (OpenAI's CLIP)
  kSwiGlu,     ///< silu(gate) * value of a map to [gate, value] (Shazeer, arXiv:2002.05202)
};
/// The GELUs by the names of the option `gelu`; the other activations are no values of it.
template <>
inline constexpr std::array<EnumName<Activation>, 3> kEnumNames<Activation>{
    {{Activation::kGeluTanh, "tanh"},
     {Activation::kGeluExact, "exact"},
     {Activation::kGeluQuick, "quick"}}};

}  // namespace softmoe
