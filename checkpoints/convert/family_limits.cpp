#include "checkpoints/convert/family_limits.h"

#include <fmt/format.h>

#include "checkpoints/convert/vmoe_routers.h"
#include "core/error.h"

namespace softmoe {
namespace {

std::string as_family_has(std::string_view value, const Family& family) {
  return fmt::format("{}, as {} has", value, family.name);
}

void check_mlp(const Family& family, const VitOptions& options, const std::string& where) {
  const auto& code = family.code;
  const auto theirs = code.mlp == FamilyMlp::kSwiGlu ? MlpLayer::kSwiGlu : MlpLayer::kMlp;
  if (code.mlp != FamilyMlp::kEither && options.mlp_layer != theirs) {
    throw InputError(where + ": mlp-layer", as_family_has(enum_name(theirs), family),
                     enum_name(options.mlp_layer));
  }
  if (options.mlp_dim % code.mlp_dim_multiple != 0) {
    throw InputError(where + ": mlp-dim",
                     as_family_has(fmt::format("a multiple of {}", code.mlp_dim_multiple), family),
                     std::to_string(options.mlp_dim));
  }
}

void check_pooling(const Family& family, const VitOptions& options, const std::string& where) {
  const auto& pooling = family.code.pooling;
  if (family.code.needs_class_token && !options.class_token) {
    throw InputError(where + ": class-token", as_family_has("true", family), "false");
  }
  const auto found = enum_name(options.global_pool);
  if (!pooling.token_avg && options.global_pool == GlobalPool::kTokenAvg) {
    throw InputError(where + ": global-pool", fmt::format("a pooling that {} has", family.name),
                     found);
  }
  const auto theirs = only_pooling(family, options);
  // Without a head, the code of some families gives all tokens too.
  const bool matters = pooling.without_head || options.num_classes > 0;
  if (theirs && *theirs != options.global_pool && matters) {
    throw InputError(where + ": global-pool",
                     as_family_has(enum_name(*theirs), family) + " " + std::string(pooling.when),
                     found);
  }
}

void check_moe_layers(const Family& family, const VitOptions& options, const std::string& where) {
  const auto& router = options.moe.router;
  if (router_row(router).vmoe == VmoeForm::kNone) {
    throw InputError(where + ": router", as_family_has(writable_routers(), family), router);
  }
  auto layers = options.moe;
  if (layers.expert_dim == options.mlp_dim) {
    layers.expert_dim = 0;
  }
  const auto values = options_to_json(layers);
  const auto defaults = options_to_json(MoeOptions{});
  const auto text = [](const Json& value) {
    return value.is_string() ? value.get<std::string>() : json_text(value);
  };
  for (const auto option : options_of_ours()) {
    const std::string name(option);
    if (values.at(name) != defaults.at(name)) {
      throw InputError(where + ": " + name, as_family_has(text(defaults.at(name)), family),
                       text(values.at(name)));
    }
  }
}

}  // namespace

std::optional<GlobalPool> only_pooling(const Family& family, const VitOptions& options) {
  const auto only = family.code.pooling.only;
  return only == nullptr ? std::nullopt : only(options);
}

bool has_unknown_positions(const Family& family, const VitOptions& options) {
  return options.pos_embed != PositionEmbedding::kLearned && !family.code.fixed_positions;
}

bool has_patch_bias(const Family& family, const VitOptions& options) {
  switch (family.code.patch_bias) {
    case FamilyPatchBias::kAlways:
      return true;
    case FamilyPatchBias::kWithoutPreNorm:
      return !options.pre_norm;
    case FamilyPatchBias::kNever:
      return false;
  }
  return true;
}

void check_expressible(const Family& family, const VitOptions& options, const std::string& where) {
  if (family.is_ours) {
    return;
  }
  check_mlp(family, options, where);
  check_pooling(family, options, where);
  if (family.code.square_images && options.image_height() != options.image_width()) {
    throw InputError(where + ": img-size", as_family_has("a square", family),
                     fmt::format("{}x{}", options.image_height(), options.image_width()));
  }
  if (has_moe(options)) {
    check_moe_layers(family, options, where);
  }
}

}  // namespace softmoe
