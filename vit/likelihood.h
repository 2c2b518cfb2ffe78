#pragma once
/// What the logits of a classifier stand for.

#include <torch/types.h>

#include <array>

#include "core/options.h"

namespace softmoe {

/// softmax: one class per image; sigmoid: each class by itself.
enum class Likelihood { kSoftmax, kSigmoid };

template <>
inline constexpr std::array<EnumName<Likelihood>, 2> kEnumNames<Likelihood>{
    {{Likelihood::kSoftmax, "softmax"}, {Likelihood::kSigmoid, "sigmoid"}}};

/// Probabilities of `logits` [batch, classes], of the same shape and dtype.
torch::Tensor class_probabilities(const torch::Tensor& logits, Likelihood likelihood);

}  // namespace softmoe
