#pragma once
/// A vision transformer's weights as inference reads them.

#include <string>
#include <vector>

#include "core/named_tensors.h"
#include "inference/packed/packed_router.h"
#include "inference/packed/packed_weights.h"
#include "kernels/packed_attention.h"
#include "kernels/packed_factors.h"
#include "ops/soft_mixing.h"
#include "vit/options.h"
#include "vit/text_options.h"

namespace softmoe {

/// LayerNorm; undefined where the model has none.
struct PackedNorm {
  torch::Tensor weight{};  ///< [dim] fp32
  torch::Tensor bias{};    ///< [dim] fp32
  float eps = 0.0F;

  bool defined() const { return weight.defined(); }
  kernels::RowNorm rows() const;
};

/// A dense MLP, or the MLPs of all experts. With SwiGLU the columns of fc1 are in the order of
/// Activation::kSwiGlu.
struct PackedMlp {
  PackedWeights fc1{};
  PackedWeights fc2{};
};

/// The routing of Soft MoE and its ablations; undefined in other blocks.
struct PackedMixing {
  SoftMixing mixing = SoftMixing::kSoft;
  /// fp32, [slots, dim]: normalised slot parameters times the scale; undefined for kUniform.
  PackedWeights keys{};
  CombineWeights combine = CombineWeights::kSoftmax;
  float combine_ratio = 1.0F;  ///< of the scale of combine to that of `keys`
  int64_t experts = 0;
  int64_t slots_per_expert = 0;
  float eps = 0.0F;  ///< added to the squared norms of tokens

  bool defined() const { return experts > 0; }
  int64_t slots() const { return experts * slots_per_expert; }
  /// Returns true if the powers of dispatch are the weights of combine, up to a factor.
  bool shares_powers() const {
    return combine == CombineWeights::kSoftmax && combine_ratio == 1.0F;
  }
};

/// LayerScale is in the weights of `proj` and of every `fc2`, the factor of the scores in those of
/// `qkv`.
struct PackedBlock {
  PackedNorm norm1{};
  PackedWeights qkv{};
  torch::Tensor query_norm{};  ///< [head_dim] fp32, or undefined
  torch::Tensor key_norm{};
  PackedWeights proj{};
  PackedNorm norm2{};
  PackedMixing mixing{};
  PackedRouter router{};
  PackedMlp mlp{};
  PackedMlp shared{};  ///< the MLP beside the experts, or undefined
};

/// A whole model, or the blocks of a text tower, whose `options` are block_options() of it and
/// which has neither patches, positions nor heads here.
struct PackedLayers {
  VitOptions options{};
  bool causal = false;                     ///< tokens attend to those before them alone
  Precision values = Precision::kFloat32;  ///< what passes between products
  Activation activation = Activation::kNone;
  PackedWeights patch{};      ///< without bias
  torch::Tensor positions{};  ///< [tokens, dim] fp32: the initial tokens without the pixels
  PackedNorm pre_norm{};
  std::vector<PackedBlock> blocks{};
  PackedNorm norm{};                   ///< the final one, of tokens or of pooled tokens
  PackedWeights pre_logits{};          ///< fp32
  std::vector<PackedWeights> heads{};  ///< fp32; their sum is the logits

  int64_t bytes() const;  ///< of the weights of all linear maps
};

/// Packs the `weights` of a model for which can_pack() is true, whose names and shapes are those of
/// the model; the memory of tensors that nobody else holds is taken over or freed one by one.
///
/// For kInt8 the linear maps of experts in all blocks, of dense MLPs from the third and of
/// attention from the fifth block on have 8 bits; patches are fp32. Errors of rounding in early
/// blocks go through all that follows: with 8 bits in all blocks the error of the logits is more
/// than twice that of bf16; this way it is about that of bf16.
PackedLayers pack_layers(const VitOptions& options, NamedTensors weights, Precision precision);

/// A text tower.
struct PackedTextLayers {
  TextOptions options{};
  PackedLayers layers{};        ///< its blocks and final norm
  torch::Tensor token_embed{};  ///< [vocab_size, dim] fp32
  torch::Tensor pos_embed{};    ///< [context, dim] fp32
  PackedWeights projection{};   ///< fp32; undefined without one

  int64_t bytes() const { return layers.bytes() + projection.bytes(); }
};

/// Packs the `weights` of a text tower, as pack_layers() does those of its blocks.
PackedTextLayers pack_text_layers(const TextOptions& options, NamedTensors weights,
                                  Precision precision);

}  // namespace softmoe
