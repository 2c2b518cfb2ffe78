#pragma once
/// A vision transformer's weights as inference reads them.

#include <string>
#include <vector>

#include "inference/packed/packed_weights.h"
#include "io/npz.h"
#include "kernels/packed_attention.h"
#include "kernels/packed_factors.h"
#include "vit/options.h"

namespace softmoe {

/// The arithmetic of inference.
enum class InferenceDtype {
  kFloat32,
  kBFloat16,  ///< products of bf16; sums, norms, softmaxes and the residual stream in fp32
  /// As bf16, but linear maps of 8-bit weights and activations: those of experts in all blocks, of
  /// dense MLPs from the third and of attention from the fifth block on. Patches are fp32. What is
  /// rounded early goes through all that follows: with 8 bits in all of them the error of the
  /// logits is more than twice that of bf16, and so it is about the same.
  kInt8,
  kInt8Experts,  ///< as bf16, but the weights of experts in 8 bits, their activations in 16
};
template <>
inline constexpr std::array<EnumName<InferenceDtype>, 4> kEnumNames<InferenceDtype>{
    {{InferenceDtype::kFloat32, "float32"},
     {InferenceDtype::kBFloat16, "bfloat16"},
     {InferenceDtype::kInt8, "int8"},
     {InferenceDtype::kInt8Experts, "int8_experts"}}};

/// The dtype that `name` stands for on `device`: one of the above, or "auto", bfloat16 where it is
/// fast and float32 elsewhere. Throws UsageError for other names.
InferenceDtype inference_dtype(const std::string& name, const torch::Device& device);

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

/// Soft MoE's routing; undefined in dense blocks.
struct PackedMixing {
  PackedWeights keys{};  ///< fp32, [slots, dim]: normalised slot parameters times the scale
  int64_t experts = 0;
  int64_t slots_per_expert = 0;
  float eps = 0.0F;  ///< added to the squared norms of tokens

  bool defined() const { return keys.defined(); }
  int64_t slots() const { return experts * slots_per_expert; }
};

/// LayerScale is in the weights of `proj` and `fc2`, the factor of the scores in those of `qkv`.
struct PackedBlock {
  PackedNorm norm1{};
  PackedWeights qkv{};
  torch::Tensor query_norm{};  ///< [head_dim] fp32, or undefined
  torch::Tensor key_norm{};
  PackedWeights proj{};
  PackedNorm norm2{};
  PackedMixing mixing{};
  PackedMlp mlp{};
};

/// A whole model.
struct PackedLayers {
  VitOptions options{};
  kernels::Arithmetic values = kernels::Arithmetic::kFloat32;  ///< what passes between products
  Activation activation = Activation::kNone;
  PackedWeights patch{};      ///< without bias
  torch::Tensor positions{};  ///< [tokens, dim] fp32: all that tokens start with but the pixels
  PackedNorm pre_norm{};
  std::vector<PackedBlock> blocks{};
  PackedNorm norm{};                   ///< the final one, on tokens or on what is pooled
  PackedWeights pre_logits{};          ///< fp32
  std::vector<PackedWeights> heads{};  ///< fp32; their sum is the logits

  int64_t bytes() const;  ///< of the weights of all linear maps
};

/// Whether the model that `options` and `weights` describe has only parts that pack_layers knows,
/// and the processor computes in `dtype`.
bool can_pack(const VitOptions& options, const NamedTensors& weights, InferenceDtype dtype);

/// Packs `weights`, whose names and shapes are those of the model; the memory of tensors that
/// nobody else holds is taken over or freed one by one.
PackedLayers pack_layers(const VitOptions& options, NamedTensors weights, InferenceDtype dtype);

}  // namespace softmoe
