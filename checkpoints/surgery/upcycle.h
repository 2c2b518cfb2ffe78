#pragma once
/// Dense models as the start of models with MoE layers.
/// Source: Komatsuzaki et al., "Sparse Upcycling", arXiv:2212.05055.

#include <cstdint>
#include <string>

#include "checkpoints/surgery/optimizer_state.h"
#include "core/named_tensors.h"
#include "vit/vision_transformer.h"

namespace softmoe {

/// How an upcycled model starts.
struct UpcycleOptions {
  double expert_noise = 0.0;  ///< on each expert's weights, relative to their standard deviation
  bool keep_head = true;
  OptimizerState optimizer_state = OptimizerState::kReset;

  bool keeps_optimizer_state() const { return optimizer_state == OptimizerState::kKeep; }
  bool operator==(const UpcycleOptions&) const = default;
};
void describe(OptionTable& table, UpcycleOptions& options);

/// Throws InputError that names `path` if `from` has MoE layers.
void check_dense(const VitOptions& from, const std::string& path);

/// A model of `to` that starts from a dense model `from` with the weights `dense`:
/// - each expert of a MoE layer is a copy of the MLP in its place, its weight matrices with normal
///   noise if `options` ask for it;
/// - routers start anew, and so does the head if `keep_head` is false;
/// - everything else is carried over.
/// `seed` is that of all random numbers. If `to` has no MoE layers either, the result is the dense
/// model. Throws InputError that names `path` if `from` has MoE layers or `dense` does not fit,
/// UsageError if `to` contradicts itself.
VisionTransformer upcycle(const NamedTensors& dense, const VitOptions& from, const VitOptions& to,
                          const UpcycleOptions& options, int64_t seed, const std::string& path);

/// The state of a dense model's optimizer for the model that upcycle() makes of it: experts get
/// that of their MLP, parameters that start anew get zeros. (The paper finds that this helps vision
/// models.) Throws InputError that names `path` if there is no state.
NamedTensors upcycle_optimizer_state(const NamedTensors& dense, const VitOptions& to,
                                     const UpcycleOptions& options, const std::string& path);

/// Returns true if an upcycled model of `to` starts with the outputs of the dense one: without
/// noise, in evaluation, if its capacity drops no token.
bool keeps_dense_outputs(const VitOptions& to);

}  // namespace softmoe
