#include "softmoe/moe_options.h"

#include <c10/util/Exception.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/read_number.h"
#include "softmoe/routers.h"

namespace softmoe {

void describe(OptionTable& table, MoeOptions& options) {
  table.add("router", options.router, "how tokens reach experts", {.choices = router_names()});
  table.add("router-init", options.router_init,
            "options of the router as in other code, unless they are given: vmoe (Soft MoE: one "
            "scale of 1, normal slots, softmax) or spheromoe (MoE Jetpack: two scales of 2, "
            "orthogonal slots, entmax15, noise, --expert-drop 0.4)");
  table.add("experts", options.experts, "experts of a MoE layer",
            {.unit = "experts", .min = 0, .max = kMaxExperts});
  table.add("slots-per-expert", options.slots_per_expert,
            with_readers("slots-per-expert",
                         "slots of each expert; 0 derives them from the capacity factor"),
            {.unit = "slots", .min = 0, .max = kMaxExperts});
  table.add("capacity-factor", options.capacity_factor,
            with_readers(
                "capacity-factor",
                "rows of all experts as a multiple of the tokens (times top-k); soft routers: if "
                "slots are not given"),
            {.min = 1e-6, .max = 1e4});
  table.add(
      "router-noise", options.router_noise,
      with_readers(
          "router-noise",
          "standard deviation of normal noise on the routing logits in training; sparse routers "
          "divide it by the number of experts"),
      {.min = 0});
  table.add("router-eps", options.router_eps,
            with_readers("router-eps", "added to squared norms of tokens and slot parameters"),
            {.min = 0});
  table.add(
      "router-scale", options.router_scale,
      with_readers("router-scale",
                   "scale that the logits begin with, which is learned: a number, or sqrt_dim "
                   "for the square root of --dim; 1 is vmoe's, with which all slots begin as "
                   "nearly the mean token"));
  table.add("router-scale-form", options.router_scale_form,
            with_readers("router-scale-form",
                         "what is learned: the scale, or its logarithm, so that updates change "
                         "the scale by a share of it"));
  table.add("router-scale-max", options.router_scale_max,
            with_readers("router-scale-max", "maximum of the scale; 0: none"), {.min = 0});
  table.add("separate-scales", options.separate_scales,
            with_readers("separate-scales",
                         "one scale for dispatch and one for combine, which begin equal"));
  table.add("phi-init", options.phi_init,
            with_readers("phi-init",
                         "how the parameters of slots begin; kmeans: from the mean token to "
                         "centers of the tokens of some training images"));
  table.add("combine", options.combine,
            with_readers("combine",
                         "weights of a token's slots: softmax, or entmax15, which gives all but "
                         "the best slots none (arXiv:1905.05702)"));
  table.add("dispatch-dtype", options.dispatch_dtype,
            with_readers(
                "dispatch-dtype",
                "precision of the tokens and expert outputs that routers mix or hand over (vmoe: "
                "bfloat16)"),
            {Precision::kFloat32, Precision::kBFloat16});
  table.add("expert-init", options.expert_init, "how the experts of a layer start");
  table.add("expert-drop", options.expert_drop, "dropout rate inside experts; 0: that of --drop",
            {.min = 0, .max = 1});
  table.add("expert-dim", options.expert_dim,
            "width inside an expert, such as a quarter of --mlp-dim for four times as many "
            "experts; 0: --mlp-dim",
            {.unit = "channels", .min = 0, .max = kMaxExpertWidth});
  table.add("shared-mlp", options.shared_mlp,
            "keep a dense MLP beside the experts, whose outputs are added");
  table.add("moe-layer-scale", options.moe_layer_scale,
            "learned factor of each channel of what experts give, which begins with this; 0: none",
            {.min = 0});
  describe(table, options.sparse);
}

namespace {

double asked_router_scale(const MoeOptions& options, int64_t dim) {
  const auto& text = options.router_scale;
  if (text == "sqrt_dim") {
    return std::sqrt(static_cast<double>(dim));
  }
  const auto scale = parse_number(text);
  if (!scale || !(*scale > 0.0) || !std::isfinite(*scale)) {
    throw UsageError("router-scale", "a number above 0 or sqrt_dim",
                     "'" + printable_text(text) + "'");
  }
  return *scale;
}

}  // namespace

double initial_router_scale(const MoeOptions& options, int64_t dim) {
  const double scale = asked_router_scale(options, dim);
  if (const double max = options.router_scale_max; max > 0.0 && scale > max) {
    throw UsageError("router-scale", fmt::format("at most router-scale-max {:g}", max),
                     fmt::format("{:g}", scale));
  }
  return scale;
}

int64_t slots_per_expert(const MoeLayerOptions& options) {
  TORCH_CHECK_VALUE(
      options.moe.experts > 0 && options.moe.slots_per_expert >= 0,
      "MoeLayerOptions: experts must be positive and slots_per_expert not negative, found ",
      options.moe.experts, " and ", options.moe.slots_per_expert);
  if (options.moe.slots_per_expert > 0) {
    return options.moe.slots_per_expert;
  }
  TORCH_CHECK_VALUE(
      options.tokens > 0,
      "MoeLayerOptions: slots from a capacity factor need the number of tokens, found ",
      options.tokens);
  const double exact = static_cast<double>(options.tokens) * options.moe.capacity_factor /
                       static_cast<double>(options.moe.experts);
  // nearbyint rounds halves to even, as the reference does.
  return std::max<int64_t>(1, static_cast<int64_t>(std::nearbyint(exact)));
}

}  // namespace softmoe
