#include "softmoe/routers.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

#include "core/registry.h"
#include "softmoe/routers/base_router.h"
#include "softmoe/routers/content_hash_router.h"
#include "softmoe/routers/experts_choice_router.h"
#include "softmoe/routers/identity_router.h"
#include "softmoe/routers/position_hash_router.h"
#include "softmoe/routers/random_router.h"
#include "softmoe/routers/reinforced_router.h"
#include "softmoe/routers/relu_router.h"
#include "softmoe/routers/sinkhorn_router.h"
#include "softmoe/routers/smear_router.h"
#include "softmoe/routers/soft_router.h"
#include "softmoe/routers/tokens_choice_router.h"

namespace softmoe {
namespace {

template <SoftMixing mixing>
RouterHandle make_soft(const MoeLayerOptions& options) {
  return make_router_handle(std::make_shared<SoftRouterImpl>(options, mixing));
}

template <SoftMixing mixing>
RouterCost soft_cost(const MoeLayerOptions& options) {
  return soft_router_cost(options, mixing);
}

constexpr std::string_view kSoftMoe = "arXiv:2308.00951";

constexpr std::array<std::string_view, 8> kSoftOptions{
    "slots-per-expert", "capacity-factor",   "router-eps",       "dispatch-dtype",
    "combine",          "router-scale-form", "router-scale-max", "separate-scales"};
constexpr std::array<std::string_view, 6> kSoftUniformOptions{
    "slots-per-expert", "capacity-factor",   "router-eps",
    "dispatch-dtype",   "router-scale-form", "router-scale-max"};
constexpr std::array<std::string_view, 7> kUniformSoftOptions{
    "slots-per-expert", "capacity-factor",   "router-eps",      "dispatch-dtype",
    "combine",          "router-scale-form", "router-scale-max"};
constexpr std::array<std::string_view, 3> kSlotOptions{"slots-per-expert", "capacity-factor",
                                                       "dispatch-dtype"};
constexpr std::array<std::string_view, 1> kNoise{"router-noise"};
constexpr std::array<std::string_view, 3> kSoftTraining{"router-noise", "router-scale", "phi-init"};
constexpr std::array<std::string_view, 1> kPlainOptions{"dispatch-dtype"};
constexpr std::array<std::string_view, 11> kTokensChoiceOptions{"top-k",
                                                                "capacity-factor",
                                                                "eval-capacity-factor",
                                                                "capacity-multiple",
                                                                "capacity-rounding",
                                                                "group-images",
                                                                "batch-priority",
                                                                "renormalize-gates",
                                                                "gate-order",
                                                                "gate-function",
                                                                "dispatch-dtype"};
constexpr std::array<std::string_view, 4> kTokensChoiceTraining{
    "router-noise", "jitter", "second-expert-threshold", "selection-bias-rate"};
constexpr std::array<std::string_view, 7> kExpertsChoiceOptions{
    "capacity-factor", "eval-capacity-factor", "capacity-multiple", "capacity-rounding",
    "group-images",    "renormalize-gates",    "dispatch-dtype"};
constexpr std::array<std::string_view, 6> kSinkhornOptions{"top-k",
                                                           "group-images",
                                                           "sinkhorn-temperature",
                                                           "sinkhorn-tolerance",
                                                           "sinkhorn-iterations",
                                                           "dispatch-dtype"};
constexpr std::array<std::string_view, 1> kSinkhornTraining{"plan-selection"};
constexpr std::array<std::string_view, 2> kBaseOptions{"group-images", "dispatch-dtype"};
constexpr std::array<std::string_view, 3> kReluTraining{"top-k", "l1-initial", "l1-multiplier"};
constexpr std::array<std::string_view, 2> kSeededOptions{"hash-seed", "dispatch-dtype"};
constexpr std::array<std::string_view, 3> kCodedOptions{"hash-codes", "hash-seed",
                                                        "dispatch-dtype"};

constexpr std::span<const std::string_view> soft_options(SoftMixing mixing) {
  switch (mixing) {
    case SoftMixing::kSoft:
      return kSoftOptions;
    case SoftMixing::kSoftUniform:
      return kSoftUniformOptions;
    case SoftMixing::kUniformSoft:
      return kUniformSoftOptions;
    case SoftMixing::kUniform:
      return kSlotOptions;
  }
  return {};
}

constexpr OnnxForm soft_form(SoftMixing mixing) {
  switch (mixing) {
    case SoftMixing::kSoft:
      return OnnxForm::kSoft;
    case SoftMixing::kSoftUniform:
      return OnnxForm::kSoftUniform;
    case SoftMixing::kUniformSoft:
      return OnnxForm::kUniformSoft;
    case SoftMixing::kUniform:
      return OnnxForm::kUniform;
  }
  return OnnxForm::kNone;
}

template <SoftMixing mixing>
constexpr RouterRow soft_row(std::string_view name, std::string_view summary) {
  return {.name = name,
          .source = kSoftMoe,
          .summary = summary,
          .kind = RoutingKind::kSoft,
          .learned = mixing != SoftMixing::kUniform,
          .make = make_soft<mixing>,
          .cost = soft_cost<mixing>,
          .options = soft_options(mixing),
          .training_options = mixing == SoftMixing::kUniform
                                  ? std::span<const std::string_view>()
                                  : std::span<const std::string_view>(kSoftTraining),
          .losses = {},
          .equal_experts = EqualExperts::kDiffer,
          .expert_numbers = {},
          .recordable = true,
          .onnx = soft_form(mixing),
          .vmoe = mixing == SoftMixing::kSoft ? VmoeForm::kRecognized : VmoeForm::kNone,
          .mixing = mixing,
          .texts = TextRouting::kByText};
}

template <PositionRule rule>
RouterHandle make_position_hash(const MoeLayerOptions& options) {
  return make_router_handle(std::make_shared<PositionHashRouterImpl>(options, rule));
}

template <ContentCode kind>
RouterHandle make_content_hash(const MoeLayerOptions& options) {
  return make_router_handle(std::make_shared<ContentHashRouterImpl>(options, kind));
}

template <ContentCode kind>
RouterCost content_cost(const MoeLayerOptions& options) {
  return content_hash_cost(options, kind);
}

RouterHandle make_random(const MoeLayerOptions& options) {
  return make_router_handle(std::make_shared<RandomRouterImpl>(options));
}

constexpr std::array<std::string_view, 2> kFixedMaps{"expert_of_position", "expert_of_code"};

constexpr RouterRow fixed_row(std::string_view name, std::string_view source,
                              std::string_view summary,
                              RouterHandle (*make)(const MoeLayerOptions&),
                              RouterCost (*cost)(const MoeLayerOptions&), OnnxForm onnx,
                              std::span<const std::string_view> options,
                              RoutingScope scope = RoutingScope::kImage) {
  return {.name = name,
          .source = source,
          .summary = summary,
          .kind = RoutingKind::kSparse,
          .learned = false,
          .make = make,
          .cost = cost,
          .options = options,
          .losses = {},
          .equal_experts = EqualExperts::kAgree,
          .expert_numbers = kFixedMaps,
          .onnx = onnx,
          .reads_patches = onnx == OnnxForm::kContentMap,
          .scope = scope};
}

constexpr std::string_view kHashLayers = "arXiv:2106.04426";

/// The factory of a router that needs nothing but its options.
template <typename RouterModule>
RouterHandle make_plain(const MoeLayerOptions& options) {
  return make_router_handle(std::make_shared<RouterModule>(options));
}

// The baseline has parameters of its own: its coefficient does not weigh it against other losses,
// but keeps its gradients small in the norm that clipping looks at.
constexpr std::array<DefaultLoss, 4> kReinforcedLosses{
    {{"policy", 1.0}, {"baseline", 0.01}, {"token_entropy", -0.01}, {"balance", 0.01}}};
constexpr std::array<DefaultLoss, 1> kReluLosses{{{"l1", 1.0}}};

constexpr std::array<DefaultLoss, 2> kTokensChoiceLosses{{{"importance", 0.005}, {"load", 0.005}}};

constexpr std::array kRows{
    soft_row<SoftMixing::kSoft>("soft", "slots are learned averages of tokens, outputs of slots"),
    soft_row<SoftMixing::kSoftUniform>("soft_uniform", "learned dispatch, uniform combine"),
    soft_row<SoftMixing::kUniformSoft>("uniform_soft", "uniform dispatch, learned combine"),
    soft_row<SoftMixing::kUniform>(
        "uniform", "every slot the average of all tokens, every output of all slots"),
    RouterRow{.name = "identity",
              .source = kSoftMoe,
              .summary = "token i is slot i; as many slots as tokens",
              .kind = RoutingKind::kSoft,
              .learned = false,
              .make = make_plain<IdentityRouterImpl>,
              .cost = identity_router_cost,
              .options = kSlotOptions,
              .equal_experts = EqualExperts::kAgree,
              .recordable = true,
              .onnx = OnnxForm::kIdentity,
              .slots_are_tokens = true},
    RouterRow{.name = "tokens_choice",
              .source = "arXiv:2106.05974",
              .summary = "each token its top K experts, as far as their capacity goes",
              .kind = RoutingKind::kSparse,
              .learned = true,
              .make = make_plain<TokensChoiceRouterImpl>,
              .cost = tokens_choice_cost,
              .options = kTokensChoiceOptions,
              .training_options = kTokensChoiceTraining,
              .losses = kTokensChoiceLosses,
              .equal_experts = EqualExperts::kRenormalized,
              .onnx = OnnxForm::kTokensChoice,
              .vmoe = VmoeForm::kRecognized,
              .texts = TextRouting::kTogether,
              .scope = RoutingScope::kGroup},
    RouterRow{.name = "experts_choice",
              .source = "arXiv:2202.09368",
              .summary = "each expert its top tokens of a group",
              .kind = RoutingKind::kSparse,
              .learned = true,
              .make = make_plain<ExpertsChoiceRouterImpl>,
              .cost = experts_choice_cost,
              .options = kExpertsChoiceOptions,
              .training_options = kNoise,
              .equal_experts = EqualExperts::kRenormalized,
              .recordable = true,
              .onnx = OnnxForm::kExpertsChoice,
              .vmoe = VmoeForm::kMistaken,
              .texts = TextRouting::kTogether,
              .scope = RoutingScope::kImages},
    RouterRow{.name = "sinkhorn",
              .source = "arXiv:2202.01169",
              .summary = "by optimal transport of the batch's tokens to experts (S-BASE)",
              .kind = RoutingKind::kSparse,
              .learned = true,
              .make = make_plain<SinkhornRouterImpl>,
              .cost = sinkhorn_router_cost,
              .options = kSinkhornOptions,
              .training_options = kSinkhornTraining,
              .texts = TextRouting::kTogether,
              .scope = RoutingScope::kGroup},
    RouterRow{.name = "base",
              .source = "arXiv:2103.16716",
              .summary = "by the balanced assignment of the largest sum of scores (BASE)",
              .kind = RoutingKind::kSparse,
              .learned = true,
              .make = make_plain<BaseRouterImpl>,
              .cost = base_router_cost,
              .options = kBaseOptions,
              .texts = TextRouting::kTogether,
              .scope = RoutingScope::kGroup},
    RouterRow{.name = "reinforced",
              .source = "arXiv:2202.01169",
              .summary = "experts are drawn and learned by REINFORCE from each image's loss",
              .kind = RoutingKind::kSparse,
              .learned = true,
              .make = make_plain<ReinforcedRouterImpl>,
              .cost = reinforced_router_cost,
              .options = kPlainOptions,
              .losses = kReinforcedLosses,
              .equal_experts = EqualExperts::kAgree,
              .onnx = OnnxForm::kBestExpert,
              .scope = RoutingScope::kBatch},
    RouterRow{.name = "relu",
              .source = "arXiv:2412.14711",
              .summary = "every expert with a positive gate; an adaptive L1 loss keeps them few",
              .kind = RoutingKind::kSparse,
              .learned = true,
              .make = make_plain<ReluRouterImpl>,
              .cost = relu_router_cost,
              .options = kPlainOptions,
              .training_options = kReluTraining,
              .losses = kReluLosses,
              .texts = TextRouting::kTogether,
              .scope = RoutingScope::kBatch},
    RouterRow{.name = "smear",
              .source = "arXiv:2306.03745",
              .summary = "each image through one expert, a mixture of all experts' parameters",
              .kind = RoutingKind::kMerged,
              .learned = true,
              .make = make_plain<SmearRouterImpl>,
              .cost = smear_router_cost,
              .equal_experts = EqualExperts::kAgree,
              .recordable = true,
              .onnx = OnnxForm::kMergedExperts,
              .texts = TextRouting::kByText},
    fixed_row("hash_random", kHashLayers, "by position: in the order of hashes, dealt out in turn",
              make_position_hash<PositionRule::kBalanced>, position_router_cost,
              OnnxForm::kPositionMap, kSeededOptions),
    fixed_row("hash_block", kHashLayers, "by position: neighbours together",
              make_position_hash<PositionRule::kBlock>, position_router_cost,
              OnnxForm::kPositionMap, kPlainOptions),
    fixed_row("hash_modulo", kHashLayers, "by position: position modulo experts",
              make_position_hash<PositionRule::kModulo>, position_router_cost,
              OnnxForm::kPositionMap, kPlainOptions),
    fixed_row("hash_projection", kHashLayers, "by patch: signs of random projections of its pixels",
              make_content_hash<ContentCode::kProjection>, content_cost<ContentCode::kProjection>,
              OnnxForm::kContentMap, kCodedOptions),
    fixed_row("hash_kmeans", kHashLayers, "by patch: the nearest entry of a codebook of patches",
              make_content_hash<ContentCode::kKMeans>, content_cost<ContentCode::kKMeans>,
              OnnxForm::kContentMap, kCodedOptions),
    fixed_row("random", "arXiv:2110.04260",
              "a balanced random map at every step, a fixed one in evaluation", make_random,
              position_router_cost, OnnxForm::kPositionMap, kSeededOptions, RoutingScope::kBatch),
};

}  // namespace

std::span<const RouterRow> router_rows() { return kRows; }

std::vector<std::string> router_names() {
  std::vector<std::string> names;
  for (const auto& row : kRows) {
    names.emplace_back(row.name);
  }
  return names;
}

bool reads_option(const RouterRow& row, std::string_view option) {
  return std::count(row.options.begin(), row.options.end(), option) > 0 ||
         std::count(row.training_options.begin(), row.training_options.end(), option) > 0;
}

std::string with_readers(std::string_view option, const std::string& meaning) {
  std::vector<std::string> readers;
  std::vector<std::string> others;
  for (const auto& row : kRows) {
    (reads_option(row, option) ? readers : others).emplace_back(row.name);
  }
  const bool is_usual = others.size() < readers.size();
  return fmt::format("{}; read by {}{}", meaning, is_usual ? "all but " : "",
                     fmt::join(is_usual ? others : readers, ", "));
}

const RouterRow& router_row(const std::string& name) {
  return find_row(router_rows(), name, "router");
}

RouterHandle make_router(const MoeLayerOptions& options) {
  TORCH_CHECK_VALUE(options.dim > 0 && options.hidden_dim > 0 && options.moe.experts > 0,
                    "MoeLayerOptions: dim, hidden_dim and experts must be positive, found ",
                    options.dim, ", ", options.hidden_dim, " and ", options.moe.experts);
  TORCH_CHECK_VALUE(options.moe.dispatch_dtype == Precision::kFloat32 ||
                        options.moe.dispatch_dtype == Precision::kBFloat16,
                    "MoeLayerOptions: dispatch_dtype must be float32 or bfloat16, found ",
                    enum_name(options.moe.dispatch_dtype));
  return router_row(options.moe.router).make(options);
}

}  // namespace softmoe
