#pragma once
/// The options of a Mixture-of-Experts layer.

#include <cstdint>
#include <string>

#include "core/activation.h"
#include "core/options.h"
#include "core/precision.h"
#include "ops/soft_mixing.h"
#include "softmoe/sparse_options.h"

namespace softmoe {

/// How the experts of a layer start. The released reference configs start them identical, the
/// paper speaks of independent ones.
enum class ExpertInit { kIndependent, kIdentical };
template <>
inline constexpr std::array<EnumName<ExpertInit>, 2> kEnumNames<ExpertInit>{
    {{ExpertInit::kIndependent, "independent"}, {ExpertInit::kIdentical, "identical"}}};

/// How the slot parameters of a soft router start.
enum class PhiInit {
  kNormal,      ///< normal, as vmoe
  kOrthogonal,  ///< orthogonal slots; orthogonal channels if there are more slots than channels
  kKMeans,      ///< from the mean token to centers of the tokens of a sample (Router::fit)
};
template <>
inline constexpr std::array<EnumName<PhiInit>, 3> kEnumNames<PhiInit>{
    {{PhiInit::kNormal, "normal"},
     {PhiInit::kOrthogonal, "orthogonal"},
     {PhiInit::kKMeans, "kmeans"}}};

/// What the parameters of the scales of a soft router are.
enum class ScaleForm {
  kLinear,  ///< the scales themselves, as vmoe
  kExp,     ///< their logarithms: an update changes a scale by a share of it
};
template <>
inline constexpr std::array<EnumName<ScaleForm>, 2> kEnumNames<ScaleForm>{
    {{ScaleForm::kLinear, "linear"}, {ScaleForm::kExp, "exp"}}};

/// A named set of options of routers (softmoe/router_presets.h).
enum class RouterInit { kNone, kVmoe, kSpheroMoe };
template <>
inline constexpr std::array<EnumName<RouterInit>, 3> kEnumNames<RouterInit>{
    {{RouterInit::kNone, "none"},
     {RouterInit::kVmoe, "vmoe"},
     {RouterInit::kSpheroMoe, "spheromoe"}}};

/// What a user chooses about the MoE layers of a model.
struct MoeOptions {
  std::string router = "soft";                 ///< a row of softmoe/routers.h
  RouterInit router_init = RouterInit::kNone;  ///< where options came from; has no effect itself
  int64_t experts = 0;                         ///< experts per layer
  int64_t slots_per_expert = 0;                ///< 0: from the capacity factor
  double capacity_factor = 1.0;                ///< slots = tokens * factor, shared out evenly
  double router_noise = 0.0;  ///< standard deviation of the noise on logits in training; sparse
                              ///< routers divide it by the number of experts
  double router_eps = 1e-6;   ///< added to squared norms before the root
  std::string router_scale = "1";  ///< initial scale of a soft router's logits, or "sqrt_dim"
  ScaleForm router_scale_form = ScaleForm::kLinear;
  double router_scale_max = 0.0;  ///< maximum of the scales; 0: none
  bool separate_scales = false;   ///< combine has a scale of its own
  PhiInit phi_init = PhiInit::kNormal;
  CombineWeights combine = CombineWeights::kSoftmax;
  Precision dispatch_dtype = Precision::kFloat32;  ///< of dispatch and combine; or kBFloat16
  ExpertInit expert_init = ExpertInit::kIndependent;
  double expert_drop = 0.0;      ///< dropout inside experts; 0: the model's
  int64_t expert_dim = 0;        ///< channels inside an expert; 0: those inside an MLP of the model
  bool shared_mlp = false;       ///< an MLP of the model beside the MoE layer, on the same tokens
  double moe_layer_scale = 0.0;  ///< initial factor of each channel of the layer's output; 0: none
  SparseOptions sparse;

  bool operator==(const MoeOptions&) const = default;
};

/// The maximum of the experts of a layer, and of the slots of an expert.
inline constexpr int64_t kMaxExperts = 65'536;
/// The maximum of MoeOptions::expert_dim.
inline constexpr int64_t kMaxExpertWidth = 131'072;

void describe(OptionTable& table, MoeOptions& options);

/// Sizes of one MoE layer: what the surrounding model adds to the user's choice.
struct MoeLayerOptions {
  int64_t dim = 0;          ///< channels of a token
  int64_t hidden_dim = 0;   ///< channels inside an expert
  int64_t tokens = 0;       ///< tokens per image, for the slots that a capacity factor asks for
  int64_t grid_height = 0;  ///< patches of an image: the last tokens; 0: the tokens are a line
  int64_t grid_width = 0;
  int64_t patch_pixels = 0;                       ///< values of an image patch; 0: unknown
  Activation activation = Activation::kGeluTanh;  ///< inside the experts: a GELU
  double dropout = 0.0;                           ///< inside the experts
  MoeOptions moe;

  bool operator==(const MoeLayerOptions&) const = default;
};

/// The scale of the logits that a soft router of `dim` channels starts with, by
/// MoeOptions::router_scale. Throws UsageError unless that is a positive number or "sqrt_dim", and
/// not above MoeOptions::router_scale_max.
double initial_router_scale(const MoeOptions& options, int64_t dim);

/// Slots of each expert: as given, or from the capacity factor as the reference computes them,
/// round-half-even(tokens * factor / experts), at least 1. Throws c10::ValueError if a count is
/// negative, or if experts or the tokens that a capacity factor needs are not given.
int64_t slots_per_expert(const MoeLayerOptions& options);

}  // namespace softmoe
