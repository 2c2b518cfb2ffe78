#pragma once
/// The two mixing steps of Soft MoE: tokens into the slots of experts, and the outputs of the slots
/// into tokens (Puigcerver et al., arXiv:2308.00951, algorithm 1).

#include <torch/types.h>

#include <array>

#include "core/enum_names.h"
#include "ops/soft_routing.h"

namespace softmoe {

/// What the steps average by (section 3.5 and table 3 of the paper).
enum class SoftMixing {
  kSoft,         ///< both by softmaxes of the logits: Soft MoE
  kSoftUniform,  ///< learned dispatch, uniform combine
  kUniformSoft,  ///< uniform dispatch, learned combine
  kUniform,      ///< averages of all tokens and of all slots
};

/// Returns true if tokens become slots by the softmax of the logits, false if by plain averages.
constexpr bool learns_dispatch(SoftMixing mixing) {
  return mixing == SoftMixing::kSoft || mixing == SoftMixing::kSoftUniform;
}
/// Returns true if slots become tokens by the softmax of the logits, false if by plain averages.
constexpr bool learns_combine(SoftMixing mixing) {
  return mixing == SoftMixing::kSoft || mixing == SoftMixing::kUniformSoft;
}

/// What makes weights of a token's logits when slots become tokens.
enum class CombineWeights {
  kSoftmax,
  kEntmax15,  ///< ops/entmax.h: zero for all but the best slots
};
template <>
inline constexpr std::array<EnumName<CombineWeights>, 2> kEnumNames<CombineWeights>{
    {{CombineWeights::kSoftmax, "softmax"}, {CombineWeights::kEntmax15, "entmax15"}}};

/// Parameters of the slots of one layer; undefined for kUniform.
struct SlotParameters {
  torch::Tensor phi;                 ///< [dim, slots]
  torch::Tensor scale;               ///< []
  torch::Tensor combine_scale = {};  ///< [] of the logits of combine; undefined: `scale`
};

struct SoftMixingOptions {
  SoftMixing mixing = SoftMixing::kSoft;
  CombineWeights combine = CombineWeights::kSoftmax;
  int64_t experts = 1;
  int64_t slots_per_expert = 1;
  double eps = 1e-6;   ///< added to the squared norms of tokens and slot parameters
  double noise = 0.0;  ///< standard deviation of normal noise on the logits of both steps
  bool rounds_to_bf16 =
      false;  ///< fp32 tokens and expert outputs are rounded before they are mixed

  int64_t slots() const { return experts * slots_per_expert; }
};

struct SoftDispatch;

/// How one batch was mixed: made by soft_dispatch(), read by soft_combine() and by records.
class SoftMix {
 public:
  /// Logits of dispatch [batch, tokens, slots] without noise; undefined for kUniform.
  torch::Tensor logits() const;
  /// The weights of both steps.
  SoftRouting weights() const;

 private:
  friend SoftDispatch soft_dispatch(const torch::Tensor& tokens, const SlotParameters& parameters,
                                    const SoftMixingOptions& options);
  friend torch::Tensor soft_combine(const torch::Tensor& expert_outputs, const SoftMix& mix);

  SoftMixingOptions options_;
  torch::Tensor panels_;  // the logits as the kernels keep them; defined if they mixed the tokens
  torch::Tensor combine_panels_;  // then, those of combine
  torch::Tensor logits_;          // otherwise
  SoftRouting weights_;           // otherwise
};

struct SoftDispatch {
  torch::Tensor expert_inputs;  ///< [experts, batch * slots_per_expert, dim]
  SoftMix mix;
};

/// Expert inputs from `tokens` [batch, tokens, dim]: every slot is an average of an image's tokens.
SoftDispatch soft_dispatch(const torch::Tensor& tokens, const SlotParameters& parameters,
                           const SoftMixingOptions& options);

/// Output tokens [batch, tokens, dim] from `expert_outputs`
/// [experts, batch * slots_per_expert, dim]: every token is an average of its image's slots.
torch::Tensor soft_combine(const torch::Tensor& expert_outputs, const SoftMix& mix);

}  // namespace softmoe
