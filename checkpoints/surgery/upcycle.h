#pragma once
/// Dense models as the start of models with MoE layers.
/// Source: Komatsuzaki et al., "Sparse Upcycling", arXiv:2212.05055.

#include <cstdint>
#include <map>
#include <string>

#include "checkpoints/surgery/optimizer_state.h"
#include "core/named_tensors.h"
#include "vit/vision_transformer.h"

namespace softmoe {

/// What of an MLP its experts begin with.
enum class UpcycleInit {
  kCopy,        ///< all of it, each
  kNoise,       ///< all of it, each with noise
  kImportance,  ///< neurons that each expert draws by their importance, as many as it is wide
                ///< (MoE Jetpack: Zhu et al., arXiv:2406.04801, section 3.1)
};
template <>
inline constexpr std::array<EnumName<UpcycleInit>, 3> kEnumNames<UpcycleInit>{
    {{UpcycleInit::kCopy, "copy"},
     {UpcycleInit::kNoise, "noise"},
     {UpcycleInit::kImportance, "importance"}}};

/// How an upcycled model starts.
struct UpcycleOptions {
  UpcycleInit init = UpcycleInit::kCopy;
  double expert_noise = 0.0;  ///< on each expert's weights, relative to their standard deviation
  bool keep_head = true;
  OptimizerState optimizer_state = OptimizerState::kReset;

  /// The noise: `expert_noise`, or if that is 0 the usual one of kNoise.
  double noise() const {
    constexpr double kUsual = 0.1;
    return init == UpcycleInit::kNoise && expert_noise == 0.0 ? kUsual : expert_noise;
  }
  bool keeps_optimizer_state() const { return optimizer_state == OptimizerState::kKeep; }
  bool operator==(const UpcycleOptions&) const = default;
};
void describe(OptionTable& table, UpcycleOptions& options);

/// Throws InputError that names `path` if `from` has MoE layers.
void check_dense(const VitOptions& from, const std::string& path);

/// The importance of each neuron of an MLP, [mlp-dim] and not negative, by block.
using NeuronImportance = std::map<int64_t, torch::Tensor>;

/// The neurons of the MLP that each expert gets, [experts, width of an expert] int64 in rising
/// order, by block; of blocks that are not there all neurons.
using ExpertNeurons = std::map<int64_t, torch::Tensor>;

/// Draws the neurons of the experts of a model `to` by `importance`, with the probabilities of
/// `seed`; none unless `options` say so. Where `importance` is empty, a neuron has that of its
/// weights in `dense`: the product of the norms of what it reads by and of what it writes by.
/// Throws InputError if these are not there, UsageError if `to` contradicts itself.
ExpertNeurons draw_neurons(const NamedTensors& dense, const VitOptions& to,
                           const UpcycleOptions& options, int64_t seed,
                           const NeuronImportance& importance = {});

/// Throws UsageError if experts of a model `to` are as wide as `options` do not allow.
void check_expert_width(const VitOptions& to, const UpcycleOptions& options);

/// A model of `to` that starts from a dense model `from` with the weights `dense`:
/// - each expert of a MoE layer is a copy of the MLP in its place, or of its `neurons`, its weight
///   matrices with normal noise if `options` ask for it;
/// - a shared MLP is that MLP;
/// - routers and the LayerScale of MoE layers start anew, and so does the head if `keep_head` is
///   false;
/// - everything else is carried over.
/// `seed` is that of all random numbers. If `to` has no MoE layers either, the result is the dense
/// model. Without `neurons` these are those of draw_neurons(). Throws InputError that names `path`
/// if `from` has MoE layers or `dense` does not fit, UsageError if `to` contradicts itself.
VisionTransformer upcycle(const NamedTensors& dense, const VitOptions& from, const VitOptions& to,
                          const UpcycleOptions& options, int64_t seed, const std::string& path,
                          const ExpertNeurons& neurons = {});

/// What of the state of a dense model's optimizer the model that upcycle() makes of it continues
/// with: experts get that of their neurons, parameters that start anew get none.
NamedTensors carried_optimizer_state(const NamedTensors& dense, const VitOptions& to,
                                     const UpcycleOptions& options, const ExpertNeurons& neurons);

/// carried_optimizer_state() with zeros for parameters that start anew. (The paper finds that the
/// state helps vision models.) Throws InputError that names `path` if there is no state.
NamedTensors upcycle_optimizer_state(const NamedTensors& dense, const VitOptions& to,
                                     const UpcycleOptions& options, const std::string& path,
                                     const ExpertNeurons& neurons = {});

/// Returns true if the tensor `name` of an upcycled model has no counterpart in the dense one.
bool starts_anew(const std::string& name, const UpcycleOptions& options);

/// Returns true if an upcycled model of `to` starts with the outputs of the dense one: without
/// noise, in evaluation, if its capacity drops no token.
bool keeps_dense_outputs(const VitOptions& to);

}  // namespace softmoe
